// What a store keeps, seen from below: objects and files that chance or a stranger changes without asking Lifeboat.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import type { ContainerClient } from '@azure/storage-blob';

export interface Stored {
  bytes: Buffer;
  /** Of an object of a cloud; files have none (theirs lie in files of their own). */
  metadata?: Record<string, string>;
}

export interface RawStore {
  names(): Promise<string[]>;
  read(name: string): Promise<Stored>;
  put(name: string, stored: Stored): Promise<void>;
  remove(name: string): Promise<void>;
  /** Puts something back as it was, in every respect that the store shows where that can be done. */
  restore(name: string, original: Stored): Promise<void>;
  /** Makes locks look as if nobody had renewed them since. */
  expireLocks(since: Date): Promise<void>;
  /** Makes what interrupted writes left look as if it were from then, where files have times that can be set. */
  ageUnfinished(then: Date): Promise<void>;
  /** Uploads that were begun and never ended, where the service keeps them apart from objects. */
  unfinished(): Promise<string[]>;
}

const LOCK = /(?:^|\/)locks\//;

/** Files below a folder: a folder store, the folder of an SFTP server, a folder vault. */
export class RawFiles implements RawStore {
  readonly #root: string;
  readonly #aside: string;

  /** @param aside a folder on the same disk where originals wait */
  constructor(root: string, aside: string) {
    this.#root = root;
    this.#aside = aside;
    mkdirSync(aside, { recursive: true });
  }

  async names(): Promise<string[]> {
    if (!existsSync(this.#root)) return [];
    return readdirSync(this.#root, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => relative(this.#root, join(entry.parentPath, entry.name)))
      .sort();
  }

  async read(name: string): Promise<Stored> {
    return { bytes: readFileSync(join(this.#root, name)) };
  }

  async put(name: string, { bytes }: Stored): Promise<void> {
    this.#keep(name);
    mkdirSync(dirname(join(this.#root, name)), { recursive: true });
    writeFileSync(join(this.#root, name), bytes, { mode: 0o600 });
  }

  async remove(name: string): Promise<void> {
    this.#keep(name);
    rmSync(join(this.#root, name), { force: true });
  }

  async restore(name: string, { bytes }: Stored): Promise<void> {
    const kept = this.#place(name);
    mkdirSync(dirname(join(this.#root, name)), { recursive: true });
    // The same file again, with its number and its times.
    if (existsSync(kept)) renameSync(kept, join(this.#root, name));
    else writeFileSync(join(this.#root, name), bytes, { mode: 0o600 });
  }

  async expireLocks(since: Date): Promise<void> {
    await this.#age(LOCK, since);
  }

  async ageUnfinished(then: Date): Promise<void> {
    await this.#age(/\/temporary\//, then);
  }

  async #age(which: RegExp, then: Date): Promise<void> {
    // A living run may take its file away at the same moment.
    for (const name of await this.names())
      if (which.test(name) && existsSync(join(this.#root, name))) utimesSync(join(this.#root, name), then, then);
  }

  async unfinished(): Promise<string[]> {
    return [];
  }

  #place(name: string): string {
    return join(this.#aside, createHash('sha256').update(name).digest('hex'));
  }

  #keep(name: string): void {
    if (!existsSync(this.#place(name)) && existsSync(join(this.#root, name))) renameSync(join(this.#root, name), this.#place(name));
  }
}

/** Blobs of a container. */
export class RawBlobs implements RawStore {
  readonly #container: ContainerClient;

  constructor(container: ContainerClient) {
    this.#container = container;
  }

  async names(): Promise<string[]> {
    const names: string[] = [];
    for await (const { name } of this.#container.listBlobsFlat()) names.push(name);
    return names;
  }

  async read(name: string): Promise<Stored> {
    const blob = this.#container.getBlockBlobClient(name);
    const [bytes, { metadata = {} }] = await Promise.all([blob.downloadToBuffer(), blob.getProperties()]);
    return { bytes, metadata };
  }

  async put(name: string, { bytes, metadata = {} }: Stored): Promise<void> {
    await this.#container.getBlockBlobClient(name).upload(bytes, bytes.length, { metadata });
  }

  async remove(name: string): Promise<void> {
    await this.#container.getBlockBlobClient(name).deleteIfExists();
  }

  async restore(name: string, original: Stored): Promise<void> {
    await this.put(name, original);
  }

  /** A broken lease is as free to others as one that has ended. */
  async expireLocks(): Promise<void> {
    for await (const { name, properties } of this.#container.listBlobsFlat()) {
      if (properties.leaseState === 'leased') await this.#container.getBlobClient(name).getBlobLeaseClient().breakLease(0);
    }
  }

  async ageUnfinished(): Promise<void> {
    // The service stamps them itself; runs judge by their clocks.
  }

  async unfinished(): Promise<string[]> {
    const committed = new Set(await this.names());
    const found: string[] = [];
    for await (const { name } of this.#container.listBlobsFlat({ includeUncommitedBlobs: true })) {
      // Blocks of a record of some hundred bytes: Azure itself drops them after a week.
      if (!committed.has(name) && name.endsWith('/data')) found.push(`blocks of ${name}`);
    }
    return found;
  }
}

/** Objects of a bucket. */
export class RawBucket implements RawStore {
  readonly #client: S3Client;
  readonly #bucket: string;

  constructor(client: S3Client, bucket: string) {
    this.#client = client;
    this.#bucket = bucket;
  }

  async names(): Promise<string[]> {
    const { Contents = [] } = await this.#client.send(new ListObjectsV2Command({ Bucket: this.#bucket }));
    return Contents.flatMap(({ Key }) => (Key === undefined || Key.endsWith('/') ? [] : [Key]));
  }

  async read(name: string): Promise<Stored> {
    const { Body, Metadata = {} } = await this.#client.send(new GetObjectCommand({ Bucket: this.#bucket, Key: name }));
    return { bytes: Buffer.from((await Body?.transformToByteArray()) ?? []), metadata: Metadata };
  }

  async put(name: string, { bytes, metadata = {} }: Stored): Promise<void> {
    await this.#client.send(new PutObjectCommand({ Bucket: this.#bucket, Key: name, Body: bytes, Metadata: metadata }));
  }

  async remove(name: string): Promise<void> {
    await this.#client.send(new DeleteObjectCommand({ Bucket: this.#bucket, Key: name }));
  }

  async restore(name: string, original: Stored): Promise<void> {
    await this.put(name, original);
  }

  /** The service stamps its objects itself: a lock whose record expires at once is as good as an old one. */
  async expireLocks(): Promise<void> {
    for (const name of await this.names()) {
      if (!LOCK.test(name)) continue;
      const record = JSON.parse((await this.read(name)).bytes.toString()) as { owner?: string };
      if (record.owner !== undefined) await this.put(name, { bytes: Buffer.from(JSON.stringify({ ...record, expiresAfter: 1 })) });
    }
  }

  async ageUnfinished(): Promise<void> {
    // The service stamps them itself; runs judge by their clocks.
  }

  async unfinished(): Promise<string[]> {
    const { Uploads = [] } = await this.#client.send(new ListMultipartUploadsCommand({ Bucket: this.#bucket }));
    return Uploads.map(({ Key }) => `parts of ${Key ?? ''}`);
  }
}
