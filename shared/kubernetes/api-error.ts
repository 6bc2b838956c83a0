// What the API server says when it says no, or nothing at all: one error with the numbers to decide by, a sentence and what to do about it.
import { isDefect, UserError } from '../step/errors.ts';
import { systemCode } from '../tools/http.ts';
import { LOG_IN } from './kubeconfig.ts';

/** The body of a refusal: `kind: Status` of meta/v1. */
export interface ApiStatus {
  kind: 'Status';
  /** Such as `NotFound`, `AlreadyExists`, `Conflict`, `Forbidden`, `Invalid`. */
  reason?: string;
  message?: string;
  code?: number;
  details?: { name?: string; group?: string; kind?: string; causes?: { field?: string; reason?: string; message?: string }[] };
  metadata?: { continue?: string };
}

/** The API server refused a request. */
export class ApiError extends UserError {
  /** HTTP. */
  readonly status: number;
  /** The server's own word for why; empty when the answer was not the API server's. */
  readonly reason: string;
  readonly details: ApiStatus['details'];
  /** With a list that went stale (410): where it can be gone on with, of a later moment. */
  readonly continueAt: string | undefined;

  constructor(status: number, text: string, request: { method: string; path: string }) {
    const said = statusOf(text);
    super(sentence(status, said, text, request), fixOption(refusalFix(status, said?.message ?? '')));
    this.status = status;
    this.reason = said?.reason ?? '';
    this.details = said?.details;
    this.continueAt = said?.metadata?.continue || undefined;
  }
}

/** True for the answer that there is no such object (or resource). */
export function isNotFound(thrown: unknown): thrown is ApiError {
  return thrown instanceof ApiError && thrown.status === 404;
}

/** The API server could not be asked. */
export class ClusterUnreachableError extends UserError {}

function statusOf(text: string): ApiStatus | undefined {
  try {
    const parsed = JSON.parse(text) as Partial<ApiStatus> | null;
    return parsed?.kind === 'Status' ? (parsed as ApiStatus) : undefined;
  } catch {
    return undefined;
  }
}

/** A server that validates says much; more than this helps no one. */
const MOST_SHOWN = 1000;

function sentence(status: number, said: ApiStatus | undefined, text: string, { method, path }: { method: string; path: string }): string {
  if (status === 401) return 'The cluster does not know this login, or its token has expired (401 Unauthorized).';
  const words = (said?.message ?? '').trim().replace(/[.\s]+$/, '');
  if (words !== '') return `The cluster refused: ${words.length > MOST_SHOWN ? `${words.slice(0, MOST_SHOWN)}…` : words}.`;
  const body = /^\s*</.test(text) ? '' : text.replace(/\s+/g, ' ').trim().slice(0, 120);
  return `The cluster answered ${status} to ${method} ${path.split('?')[0] ?? ''}${body === '' ? '' : `: ${body.replace(/\.$/, '')}`}.`;
}

const FORBIDDEN = /cannot (\S+) resource "([^"]+)" in API group "([^"]*)"(?: in the namespace "([^"]+)")?/;

function refusalFix(status: number, message: string): string | undefined {
  if (status === 401) return LOG_IN;
  if (status === 403 && FORBIDDEN.test(message)) return permissionFix(message);
  const webhook = /(?:failed calling|admission) webhook "([^"]+)"/.exec(message)?.[1];
  if (webhook !== undefined) {
    return `Look at the webhook ${webhook}: whatever answers for it must run, and allow this; or take its configuration away for the while.`;
  }
  if (/unable to handle the request/.test(message)) return 'An extension of the API does not answer: kubectl get apiservices tells which.';
  if (status === 429 || status >= 500) return 'The API server has trouble, or too much to do: run again later.';
  return undefined;
}

function permissionFix(message: string): string {
  const [, verb = '', resource = '', group = '', namespace] = FORBIDDEN.exec(message) ?? [];
  const what = group === '' ? resource : `${resource}.${group}`;
  const where = namespace === undefined ? 'in the whole cluster' : `in namespace ${namespace}`;
  // What a WebSocket is asked for by: GET, and since Kubernetes 1.35 the verb of old as well.
  const verbs = /\/(exec|portforward)$/.test(resource) ? 'verbs get and create' : `verb ${verb}`;
  return `Allow the ${verbs} on ${what} ${where}; docs/operations.md has the role to paste.`;
}

function fixOption(fix: string | undefined): { fix?: string } {
  return fix === undefined ? {} : { fix };
}

/** What is wrong with a connection, by the system's word for it. */
const CAUSES: [code: RegExp, words: string, fix: string][] = [
  [
    /CERT_HAS_EXPIRED/,
    'its certificate has expired',
    "Renew the API server's certificate, or fetch the kubeconfig again when it was renewed already.",
  ],
  [
    /SELF_SIGNED|UNABLE_TO_VERIFY|UNABLE_TO_GET_ISSUER/,
    'its certificate is of an authority that is not trusted here',
    'Fetch the kubeconfig again: it holds the authority of the cluster. If a proxy of yours inspects TLS, set NODE_EXTRA_CA_CERTS to the file with its certificate.',
  ],
  [
    /CERT_ALTNAME_INVALID/,
    'its certificate is for another name',
    'Use the name of the API server that its certificate has, or set tls-server-name in the kubeconfig.',
  ],
  [
    /ENOTFOUND|EAI_AGAIN/,
    'its name cannot be resolved',
    'Check the kubeconfig; the name of a private cluster is known only inside its network.',
  ],
];
const REACH =
  'Check that this machine reaches the API server: a private cluster answers only from inside its network, others may have a list of allowed addresses.';

/** True when waiting does not help: what was asked is not the server that is meant. */
export function isWrongServer(code: string): boolean {
  return /CERT|SELF_SIGNED|UNABLE_TO|^ERR_SSL|EPROTO/.test(code);
}

/**
 * The error of a connection that was not to be had, or broke.
 * @throws what was thrown when it is a defect of the program
 */
export function unreachable(thrown: unknown, server: string): UserError {
  if (thrown instanceof UserError) return thrown;
  if (isDefect(thrown)) throw thrown;
  const code = systemCode(thrown);
  const [, words = `no connection (${code})`, fix = REACH] = CAUSES.find(([pattern]) => pattern.test(code)) ?? [];
  return new ClusterUnreachableError(`The API server ${server} cannot be reached: ${words}.`, { cause: thrown, fix });
}
