// One bucket as all parts of the s3 store see it: the SDK's client, names below the prefix, errors in plain words.
import type { $Command, S3Client, S3ClientResolvedConfig, ServiceInputTypes, ServiceOutputTypes } from '@aws-sdk/client-s3';
import { cancelled, UserError } from '../../step/errors.ts';
import { StoreError } from '../errors.ts';
import { RESERVED_SEGMENT } from '../names.ts';
import { explained, isTimeout, type Away, type Patience } from '../patience.ts';

/** The module, loaded when a store is opened: it takes a tenth of a second. */
export type S3Sdk = typeof import('@aws-sdk/client-s3');

/** How bytes are guarded on their way, the best first: services that are not AWS may refuse one. What is stored is read back in any case. */
const CHECKSUMS = ['crc32c', 'md5', 'none'] as const;
export type Checksum = (typeof CHECKSUMS)[number];

export class S3Bucket {
  /** What the service takes, as far as is known. */
  checksum: Checksum = 'crc32c';
  /** Set once the service has shown that it keeps the conditions of a write. */
  conditionsKept = false;
  readonly sdk: S3Sdk;
  readonly client: S3Client;
  readonly bucket: string;
  /** Goes before every object's name: '' or `some/folder/`. */
  readonly prefix: string;
  /** An address that opens the same store again. */
  readonly location: string;
  /** Days for which what is written once cannot be deleted (object lock); 0 for none. */
  readonly lockDays: number;
  readonly patience: Patience;

  constructor(facts: Pick<S3Bucket, 'sdk' | 'client' | 'bucket' | 'prefix' | 'location' | 'lockDays' | 'patience'>) {
    this.sdk = facts.sdk;
    this.client = facts.client;
    this.bucket = facts.bucket;
    this.prefix = facts.prefix;
    this.location = facts.location;
    this.lockDays = facts.lockDays;
    this.patience = facts.patience;
  }

  /** Bucket and key of an object, for a request. */
  at(name: string): { Bucket: string; Key: string } {
    return { Bucket: this.bucket, Key: this.prefix + name };
  }

  /** Bucket and key of something of the store's own: a lock, a sidecar. */
  own(name: string): { Bucket: string; Key: string } {
    return this.at(`${RESERVED_SEGMENT}/${name}`);
  }

  /**
   * Sends a request. The SDK repeats it when that can help; when the service is away, it is waited for.
   * @throws the SDK's error: for callers that tell answers apart; WaitedInVain
   */
  async send<I extends ServiceInputTypes, O extends ServiceOutputTypes>(
    command: $Command<I, O, S3ClientResolvedConfig>,
    signal: AbortSignal | undefined,
  ): Promise<O> {
    return this.tries(() => this.client.send(command, signal ? { abortSignal: signal } : {}), signal);
  }

  /**
   * Sends bytes with a checksum. A service that refuses that kind is asked again with the next one, and from then on with that.
   * @param send gets the kind
   */
  async checked<T>(send: (checksum: Checksum) => Promise<T>): Promise<T> {
    for (;;) {
      const used = this.checksum;
      try {
        return await send(used);
      } catch (thrown) {
        const next = CHECKSUMS[CHECKSUMS.indexOf(used) + 1];
        if (next === undefined || !refusesChecksum(thrown)) throw thrown;
        // Another part may have found it out meanwhile.
        if (this.checksum === used) this.checksum = next;
      }
    }
  }

  /** Does several requests as one, again while the service is away. See Patience.through. */
  async tries<T>(work: (round: number) => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    return this.patience.through(work, s3Away, signal);
  }

  /**
   * Runs requests on an object; what goes wrong becomes a StoreError.
   * @param doing `Reading`, with `name` for the message
   */
  async guarded<T>(doing: string, name: string, signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (thrown) {
      if (signal?.aborted && !isTimeout(signal)) throw cancelled(signal, thrown);
      throw explained(thrown, (cause) => s3Error(`${doing} ${name} in ${this.location}`, cause, this.bucket));
    }
  }
}

/** The parts of the SDK's errors that are looked at. */
interface S3Failure {
  /** S3's error code, such as `NoSuchBucket`, or Node's, such as `ENOTFOUND`. */
  code: string;
  /** HTTP status; 0 when there was no answer. */
  status: number;
}

/** Reads a thrown S3ServiceException or network error; undefined when something else was thrown. */
export function s3Failure(thrown: unknown): S3Failure | undefined {
  // No `instanceof`: jest's realms have an Error of their own.
  if (typeof thrown !== 'object' || thrown === null || !('message' in thrown)) return undefined;
  const error = thrown as Error & { code?: unknown; $metadata?: { httpStatusCode?: number } };
  // For the same reason the SDK wraps a network error there, and keeps only its text.
  const wrapped = /^AWS SDK error wrapper for Error: .*?\b(E[A-Z_]{4,})\b/.exec(error.message)?.[1];
  const code = typeof error.code === 'string' ? error.code : (wrapped ?? error.name);
  return { code, status: error.$metadata?.httpStatusCode ?? 0 };
}

/** No answer, or one that says that the service is away for a while. */
const AWAY_CODES = /^(ECONN|ETIMEDOUT|EPIPE|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN|TimeoutError|IncompleteAnswer|SlowDown)/;

function s3Away(thrown: unknown): Away | undefined {
  const failure = s3Failure(thrown);
  if (!failure) return undefined;
  const { status, code } = failure;
  const away = AWAY_CODES.test(code) || status === 429 || status === 500 || (status > 501 && status < 505);
  return away ? { reason: status === 0 ? code : `status ${status}` } : undefined;
}

/** True when the service does not know a checksum's header; one that did not match is another matter. */
function refusesChecksum(thrown: unknown): boolean {
  const failure = s3Failure(thrown);
  if (!failure || (failure.status !== 400 && failure.status !== 501) || /BadDigest|InvalidDigest|Mismatch/.test(failure.code)) return false;
  return /checksum|x-amz-trailer|content-md5/i.test((thrown as Error).message);
}

/** True when the object is not there; a missing bucket is another matter where S3 says so (a HEAD does not). */
export function isMissing(thrown: unknown): boolean {
  const failure = s3Failure(thrown);
  return failure?.status === 404 && failure.code !== 'NoSuchBucket';
}

/** True when a condition (If-Match, If-None-Match) did not hold, or another write of the same name was under way (409). */
export function isConditionFailed(thrown: unknown): boolean {
  const failure = s3Failure(thrown);
  return failure?.status === 412 || failure?.code === 'ConditionalRequestConflict';
}

/** ETags come with quotes; an ObjectInfo has none. */
export function plainEtag(etag: string | undefined): string {
  return (etag ?? '').replaceAll('"', '');
}

type Explanation = [reason: string, fix: string];

/** What to do about a service without conditional writes. */
export const CONDITIONS_FIX =
  'Use AWS, or a service that keeps If-None-Match and If-Match when it writes (such as MinIO), or another kind of store: without them two runs could overwrite the backups of each other.';

function s3Error(what: string, thrown: unknown, bucket: string): UserError {
  if (thrown instanceof UserError) return thrown;
  const failure = s3Failure(thrown);
  if (/^Region is missing/.test(firstLine(thrown))) {
    const fix = 'Set the region of the bucket: region: in dr.yml, ?region= in the address, or AWS_REGION.';
    return new StoreError(`${what} failed: no region is set.`, { cause: thrown, fix });
  }
  const known = failure && (explain(failure, bucket) ?? explainStatus(failure));
  const [reason, fix] = known ?? [firstLine(thrown), undefined];
  return new StoreError(`${what} failed: ${reason}.`, { cause: thrown, fix });
}

function explain({ code }: S3Failure, bucket: string): Explanation | undefined {
  switch (code) {
    case 'NoSuchBucket':
      return [
        `there is no bucket "${bucket}"`,
        `Create it: aws s3api create-bucket --bucket ${bucket}, or check name, region and endpoint.`,
      ];
    case 'InvalidAccessKeyId':
    case 'SignatureDoesNotMatch':
      return [
        'S3 does not accept the access key',
        'Check access key id and secret access key; they may have been rotated or copied incompletely.',
      ];
    case 'ExpiredToken':
    case 'ExpiredTokenException':
    case 'TokenRefreshRequired':
      return [
        'the session of the sign-in has expired',
        'Sign in again (aws-actions/configure-aws-credentials with a longer role-duration-seconds).',
      ];
    case 'RequestTimeTooSkewed':
      return ["this machine's clock is wrong by more than 15 minutes", 'Set the clock (NTP), then try again.'];
    case 'CredentialsProviderError':
      return [
        'no credentials were found',
        'Sign in (aws-actions/configure-aws-credentials), set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name them in dr.yml.',
      ];
    case 'AuthorizationHeaderMalformed':
    case 'PermanentRedirect':
    case 'IllegalLocationConstraintException':
      return ['the bucket is in another region', 'Set the region of the bucket: region: in dr.yml, ?region= in the address.'];
    case 'InvalidObjectState':
      return [
        'the object is in an archive storage class',
        'Bring it back first (takes hours): aws s3api restore-object, then run this again.',
      ];
    case 'AbortError':
      return ['the endpoint did not answer in time', 'Check the endpoint, the network and the proxy.'];
    case 'ENOTFOUND':
      return ['the name of the endpoint cannot be resolved', 'Check endpoint and region, and the DNS of this machine.'];
    case 'SlowDown':
      return ['S3 kept asking to slow down', 'Run this again later.'];
    default:
      return undefined;
  }
}

function explainStatus({ code, status }: S3Failure): Explanation | undefined {
  if (status === 403) {
    return [
      // The answer to a HEAD has no code.
      code === 'Unknown' || code === '403' ? 'the access key is wrong, or may not do this' : `the identity may not do this (${code})`,
      'Check the access key. Give it s3:ListBucket and s3:ListBucketMultipartUploads on the bucket, and s3:GetObject, s3:PutObject, s3:DeleteObject, s3:AbortMultipartUpload and s3:ListMultipartUploadParts on its objects. An object lock also refuses.',
    ];
  }
  if (status === 501) return [`the service does not have what a store needs (${code})`, CONDITIONS_FIX];
  if (status >= 500) return [`the service reported an error of its own (${code}, status ${status})`, 'Run this again later.'];
  if (status === 412) return ['it was changed by another run meanwhile', 'Make sure that no other run uses this store, then try again.'];
  if (/^(ECONN|ETIMEDOUT|EPIPE|EHOSTUNREACH|ENETUNREACH|TimeoutError|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO)/.test(code)) {
    return [
      `the endpoint cannot be reached (${code})`,
      'Check the endpoint, the network and the proxy; for a certificate of your own set NODE_EXTRA_CA_CERTS.',
    ];
  }
  return undefined;
}

function firstLine(thrown: unknown): string {
  const line = (thrown instanceof Error ? thrown.message : String(thrown)).split('\n')[0] ?? '';
  return line.slice(0, 200).replace(/\.$/, '');
}
