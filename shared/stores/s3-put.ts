// Writing an object to S3 from a stream: a small one with one request, a large one in parts with checksums, sent in parallel; then one commit.
import { randomBytes } from 'node:crypto';
import type { CompletedPart } from '@aws-sdk/client-s3';
import { createCRC32 } from 'hash-wasm';
import { CancelledError, throwIfCancelled } from '../step/errors.ts';
import { ObjectExistsError } from './errors.ts';
import { checkMetadata } from './names.ts';
import { isConditionFailed, isMissing, plainEtag, s3Failure, type S3Bucket } from './s3-bucket.ts';
import { nativeMetadata, putSidecar, removeSidecar, sidecarMetadata, writeOf } from './s3-metadata.ts';
import { blocks, cancellable } from './source.ts';
import type { ObjectInfo, PutOptions } from './store.ts';

const MIB = 1 << 20;
/** Parts at sea at the same time, and how many bytes they may hold together. */
const PARALLEL_PARTS = 8;
const MAX_BYTES_IN_FLIGHT = 256 * MIB;
const SMALLEST_PART = 8 * MIB;
const LARGEST_PART = 1024 * MIB;
/** An object has at most 10,000 parts; the estimate is meant to fill half of them. */
const PARTS_BY_ESTIMATE = 5_000;
const PARTS_BEFORE_DOUBLING = 500;
/** CRC-32C (Castagnoli), reflected. */
const CASTAGNOLI = 0x82f63b78;
const DAY_MS = 86_400_000;

/**
 * Size of part number `index` (0-based). The estimate takes 5,000 parts; from there on parts double every 500 up to 1 GiB, so that a stream
 * without an estimate reaches 2.5 TiB and any other one ten times its estimate, up to S3's own limit.
 */
export function partSize(index: number, sizeEstimate = 0): number {
  const wanted = Math.ceil(sizeEstimate / PARTS_BY_ESTIMATE / MIB) * MIB;
  const first = Math.min(LARGEST_PART, Math.max(SMALLEST_PART, wanted));
  const doublings = Math.max(0, Math.floor((index - PARTS_BY_ESTIMATE) / PARTS_BEFORE_DOUBLING) + 1);
  return Math.min(LARGEST_PART, first * 2 ** doublings);
}

/** Streams an object into the bucket. See Store.put. */
export async function putS3(bucket: S3Bucket, name: string, source: AsyncIterable<Uint8Array>, options: PutOptions): Promise<ObjectInfo> {
  const writer = new S3Writer(bucket, name, options);
  return writer.run(source);
}

class S3Writer {
  readonly #bucket: S3Bucket;
  readonly #name: string;
  readonly #options: PutOptions;
  /** Names this version: in its metadata, and its sidecar's name. */
  readonly #write = randomBytes(16).toString('hex');
  /** Aborted by the caller's signal, and by the first part that fails. */
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  readonly #parts: CompletedPart[] = [];
  readonly #inFlight = new Set<Promise<void>>();
  #bytesInFlight = 0;
  readonly #spare: Buffer[] = [];
  #upload: string | undefined;
  #sidecar = false;
  #crc: ((bytes: Uint8Array) => string) | undefined;
  #failure: Error | undefined;
  #done = 0;
  #total = 0;

  constructor(bucket: S3Bucket, name: string, options: PutOptions) {
    this.#bucket = bucket;
    this.#name = name;
    this.#options = options;
    this.#signal = options.signal ? AbortSignal.any([options.signal, this.#stop.signal]) : this.#stop.signal;
  }

  async run(source: AsyncIterable<Uint8Array>): Promise<ObjectInfo> {
    this.#crc = await crc32c();
    try {
      const only = await this.#sendParts(source);
      const metadata = typeof this.#options.metadata === 'function' ? this.#options.metadata() : (this.#options.metadata ?? {});
      checkMetadata(metadata);
      throwIfCancelled(this.#options.signal);
      return await this.#guarded(() => (this.#upload === undefined ? this.#putWhole(only, metadata) : this.#complete(metadata)));
    } catch (thrown) {
      this.#stop.abort(new CancelledError());
      await Promise.allSettled(this.#inFlight);
      await this.#discard();
      throw this.#failure ?? thrown;
    }
  }

  /** Sends all parts; returns the bytes instead when they are few enough for one request. */
  async #sendParts(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
    let first: Buffer | undefined;
    let index = 0;
    for await (const block of blocks(cancellable(source, this.#signal), (at) => this.#take(at))) {
      if (index === 0) first = block;
      else {
        if (first) {
          await this.#create();
          this.#start(first, 1);
          first = undefined;
        }
        this.#start(block, index + 1);
      }
      index += 1;
      while (this.#inFlight.size >= PARALLEL_PARTS || this.#bytesInFlight > MAX_BYTES_IN_FLIGHT) await Promise.race(this.#inFlight);
    }
    while (this.#inFlight.size > 0) await Promise.race(this.#inFlight);
    if (this.#failure) throw this.#failure;
    return first ?? Buffer.alloc(0);
  }

  #take(index: number): Buffer {
    const size = partSize(index, this.#options.sizeEstimate);
    const spare = this.#spare.pop();
    return spare?.length === size ? spare : Buffer.allocUnsafeSlow(size);
  }

  /** The upload is given its metadata here, when the facts of the last byte are not known: then it only says where to find them. */
  async #create(): Promise<void> {
    const { metadata } = this.#options;
    const native = typeof metadata === 'function' ? undefined : nativeMetadata(this.#write, metadata ?? {});
    this.#sidecar = native === undefined;
    const command = new this.#bucket.sdk.CreateMultipartUploadCommand({
      ...this.#bucket.at(this.#name),
      ...this.#attributes(),
      ChecksumAlgorithm: 'CRC32C',
      Metadata: native ?? sidecarMetadata(this.#write),
    });
    const answer = await this.#guarded(() => this.#bucket.client.send(command, { abortSignal: this.#signal }));
    this.#upload = answer.UploadId;
  }

  #start(block: Buffer, number: number): void {
    this.#total += block.length;
    this.#bytesInFlight += block.length;
    const sending = this.#sendPart(block, number).then(
      () => {
        this.#done += block.length;
        this.#options.onProgress?.(this.#done);
        this.#spare.push(Buffer.from(block.buffer as ArrayBuffer));
      },
      (thrown: unknown) => {
        // What fails after the stop failed because of it.
        if (!this.#stop.signal.aborted) this.#failure = thrown as Error;
        this.#stop.abort(new CancelledError());
      },
    );
    const tracked = sending.finally(() => {
      this.#bytesInFlight -= block.length;
      this.#inFlight.delete(tracked);
    });
    this.#inFlight.add(tracked);
  }

  async #sendPart(block: Buffer, number: number): Promise<void> {
    const checksum = this.#checksum(block);
    const command = new this.#bucket.sdk.UploadPartCommand({
      ...this.#bucket.at(this.#name),
      UploadId: this.#upload,
      PartNumber: number,
      Body: block,
      ...checksum,
    });
    const answer = await this.#guarded(() => this.#bucket.client.send(command, { abortSignal: this.#signal }));
    this.#parts[number - 1] = { PartNumber: number, ETag: answer.ETag, ...checksum };
  }

  async #putWhole(bytes: Buffer, metadata: Record<string, string>): Promise<ObjectInfo> {
    const native = nativeMetadata(this.#write, metadata);
    if (!native) await this.#writeSidecar(metadata);
    const command = new this.#bucket.sdk.PutObjectCommand({
      ...this.#bucket.at(this.#name),
      ...this.#attributes(),
      ...this.#condition(),
      Body: bytes,
      Metadata: native ?? sidecarMetadata(this.#write),
      ...this.#checksum(bytes),
    });
    this.#total = bytes.length;
    const info = await this.#commit(metadata, async () => (await this.#bucket.client.send(command, { abortSignal: this.#signal })).ETag);
    if (bytes.length > 0) this.#options.onProgress?.(bytes.length);
    return info;
  }

  async #complete(metadata: Record<string, string>): Promise<ObjectInfo> {
    if (this.#sidecar) await this.#writeSidecar(metadata);
    const command = new this.#bucket.sdk.CompleteMultipartUploadCommand({
      ...this.#bucket.at(this.#name),
      ...this.#condition(),
      UploadId: this.#upload,
      MultipartUpload: { Parts: this.#parts },
    });
    return this.#commit(metadata, async () => (await this.#bucket.client.send(command, { abortSignal: this.#signal })).ETag);
  }

  async #writeSidecar(metadata: Record<string, string>): Promise<void> {
    this.#sidecar = true;
    await putSidecar(this.#bucket, this.#name, this.#write, metadata, this.#signal);
  }

  /** Makes the version visible. The answer to an attempt may be lost although it succeeded: the version itself says whose it is. */
  async #commit(metadata: Record<string, string>, send: () => Promise<string | undefined>): Promise<ObjectInfo> {
    // Only to forget the metadata of the version that is replaced: whether writing is possible, writing shows.
    const previous = this.#options.ifAbsent ? undefined : await headOf(this.#bucket, this.#name, this.#signal).catch(() => undefined);
    let etag: string | undefined;
    try {
      etag = await send();
    } catch (thrown) {
      if (!isConditionFailed(thrown) && s3Failure(thrown)?.code !== 'NoSuchUpload') throw thrown;
      const there = await headOf(this.#bucket, this.#name, this.#signal);
      if (writeOf(there?.Metadata) !== this.#write) {
        if (this.#options.ifAbsent && isConditionFailed(thrown)) throw s3Exists(this.#bucket, this.#name, thrown);
        throw thrown;
      }
      etag = there?.ETag;
    }
    if (previous) await removeSidecar(this.#bucket, this.#name, previous.Metadata).catch(() => undefined);
    // The time is the service's; asking for it is one request more.
    const head = await headOf(this.#bucket, this.#name, this.#options.signal).catch(() => undefined);
    const modified = writeOf(head?.Metadata) === this.#write ? head?.LastModified : undefined;
    return { name: this.#name, size: this.#total, modified: modified ?? new Date(), etag: plainEtag(etag), metadata };
  }

  #attributes() {
    const { contentType, ifAbsent } = this.#options;
    const { lockDays } = this.#bucket;
    // What may be replaced later (status files) is not locked: each version would stay.
    const locked = lockDays > 0 && ifAbsent;
    return {
      ...(contentType === undefined ? {} : { ContentType: contentType }),
      ...(locked ? { ObjectLockMode: 'GOVERNANCE' as const, ObjectLockRetainUntilDate: new Date(Date.now() + lockDays * DAY_MS) } : {}),
    };
  }

  #condition(): { IfNoneMatch?: string } {
    return this.#options.ifAbsent ? { IfNoneMatch: '*' } : {};
  }

  #checksum(bytes: Uint8Array): { ChecksumCRC32C: string } {
    return { ChecksumCRC32C: (this.#crc as (bytes: Uint8Array) => string)(bytes) };
  }

  #guarded<T>(work: () => Promise<T>): Promise<T> {
    return this.#bucket.guarded('Writing', this.#name, this.#options.signal, work);
  }

  /** Best effort: drops what a write that failed has sent. The sweep finds what is left. */
  async #discard(): Promise<void> {
    const { client, sdk } = this.#bucket;
    const abortSignal = AbortSignal.timeout(10_000);
    if (this.#upload !== undefined) {
      const command = new sdk.AbortMultipartUploadCommand({ ...this.#bucket.at(this.#name), UploadId: this.#upload });
      await client.send(command, { abortSignal }).catch(() => undefined);
    }
    if (!this.#sidecar) return;
    // Only when it is certain that the version did not become visible.
    const there = await headOf(this.#bucket, this.#name, abortSignal).catch(() => 'unknown' as const);
    if (there === 'unknown' || writeOf(there?.Metadata) === this.#write) return;
    await removeSidecar(this.#bucket, this.#name, sidecarMetadata(this.#write)).catch(() => undefined);
  }
}

/** The answer to a HEAD; undefined when the object is not there. */
export async function headOf(bucket: S3Bucket, name: string, signal: AbortSignal | undefined) {
  try {
    return await bucket.client.send(new bucket.sdk.HeadObjectCommand(bucket.at(name)), signal ? { abortSignal: signal } : {});
  } catch (thrown) {
    if (isMissing(thrown)) return undefined;
    throw thrown;
  }
}

/** The error of a name that is taken. */
export function s3Exists(bucket: S3Bucket, name: string, cause?: unknown): ObjectExistsError {
  return new ObjectExistsError(`${name} already exists in ${bucket.location} and is not overwritten.`, { cause });
}

/** CRC-32C of bytes as S3 wants it: big-endian, base64. */
async function crc32c(): Promise<(bytes: Uint8Array) => string> {
  const hasher = await createCRC32(CASTAGNOLI);
  return (bytes) => Buffer.from(hasher.init().update(bytes).digest('binary')).toString('base64');
}
