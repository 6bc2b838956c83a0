// Reading a blob: ranges fetched ahead in parallel, delivered in order, all pinned to one version.
import type { Readable } from 'node:stream';
import type { BlockBlobClient } from '@azure/storage-blob';
import { azureFailure, isAzureError } from './errors.ts';
import { IncompleteAnswerError } from './retry.ts';
import { ifUnchanged, plainEtag, type AzureContainer } from './container.ts';
import { tierOf, type AzureTierFacts } from './tier.ts';
import { ObjectMissingError, StoreError } from '../errors.ts';
import { readAhead } from '../read-ahead.ts';
import type { ObjectInfo, ReadOptions } from '../store.ts';

const RANGE_BYTES = 4 << 20;
/** Ranges asked for ahead of the reader: 32 MiB at most in memory. */
const RANGES_AHEAD = 8;

/** What is known of a blob; undefined when it is not there. */
export async function statBlob(container: AzureContainer, name: string, signal: AbortSignal | undefined): Promise<ObjectInfo | undefined> {
  const blob = container.blob(name);
  return container.guarded('Looking up', name, async () => {
    try {
      const properties = await container.tries((abortSignal) => blob.getProperties({ abortSignal }), signal);
      const tier = tierOf(properties as AzureTierFacts);
      return {
        name,
        size: properties.contentLength ?? 0,
        modified: properties.lastModified ?? new Date(0),
        etag: plainEtag(properties.etag),
        metadata: properties.metadata ?? {},
        tier,
      };
    } catch (thrown) {
      if (isBlobMissing(thrown)) return undefined;
      throw thrown;
    }
  });
}

/**
 * Reads a blob whole with one request; undefined when it is not there. `large` when it has more bytes than a range: the time for an attempt
 * is set before the size is known, and must be short enough for a connection that hangs to be noticed.
 * @throws StoreError when it is larger than `maxBytes`
 */
export async function readBlob(
  container: AzureContainer,
  name: string,
  maxBytes: number,
  signal: AbortSignal | undefined,
): Promise<Uint8Array | 'large' | undefined> {
  const blob = container.blob(name);
  return container.guarded('Reading', name, async () => {
    try {
      return await container.tries(
        async (abortSignal) => {
          const answer = await blob.download(0, undefined, { abortSignal, maxRetryRequests: 0 });
          const size = answer.contentLength ?? 0;
          if (size <= Math.min(maxBytes, RANGE_BYTES)) return await collect(answer.readableStreamBody, size);
          (answer.readableStreamBody as Readable | undefined)?.destroy();
          if (size <= maxBytes) return 'large';
          throw new StoreError(`${name} in ${container.location} is ${size} bytes, more than the ${maxBytes} expected.`);
        },
        signal,
        RANGE_BYTES,
      );
    } catch (thrown) {
      if (isBlobMissing(thrown)) return undefined;
      throw thrown;
    }
  });
}

/** Streams a blob, or a part of it. See Store.open. */
export async function* openBlob(container: AzureContainer, name: string, options: ReadOptions): AsyncGenerator<Uint8Array, void> {
  const info = await statBlob(container, name, options.signal);
  if (!info) throw new ObjectMissingError(`${name} is not in ${container.location}.`);
  const offset = options.offset ?? 0;
  if (offset > info.size) throw new StoreError(`${name} in ${container.location} is ${info.size} bytes; byte ${offset} was asked for.`);
  const end = Math.min(info.size, offset + (options.length ?? Infinity));

  const blob = container.blob(name);
  yield* readAhead({
    from: offset,
    end,
    rangeBytes: RANGE_BYTES,
    ahead: RANGES_AHEAD,
    signal: options.signal,
    fetch: (from, to, signal) => readRange(container, name, blob, { from, length: to - from, etag: info.etag }, signal),
  });
}

async function readRange(
  container: AzureContainer,
  name: string,
  blob: BlockBlobClient,
  range: { from: number; length: number; etag: string },
  signal: AbortSignal,
): Promise<Uint8Array> {
  return container.guarded('Reading', name, async () => {
    try {
      return await container.tries(
        async (abortSignal) => {
          const options = { abortSignal, maxRetryRequests: 0, conditions: ifUnchanged(range.etag) };
          const answer = await blob.download(range.from, range.length, options);
          return collect(answer.readableStreamBody, range.length);
        },
        signal,
        range.length,
      );
    } catch (thrown) {
      if (!isAzureError(thrown, 'ConditionNotMet') && !isBlobMissing(thrown)) throw thrown;
      throw new StoreError(`${name} in ${container.location} was replaced or deleted while it was read.`, {
        fix: 'Make sure that no other run writes or prunes this backup, then read it again.',
        cause: thrown,
      });
    }
  });
}

/** Reads an answer's body, which must have exactly `size` bytes. */
async function collect(body: NodeJS.ReadableStream | undefined, size: number): Promise<Uint8Array> {
  const buffer = Buffer.allocUnsafeSlow(size);
  let filled = 0;
  for await (const chunk of body ?? []) {
    const bytes = chunk as Buffer;
    if (filled + bytes.length > size) throw new IncompleteAnswerError(`more than the ${size} bytes asked for came`);
    buffer.set(bytes, filled);
    filled += bytes.length;
  }
  if (filled < size) throw new IncompleteAnswerError(`the connection ended after ${filled} of ${size} bytes`);
  return buffer;
}

/** True when the blob is not there; a missing container is another matter. */
export function isBlobMissing(thrown: unknown): boolean {
  return azureFailure(thrown)?.status === 404 && !isAzureError(thrown, 'ContainerNotFound');
}
