// The store in an S3 bucket (or a folder of one): AWS, and the many services that speak its language.
import type { ListMultipartUploadsOutput } from '@aws-sdk/client-s3';
import pLimit from 'p-limit';
import { throwIfCancelled, UsageError } from '../../step/errors.ts';
import { checkMetadata, checkName, checkPrefix, RESERVED_SEGMENT } from '../names.ts';
import { readableQuery } from '../readable-query.ts';
import { Patience, type PatienceOptions } from '../patience.ts';
import { S3Bucket, type S3Sdk } from './bucket.ts';
import { lockS3 } from './lock.ts';
import { parseSidecarName, removeSidecar, sidecarMetadata, writeOf } from './metadata.ts';
import { headOf, putS3, s3Exists } from './put.ts';
import { partsOf, UPLOAD_NOTES } from './resume.ts';
import { openS3, readS3, statS3 } from './read.ts';
import type { S3StoreConfig } from './schema.ts';
import { setMetadataS3 } from './set-metadata.ts';
import { s3Tiering, type S3Class } from './tier.ts';
import type { Lock, LockOptions, ObjectInfo, ReadOptions, PutOptions, Store, Tiering, WriteOptions } from '../store.ts';
import { once } from '../../tools/once.ts';
import { proxyAgents } from '../../tools/proxy.ts';

const DEFAULT_MAX_BYTES = 64 << 20;
/** A listing of S3 has no metadata: so many objects are asked for theirs at the same time. */
const HEADS_AT_ONCE = 32;

/** Opens a bucket. Sends nothing yet. */
export async function openS3Store(config: S3StoreConfig, waiting: PatienceOptions = {}): Promise<Store> {
  if ((config.accessKeyId === undefined) !== (config.secretAccessKey === undefined)) {
    throw new UsageError(`Half of the access key of bucket ${config.bucket} is missing.`, {
      fix: 'Set accessKeyId and secretAccessKey, or neither: then the environment signs in.',
    });
  }
  const loaded: S3Sdk & { default?: S3Sdk } = await import('@aws-sdk/client-s3');
  // It is CommonJS: a bundle has it as the default only.
  const sdk = loaded.default ?? loaded;
  const { accessKeyId, secretAccessKey, endpoint, region } = config;
  const chosenRegion = region ?? (endpoint === undefined ? undefined : (process.env['AWS_REGION'] ?? 'us-east-1'));
  const client = new sdk.S3Client({
    ...(chosenRegion === undefined ? {} : { region: chosenRegion }),
    ...(endpoint === undefined ? {} : { endpoint, forcePathStyle: true }),
    ...(accessKeyId !== undefined && secretAccessKey !== undefined ? { credentials: { accessKeyId, secretAccessKey } } : {}),
    maxAttempts: 6,
    followRegionRedirects: endpoint === undefined,
    // Parts carry CRC-32C of ours; services that are not AWS often refuse the SDK's own trailing checksums.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: { connectionTimeout: 10_000, socketTimeout: 60_000, ...proxyAgents(endpoint ?? awsEndpoint(chosenRegion)) },
  });
  const prefix = config.prefix === undefined || config.prefix === '' ? '' : `${config.prefix}/`;
  const location = s3Address(config);
  const patience = new Patience(location, waiting);
  const bucket = new S3Bucket({ sdk, client, bucket: config.bucket, prefix, location, lockDays: config.lockDays ?? 0, patience });
  return new S3Store(bucket, config.storageClass);
}

/** Where the requests go, as far as a proxy wants to know it. */
function awsEndpoint(region = 'us-east-1'): string {
  return `https://s3.${region}.amazonaws.com`;
}

/** The address that opens the same store again; no secrets. */
export function s3Address({ bucket, prefix, region, endpoint, lockDays }: S3StoreConfig): string {
  const path = prefix === undefined || prefix === '' ? '' : `/${prefix}`;
  return `s3://${bucket}${path}${readableQuery({ region, endpoint, lockDays: lockDays?.toString() })}`;
}

class S3Store implements Store {
  readonly kind = 's3';
  readonly isService = true;
  readonly location: string;
  readonly tiering: Tiering;
  readonly #bucket: S3Bucket;
  readonly #storageClass: S3Class | undefined;

  constructor(bucket: S3Bucket, storageClass: S3Class | undefined) {
    this.tiering = s3Tiering(bucket);
    this.#storageClass = storageClass;
    this.#bucket = bucket;
    this.location = bucket.location;
  }

  async put(name: string, source: AsyncIterable<Uint8Array>, options: PutOptions = {}): Promise<ObjectInfo> {
    checkName(name);
    throwIfCancelled(options.signal);
    // The commit decides; asking first saves sending a whole backup in vain.
    if (options.ifAbsent && (await this.stat(name, options.signal))) throw s3Exists(this.#bucket, name);
    return putS3(this.#bucket, name, source, { ...options, storageClass: this.#storageClass });
  }

  async write(name: string, bytes: Uint8Array, options: WriteOptions = {}): Promise<ObjectInfo> {
    checkName(name);
    if (typeof options.metadata === 'object') checkMetadata(options.metadata);
    return putS3(this.#bucket, name, once(bytes), { ...options, sizeEstimate: bytes.length });
  }

  async read(name: string, options: { maxBytes?: number; signal?: AbortSignal | undefined } = {}): Promise<Uint8Array | undefined> {
    checkName(name);
    return readS3(this.#bucket, name, options.maxBytes ?? DEFAULT_MAX_BYTES, options.signal);
  }

  async stat(name: string, signal?: AbortSignal): Promise<ObjectInfo | undefined> {
    checkName(name);
    return statS3(this.#bucket, name, signal);
  }

  async setMetadata(name: string, metadata: Readonly<Record<string, string>>, signal?: AbortSignal): Promise<void> {
    checkName(name);
    checkMetadata(metadata);
    await setMetadataS3(this.#bucket, name, { ...metadata }, signal);
  }

  async *open(name: string, options: ReadOptions = {}): AsyncGenerator<Uint8Array, void> {
    checkName(name);
    yield* openS3(this.#bucket, name, options);
  }

  async *list(prefix: string, signal?: AbortSignal): AsyncGenerator<ObjectInfo, void> {
    checkPrefix(prefix);
    for await (const page of this.#pages(prefix, signal)) {
      const names = page.filter(({ name }) => !name.startsWith(`${RESERVED_SEGMENT}/`) && !name.endsWith('/'));
      for (let at = 0; at < names.length; at += HEADS_AT_ONCE) {
        const infos = names.slice(at, at + HEADS_AT_ONCE).map(({ name }) => statS3(this.#bucket, name, signal));
        // Deleted meanwhile: not there.
        for (const info of await Promise.all(infos)) if (info) yield info;
      }
    }
  }

  /** Names below a prefix (the store's own included) as S3 lists them: by the bytes of UTF-8. */
  async *#pages(prefix: string, signal: AbortSignal | undefined) {
    const { sdk, bucket, prefix: root } = this.#bucket;
    let token: string | undefined;
    do {
      const input = { Bucket: bucket, Prefix: root + prefix, ...(token === undefined ? {} : { ContinuationToken: token }) };
      const page = await this.#bucket.guarded('Listing', prefix, signal, () =>
        this.#bucket.send(new sdk.ListObjectsV2Command(input), signal),
      );
      yield (page.Contents ?? []).map(({ Key, LastModified }) => ({
        name: (Key ?? '').slice(root.length),
        modified: LastModified ?? new Date(),
      }));
      token = page.NextContinuationToken;
    } while (token !== undefined && token !== '');
  }

  async delete(name: string, signal?: AbortSignal): Promise<boolean> {
    checkName(name);
    return this.#bucket.guarded('Deleting', name, signal, async () => {
      // S3 answers alike whether there was something or not.
      const head = await headOf(this.#bucket, name, signal);
      if (!head) return false;
      const command = new this.#bucket.sdk.DeleteObjectCommand(this.#bucket.at(name));
      await this.#bucket.send(command, signal);
      await removeSidecar(this.#bucket, name, head.Metadata);
      return true;
    });
  }

  async lock(name: string, options: LockOptions): Promise<Lock> {
    checkName(name);
    return lockS3(this.#bucket, name, options);
  }

  /** Drops uploads that have had no part since `olderThan`, and sidecars of versions that never came to be or are gone. */
  async sweep(prefix: string, olderThan: Date, signal?: AbortSignal): Promise<number> {
    checkPrefix(prefix);
    return this.#bucket.guarded('Cleaning', prefix, signal, async () => {
      // A note may be older than the upload's last part: without it the upload begins anew, which is all.
      await this.#sweepNotes(olderThan, signal);
      return (await this.#sweepUploads(prefix, olderThan, signal)) + (await this.#sweepSidecars(prefix, olderThan, signal));
    });
  }

  async #sweepUploads(prefix: string, olderThan: Date, signal: AbortSignal | undefined): Promise<number> {
    const { sdk, bucket, prefix: root } = this.#bucket;
    let dropped = 0;
    let from: { KeyMarker?: string | undefined; UploadIdMarker?: string | undefined } | undefined = {};
    while (from) {
      const page: ListMultipartUploadsOutput = await this.#bucket.send(
        new sdk.ListMultipartUploadsCommand({ Bucket: bucket, Prefix: root + prefix, ...from }),
        signal,
      );
      for (const { Key, UploadId, Initiated } of page.Uploads ?? []) {
        if (Key === undefined || UploadId === undefined || !Initiated || Initiated >= olderThan) continue;
        const upload = { Bucket: bucket, Key, UploadId };
        if ((await this.#lastPart(upload, signal)) >= olderThan) continue;
        await this.#bucket.send(new sdk.AbortMultipartUploadCommand(upload), signal);
        dropped += 1;
      }
      from = page.IsTruncated ? { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker } : undefined;
    }
    return dropped;
  }

  /** When an upload was last given a part; long ago when it has none. */
  async #lastPart(upload: { Bucket: string; Key: string; UploadId: string }, signal: AbortSignal | undefined): Promise<Date> {
    let newest = new Date(0);
    for await (const { LastModified } of partsOf(this.#bucket, upload, signal)) {
      if (LastModified && LastModified > newest) newest = LastModified;
    }
    return newest;
  }

  /** Notes of uploads that no run went on with; those of uploads that are gone mean nothing. */
  async #sweepNotes(olderThan: Date, signal: AbortSignal | undefined): Promise<void> {
    for await (const page of this.#pages(`${RESERVED_SEGMENT}/${UPLOAD_NOTES}`, signal)) {
      for (const { name } of page.filter(({ modified }) => modified < olderThan)) {
        await this.#bucket.send(new this.#bucket.sdk.DeleteObjectCommand(this.#bucket.at(name)), signal);
      }
    }
  }

  async #sweepSidecars(prefix: string, olderThan: Date, signal: AbortSignal | undefined): Promise<number> {
    const limit = pLimit(HEADS_AT_ONCE);
    let dropped = 0;
    for await (const page of this.#pages(`${RESERVED_SEGMENT}/metadata/${prefix}`, signal)) {
      const old = page
        .filter(({ modified }) => modified < olderThan)
        .map(({ name }) => parseSidecarName(name.slice(RESERVED_SEGMENT.length + 1)));
      const removals = old.map((sidecar) =>
        limit(async () => {
          if (!sidecar) return;
          const head = await headOf(this.#bucket, sidecar.name, signal);
          if (writeOf(head?.Metadata) === sidecar.write) return;
          await removeSidecar(this.#bucket, sidecar.name, sidecarMetadata(sidecar.write));
          dropped += 1;
        }),
      );
      await Promise.all(removals);
    }
    return dropped;
  }
}
