// What travels with the objects as metadata: enough to list backups without reading them, and to open the data without its manifest.
// Nothing in it is authenticated: it may choose what to look at, never what to trust.
import { z } from 'zod';
import { VerificationError } from '../step/errors.ts';
import type { WrappedKey } from '../vaults/vault.ts';
import { asciiJson, encodeEncryptionData, parseEncryptionData, parseWith } from './encryption.ts';
import type { Manifest, VerifyLevel } from './manifest.ts';

/** Wrapped keys as metadata, manifests and prune markers hold them. */
export const keysSchema = z.array(
  z.object({
    kind: z.enum(['key-vault-secret', 'key-vault-key', 'escrow', 'folder']),
    keyId: z.string(),
    algorithm: z.enum(['A256KW', 'RSA-OAEP-256']),
    encryptedKey: z.base64(),
  }),
);

/** Metadata of a data object. `attempt` tells apart two runs that aim at one name. */
export function dataMetadata(
  manifest: Pick<Manifest, 'kind' | 'timestamp' | 'sizes' | 'sha256' | 'keyRecipients'> & { compression: { algorithm: string } },
  attempt: string,
): Record<string, string> {
  const [first] = manifest.keyRecipients;
  if (!first) throw new Error('a data object without a key recipient');
  return {
    // The exact key that Microsoft's SDKs look for.
    encryptiondata: encodeEncryptionData(first),
    lifeboatkeys: asciiJson(manifest.keyRecipients),
    formatversion: '1',
    kind: manifest.kind,
    timestamp: manifest.timestamp,
    compression: manifest.compression.algorithm,
    plainbytes: String(manifest.sizes.plain),
    storedbytes: String(manifest.sizes.stored),
    sha256: manifest.sha256,
    // A copy says `copy`: its keys belong to the original.
    origin: 'backup',
    attempt,
  };
}

/** Metadata of a manifest: what a listing shows. */
export function manifestMetadata(manifest: Manifest): Record<string, string> {
  return {
    formatversion: '1',
    kind: manifest.kind,
    timestamp: manifest.timestamp,
    created: manifest.created,
    plainbytes: String(manifest.sizes.plain),
    storedbytes: String(manifest.sizes.stored),
    consistency: manifest.consistency,
    verified: manifest.verified.level,
    suspect: String(manifest.suspect.length),
    durationms: String(manifest.durationMs),
  };
}

/** What a manifest's metadata says; fields that are missing or malformed are undefined. */
export interface ListedFacts {
  kind: string | undefined;
  created: Date | undefined;
  plainBytes: number | undefined;
  storedBytes: number | undefined;
  durationMs: number | undefined;
  consistency: string | undefined;
  verified: VerifyLevel | undefined;
  suspect: boolean;
}

const KIND = /^[a-z][a-z0-9-]{0,62}$/;
const CONSISTENCIES: ReadonlySet<string> = new Set(['point-in-time', 'per-collection', 'per-object']);

export function readListedFacts(metadata: Readonly<Record<string, string>>): ListedFacts {
  const level = metadata['verified'];
  const created = new Date(metadata['created'] ?? '');
  const kind = metadata['kind'];
  const consistency = metadata['consistency'];
  return {
    kind: kind !== undefined && KIND.test(kind) ? kind : undefined,
    created: Number.isNaN(created.getTime()) ? undefined : created,
    plainBytes: wholeNumber(metadata['plainbytes']),
    storedBytes: wholeNumber(metadata['storedbytes']),
    durationMs: wholeNumber(metadata['durationms']),
    consistency: consistency !== undefined && CONSISTENCIES.has(consistency) ? consistency : undefined,
    verified: level === 'full' || level === 'sample' || level === 'none' ? level : undefined,
    suspect: (metadata['suspect'] ?? '0') !== '0',
  };
}

/**
 * The wrapped keys in a data object's metadata; undefined when it carries none.
 * @throws VerificationError when they are malformed
 */
export function wrappedKeysOf(metadata: Readonly<Record<string, string>>, label: string): WrappedKey[] | undefined {
  const text = metadata['lifeboatkeys'];
  return text === undefined ? undefined : parseWith(keysSchema, text, `the metadata "lifeboatkeys" of ${label}`);
}

/** The one key in Azure's `encryptiondata`, which does not say what kind of recipient opens it. @throws VerificationError */
export function azureKeyOf(metadata: Readonly<Record<string, string>>, label: string): Omit<WrappedKey, 'kind'> {
  const text = metadata['encryptiondata'];
  if (text === undefined) throw new VerificationError(`${label} has lost its metadata "encryptiondata": nothing says which key opens it.`);
  return parseEncryptionData(text, label);
}

function wholeNumber(text: string | undefined): number | undefined {
  const number = text !== undefined && /^\d{1,16}$/.test(text) ? Number(text) : undefined;
  return Number.isSafeInteger(number) ? number : undefined;
}
