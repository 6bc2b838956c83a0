// Writing an object to S3 from a stream: a small one with one request, a large one in parts with checksums, sent in parallel; then one commit.
import { createHash, randomBytes } from 'node:crypto';
import type { CompletedPart } from '@aws-sdk/client-s3';
import { createCRC32 } from 'hash-wasm';
import { throwIfCancelled } from '../../step/errors.ts';
import { ObjectExistsError } from '../errors.ts';
import { checkMetadata } from '../names.ts';
import { isConditionFailed, isMissing, plainEtag, s3Failure, type Checksum, type S3Bucket } from './bucket.ts';
import { nativeMetadata, putSidecar, removeSidecar, sidecarMetadata, writeOf } from './metadata.ts';
import { growingPart, keepsForLater, PartSender, type Growth } from '../parts.ts';
import { forgetUpload, interruptedUpload, noteUpload } from './resume.ts';
import type { S3Class } from './tier.ts';
import type { ObjectInfo, PutOptions, Resumption } from '../store.ts';

/**
 * An object has at most 10,000 parts. An estimate takes 5,000 of them; from there on they double every 500 up to 1 GiB, so that a stream
 * without an estimate reaches 2.5 TiB and any other one ten times its estimate, up to S3's own limit.
 */
const GROWTH: Growth = { byEstimate: 5_000, beforeDoubling: 500 };
/** CRC-32C (Castagnoli), reflected. */
const CASTAGNOLI = 0x82f63b78;
const DAY_MS = 86_400_000;

/** Size of part number `index` (0-based). */
export function partSize(index: number, sizeEstimate = 0): number {
  return growingPart(index, sizeEstimate, GROWTH);
}

export interface S3PutOptions extends PutOptions {
  /** The bucket's standard one when absent. */
  storageClass?: S3Class | undefined;
}

/** Streams an object into the bucket. See Store.put. `sizeOf` is for tests. */
export async function putS3(
  bucket: S3Bucket,
  name: string,
  source: AsyncIterable<Uint8Array>,
  options: S3PutOptions,
  sizeOf = partSize,
): Promise<ObjectInfo> {
  return new S3Writer(bucket, name, options, sizeOf).run(source);
}

class S3Writer {
  readonly #bucket: S3Bucket;
  readonly #name: string;
  readonly #options: S3PutOptions;
  /** Names this version: in its metadata, and its sidecar's name. */
  readonly #write: string;
  readonly #sizeOf: (index: number) => number;
  readonly #sender: PartSender;
  readonly #parts: CompletedPart[] = [];
  #upload: string | undefined;
  #sidecar = false;
  #crc: ((bytes: Uint8Array) => string) | undefined;

  constructor(bucket: S3Bucket, name: string, options: S3PutOptions, sizeOf: typeof partSize) {
    this.#bucket = bucket;
    this.#name = name;
    this.#options = options;
    const { resume } = options;
    // The version that another run goes on with is the one that this one has begun.
    this.#write = resume
      ? createHash('sha256').update(`${name}\n${resume.identity}`).digest('hex').slice(0, 32)
      : randomBytes(16).toString('hex');
    this.#sizeOf = (index) => sizeOf(index, options.sizeEstimate);
    this.#sender = new PartSender({
      sizeOf: this.#sizeOf,
      begin: () => this.#create(),
      send: (part, index, signal) => this.#sendPart(part, index + 1, signal),
      onProgress: options.onProgress,
      signal: options.signal,
    });
  }

  async run(source: AsyncIterable<Uint8Array>): Promise<ObjectInfo> {
    this.#crc = await crc32c();
    try {
      const offset = await this.#goOn();
      const whole = await this.#sender.sendAll(offset === 0 ? source : (this.#options.resume as Resumption).from(offset));
      const metadata = typeof this.#options.metadata === 'function' ? this.#options.metadata() : (this.#options.metadata ?? {});
      checkMetadata(metadata);
      throwIfCancelled(this.#options.signal);
      return await this.#guarded(() => (whole ? this.#putWhole(whole, metadata) : this.#complete(metadata)));
    } catch (thrown) {
      await this.#sender.abort();
      const failure = this.#sender.failure ?? thrown;
      if (!keepsForLater(this.#options, failure)) await this.#discard();
      throw failure;
    }
  }

  /** Finds what an interrupted upload of the same bytes has sent. @returns how many bytes need not be sent again */
  async #goOn(): Promise<number> {
    const { resume, signal } = this.#options;
    if (!resume) return 0;
    const found = await this.#guarded(() => interruptedUpload(this.#bucket, this.#name, resume.identity, this.#sizeOf, signal));
    if (!found) return 0;
    this.#upload = found.upload;
    this.#sidecar = this.#nativeMetadata() === undefined;
    this.#parts.push(...found.parts);
    this.#sender.goOn(found.parts.length, found.bytes);
    return found.bytes;
  }

  /** The upload is given its metadata here, when the facts of the last byte are not known: then it only says where to find them. */
  async #create(): Promise<void> {
    const native = this.#nativeMetadata();
    this.#sidecar = native === undefined;
    const command = (checksum: Checksum) =>
      new this.#bucket.sdk.CreateMultipartUploadCommand({
        ...this.#bucket.at(this.#name),
        ...this.#attributes(),
        ...(checksum === 'crc32c' ? { ChecksumAlgorithm: 'CRC32C' } : {}),
        Metadata: native ?? sidecarMetadata(this.#write),
      });
    const answer = await this.#guarded(() => this.#bucket.checked((sum) => this.#bucket.send(command(sum), this.#options.signal)));
    this.#upload = answer.UploadId;
    const { resume, signal } = this.#options;
    if (!resume || this.#upload === undefined) return;
    const note = { identity: resume.identity, upload: this.#upload };
    await this.#guarded(() => noteUpload(this.#bucket, this.#name, note, signal));
  }

  /** Metadata that S3 itself can keep; undefined when it is not known yet, or too much. */
  #nativeMetadata(): Record<string, string> | undefined {
    const { metadata } = this.#options;
    return typeof metadata === 'function' ? undefined : nativeMetadata(this.#write, metadata ?? {});
  }

  async #sendPart(part: Buffer, number: number, signal: AbortSignal): Promise<void> {
    const target = { ...this.#bucket.at(this.#name), UploadId: this.#upload, PartNumber: number };
    this.#parts[number - 1] = await this.#guarded(() =>
      this.#bucket.checked((sum) =>
        this.#bucket.tries(async (round) => {
          const checksum = this.#checksum(part, sum);
          // After an outage: the part may have arrived, and only the answer was lost.
          const there = round > 1 ? await this.#partThere(number, part.length, checksum, signal) : undefined;
          const command = new this.#bucket.sdk.UploadPartCommand({ ...target, Body: part, ...checksum });
          const etag = there ?? (await this.#bucket.client.send(command, { abortSignal: signal })).ETag;
          // An MD5 is for the way only: the service does not keep it.
          return { PartNumber: number, ETag: etag, ...(checksum.ChecksumCRC32C ? { ChecksumCRC32C: checksum.ChecksumCRC32C } : {}) };
        }, signal),
      ),
    );
  }

  /** The ETag of a part that the service has, if its size and checksum are right. */
  async #partThere(
    number: number,
    size: number,
    { ChecksumCRC32C: checksum, ContentMD5: md5 }: SentChecksum,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const input = { ...this.#bucket.at(this.#name), UploadId: this.#upload, PartNumberMarker: String(number - 1), MaxParts: 1 };
    const { Parts: [part] = [] } = await this.#bucket.client.send(new this.#bucket.sdk.ListPartsCommand(input), { abortSignal: signal });
    if (part?.PartNumber !== number || part.Size !== size) return undefined;
    // The ETag of a part is its MD5.
    const same = checksum === undefined ? plainEtag(part.ETag) === hexOf(md5) : part.ChecksumCRC32C === checksum;
    return same ? part.ETag : undefined;
  }

  async #putWhole(bytes: Buffer, metadata: Record<string, string>): Promise<ObjectInfo> {
    const native = nativeMetadata(this.#write, metadata);
    if (!native) await this.#writeSidecar(metadata);
    const command = (checksum: Checksum) =>
      new this.#bucket.sdk.PutObjectCommand({
        ...this.#bucket.at(this.#name),
        ...this.#attributes(),
        ...this.#condition(),
        Body: bytes,
        Metadata: native ?? sidecarMetadata(this.#write),
        ...this.#checksum(bytes, checksum),
      });
    const send = () => this.#bucket.checked(async (sum) => (await this.#bucket.send(command(sum), this.#options.signal)).ETag);
    const info = await this.#commit(metadata, send);
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
    const info = await this.#commit(metadata, async () => (await this.#bucket.send(command, this.#options.signal)).ETag);
    if (this.#options.resume) await forgetUpload(this.#bucket, this.#name, this.#options.signal).catch(() => undefined);
    return info;
  }

  async #writeSidecar(metadata: Record<string, string>): Promise<void> {
    this.#sidecar = true;
    await putSidecar(this.#bucket, this.#name, this.#write, metadata, this.#options.signal);
  }

  /** Makes the version visible. The answer to an attempt may be lost although it succeeded: the version itself says whose it is. */
  async #commit(metadata: Record<string, string>, send: () => Promise<string | undefined>): Promise<ObjectInfo> {
    // Only to forget the metadata of the version that is replaced: whether writing is possible, writing shows.
    const previous = this.#options.ifAbsent
      ? undefined
      : await headOf(this.#bucket, this.#name, this.#options.signal).catch(() => undefined);
    let etag: string | undefined;
    try {
      etag = await send();
    } catch (thrown) {
      if (!isConditionFailed(thrown) && s3Failure(thrown)?.code !== 'NoSuchUpload') throw thrown;
      const there = await headOf(this.#bucket, this.#name, this.#options.signal);
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
    return { name: this.#name, size: this.#sender.total, modified: modified ?? new Date(), etag: plainEtag(etag), metadata };
  }

  #attributes() {
    const { contentType, ifAbsent, storageClass } = this.#options;
    const { lockDays } = this.#bucket;
    // What may be replaced later (status files) is not locked: each version would stay.
    const locked = lockDays > 0 && ifAbsent;
    return {
      ContentType: contentType,
      StorageClass: storageClass,
      ...(locked ? { ObjectLockMode: 'GOVERNANCE' as const, ObjectLockRetainUntilDate: new Date(Date.now() + lockDays * DAY_MS) } : {}),
    };
  }

  #condition(): { IfNoneMatch?: string } {
    return this.#options.ifAbsent ? { IfNoneMatch: '*' } : {};
  }

  #checksum(bytes: Uint8Array, kind: Checksum): SentChecksum {
    if (kind === 'crc32c') return { ChecksumCRC32C: (this.#crc as (bytes: Uint8Array) => string)(bytes) };
    return kind === 'md5' ? { ContentMD5: createHash('md5').update(bytes).digest('base64') } : {};
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
      if (this.#options.resume) await forgetUpload(this.#bucket, this.#name, abortSignal).catch(() => undefined);
    }
    if (!this.#sidecar) return;
    // Only when it is certain that the version did not become visible.
    const there = await headOf(this.#bucket, this.#name, abortSignal).catch(() => 'unknown' as const);
    if (there === 'unknown' || writeOf(there?.Metadata) === this.#write) return;
    await removeSidecar(this.#bucket, this.#name, sidecarMetadata(this.#write)).catch(() => undefined);
  }
}

/** What guards a body on its way. */
interface SentChecksum {
  ChecksumCRC32C?: string;
  ContentMD5?: string;
}

function hexOf(base64: string | undefined): string | undefined {
  return base64 === undefined ? undefined : Buffer.from(base64, 'base64').toString('hex');
}

/** The answer to a HEAD; undefined when the object is not there. */
export async function headOf(bucket: S3Bucket, name: string, signal: AbortSignal | undefined) {
  try {
    return await bucket.send(new bucket.sdk.HeadObjectCommand(bucket.at(name)), signal);
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
