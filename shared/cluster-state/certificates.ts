// Certificates and when they expire: those in TLS Secrets, and what cert-manager says of its own.
import type { KubeObject } from '../kubernetes/resources.ts';
import { X509Certificate } from 'node:crypto';
import { textAt } from './objects.ts';

export interface CertificateFact {
  /** `Secret`, or `Certificate` for one of cert-manager. */
  kind: string;
  namespace: string;
  name: string;
  /** Whom it is for: the first of its names. */
  subject: string;
  /** ISO 8601 in UTC; undefined where that cannot be told. */
  expires?: string;
}

/** The certificate that an object holds or stands for; undefined for one that has nothing to do with any. */
export function certificateOf(object: KubeObject): CertificateFact | undefined {
  const { namespace = '', name } = object.metadata;
  if (object.kind === 'Secret' && object['type'] === 'kubernetes.io/tls') {
    const pem = textAt(object, 'data', 'tls.crt');
    return { kind: 'Secret', namespace, name, ...(pem === undefined || pem === '' ? { subject: '' } : read(pem)) };
  }
  if (object.kind === 'Certificate' && object.apiVersion.startsWith('cert-manager.io/')) {
    const names = (object['spec'] as { dnsNames?: unknown } | undefined)?.dnsNames;
    const first: unknown = Array.isArray(names) ? names[0] : undefined;
    const subject = textAt(object, 'spec', 'commonName') ?? (typeof first === 'string' ? first : '');
    const expires = moment(textAt(object, 'status', 'notAfter'));
    return { kind: 'Certificate', namespace, name, subject, ...(expires === undefined ? {} : { expires }) };
  }
  return undefined;
}

/** The first certificate of a chain is the one that is shown to others. */
function read(base64: string): Pick<CertificateFact, 'subject' | 'expires'> {
  try {
    const { subject, subjectAltName, validTo } = new X509Certificate(Buffer.from(base64, 'base64'));
    const named = /(?:^|\n)CN=([^\n]*)/.exec(subject)?.[1] ?? /DNS:([^,]*)/.exec(subjectAltName ?? '')?.[1] ?? '';
    const expires = moment(validTo);
    return { subject: named, ...(expires === undefined ? {} : { expires }) };
  } catch {
    return { subject: '' };
  }
}

function moment(text: string | undefined): string | undefined {
  const time = text === undefined ? NaN : Date.parse(text);
  return Number.isNaN(time) ? undefined : new Date(time).toISOString();
}
