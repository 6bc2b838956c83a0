// Reading from S3: ranges fetched ahead in parallel, delivered in order, all pinned to one version.
import { delayAfter, type Backoff } from '../../tools/retry.ts';
import { ObjectMissingError, StoreError } from '../errors.ts';
import { isConditionFailed, isMissing, plainEtag, s3Failure, type S3Bucket } from './bucket.ts';
import { readMetadata } from './metadata.ts';
import { headOf } from './put.ts';
import { s3TierOf } from './tier.ts';
import { readAhead } from '../read-ahead.ts';
import type { ObjectInfo, ReadOptions } from '../store.ts';

const RANGE_BYTES = 4 << 20;
/** Ranges asked for ahead of the reader: 32 MiB at most in memory. */
const RANGES_AHEAD = 8;
/** The SDK repeats a request without an answer; an answer that breaks off is ours to repeat. */
const BODY_ATTEMPTS = 5;
const BODY_BACKOFF: Backoff = { firstMs: 400 };

/** What is known of an object; undefined when it is not there. */
export async function statS3(bucket: S3Bucket, name: string, signal: AbortSignal | undefined): Promise<ObjectInfo | undefined> {
  return bucket.guarded('Looking up', name, signal, async () => {
    const head = await headOf(bucket, name, signal);
    if (!head) return undefined;
    const locked = head.ObjectLockLegalHoldStatus === 'ON' ? ('legal hold' as const) : head.ObjectLockRetainUntilDate;
    return {
      name,
      size: head.ContentLength ?? 0,
      modified: head.LastModified ?? new Date(0),
      etag: plainEtag(head.ETag),
      metadata: await readMetadata(bucket, name, head.Metadata, signal),
      tier: s3TierOf(head),
      ...(locked === undefined || (locked instanceof Date && locked <= new Date()) ? {} : { locked }),
    };
  });
}

/** Reads a small object whole with one request; undefined when it is not there. */
export async function readS3(
  bucket: S3Bucket,
  name: string,
  maxBytes: number,
  signal: AbortSignal | undefined,
): Promise<Uint8Array | undefined> {
  return bucket.guarded('Reading', name, signal, async () => {
    try {
      return await wholeBody(bucket, signal, async () => {
        const answer = await bucket.client.send(new bucket.sdk.GetObjectCommand(bucket.at(name)), signal ? { abortSignal: signal } : {});
        const size = answer.ContentLength ?? 0;
        if (size <= maxBytes) return collect(answer.Body as AsyncIterable<Uint8Array>, size);
        (answer.Body as unknown as { destroy(): void }).destroy();
        throw new StoreError(`${name} in ${bucket.location} is ${size} bytes, more than the ${maxBytes} expected.`);
      });
    } catch (thrown) {
      if (isMissing(thrown)) return undefined;
      throw thrown;
    }
  });
}

/** Streams an object, or a part of it. See Store.open. */
export async function* openS3(bucket: S3Bucket, name: string, options: ReadOptions): AsyncGenerator<Uint8Array, void> {
  const head = await bucket.guarded('Reading', name, options.signal, () => headOf(bucket, name, options.signal));
  if (!head) throw new ObjectMissingError(`${name} is not in ${bucket.location}.`);
  const size = head.ContentLength ?? 0;
  const offset = options.offset ?? 0;
  if (offset > size) throw new StoreError(`${name} in ${bucket.location} is ${size} bytes; byte ${offset} was asked for.`);
  const end = Math.min(size, offset + (options.length ?? Infinity));
  yield* readAhead({
    from: offset,
    end,
    rangeBytes: RANGE_BYTES,
    ahead: RANGES_AHEAD,
    signal: options.signal,
    fetch: (from, to, signal) => readRange(bucket, name, { from, to, etag: head.ETag }, signal),
  });
}

async function readRange(
  bucket: S3Bucket,
  name: string,
  range: { from: number; to: number; etag: string | undefined },
  signal: AbortSignal,
): Promise<Uint8Array> {
  const input = { ...bucket.at(name), Range: `bytes=${range.from}-${range.to - 1}`, IfMatch: range.etag };
  return bucket.guarded('Reading', name, signal, async () => {
    try {
      return await wholeBody(bucket, signal, async () => {
        const answer = await bucket.client.send(new bucket.sdk.GetObjectCommand(input), { abortSignal: signal });
        return collect(answer.Body as AsyncIterable<Uint8Array>, range.to - range.from);
      });
    } catch (thrown) {
      if (!isConditionFailed(thrown) && !isMissing(thrown)) throw thrown;
      throw new StoreError(`${name} in ${bucket.location} was replaced or deleted while it was read.`, {
        fix: 'Make sure that no other run writes or prunes this backup, then read it again.',
        cause: thrown,
      });
    }
  });
}

/** Repeats a request whose answer's body broke off, and waits while the service is away. */
async function wholeBody(bucket: S3Bucket, signal: AbortSignal | undefined, read: () => Promise<Uint8Array>): Promise<Uint8Array> {
  return bucket.tries(async () => {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await read();
      } catch (thrown) {
        // An answer with a status is final: the SDK has repeated what can be repeated.
        const final = thrown instanceof StoreError || (s3Failure(thrown)?.status ?? 0) !== 0;
        if (final || signal?.aborted || attempt >= BODY_ATTEMPTS) throw thrown;
        await bucket.patience.clock.sleep(delayAfter(attempt, BODY_BACKOFF), signal);
      }
    }
  }, signal);
}

/** Reads an answer's body, which must have exactly `size` bytes. */
async function collect(body: AsyncIterable<Uint8Array> | undefined, size: number): Promise<Uint8Array> {
  const buffer = Buffer.allocUnsafeSlow(size);
  let filled = 0;
  for await (const bytes of body ?? []) {
    if (filled + bytes.length > size) throw new IncompleteAnswer(`more than the ${size} bytes asked for came`);
    buffer.set(bytes, filled);
    filled += bytes.length;
  }
  if (filled < size) throw new IncompleteAnswer(`the connection ended after ${filled} of ${size} bytes`);
  return buffer;
}

/** An answer whose body is not what its header said. */
class IncompleteAnswer extends Error {
  readonly code = 'IncompleteAnswer';
}
