// The plain stream of a backup: a tar of one JSON file per object, with a header before and an index behind them. `docs/format.md` has it in words.
import { apiVersionOf, type KubeObject } from '../kubernetes/resources.ts';
import { PassThrough } from 'node:stream';
import { pack } from 'tar-stream';
import { parseExactJson } from '../kubernetes/json.ts';
import { VerificationError } from '../step/errors.ts';
import { readTar, writeCopy, type TarEntry } from '../tools/tar.ts';
import { mapping, type ObjectId, type ResourceType } from './objects.ts';

/** No object is larger: etcd takes 1.5 MiB, and is set to 8 MiB at the very most. */
export const MAX_OBJECT_BYTES = 16 * 1024 * 1024;
/** The index names each kind, and what could not be read. */
const MAX_INDEX_BYTES = 64 * 1024 * 1024;
/** Deeper than any schema of a custom resource; recursion over it is safe. */
const MAX_DEPTH = 512;
/** Pieces that are handed on. */
const PIECE_BYTES = 256 * 1024;
/** Two blocks of zeros. */
const END_BYTES = 1024;
const BLOCK_BYTES = 512;

export const HEADER = 'archive.json';
export const INDEX = 'index.json';
const FORMAT = 'lifeboat-cluster-state';
/** Stands for the namespace of objects that belong to none; no namespace is called so. */
const CLUSTER = '_cluster';
/** Stands for the core group, whose name is empty. */
const CORE = 'core';

/** What stands first. */
export interface ArchiveHeader {
  /** Hexadecimal. The digests in the manifest are keyed with it, which only who can open the backup knows: they tell nothing about a secret. */
  salt: string;
  /** The report names each object: a safety backup, by which a rollback finds its way. */
  names: boolean;
}

/** A type in the index. */
export interface IndexedType extends ResourceType {
  /** The moment of its list, in the cluster's own count. */
  resourceVersion: string;
  objects: number;
}

/** A part of the cluster that could not be read. */
export interface Unread {
  /** A group's version, or a type: `metrics.k8s.io/v1beta1`. */
  what: string;
  why: string;
}

/** What stands last. Without it the stream is cut. */
export interface ArchiveIndex {
  types: IndexedType[];
  unread: Unread[];
}

/** A file to be packed. */
export interface ArchiveFile {
  name: string;
  bytes: Uint8Array;
}

/** The file of an object. */
export function objectPath({ group, version, plural, namespace, name }: ObjectId): string {
  return ['resources', group === '' ? CORE : group, version, plural, namespace ?? CLUSTER, `${name}.json`].join('/');
}

/** Whose file it is; undefined for a path that is no object's. */
export function objectOfPath(path: string): ObjectId | undefined {
  const parts = path.split('/');
  const [top, group, version, plural, namespace, file] = parts as [string, string, string, string, string, string];
  if (parts.length !== 6 || top !== 'resources' || !file.endsWith('.json')) return undefined;
  const name = file.slice(0, -'.json'.length);
  if ([group, version, plural, namespace, name].some((part) => part === '' || part === '.' || part === '..')) return undefined;
  return { group: group === CORE ? '' : group, version, plural, namespace: namespace === CLUSTER ? undefined : namespace, name };
}

/** Header and index as files. */
export function headerFile(header: ArchiveHeader): ArchiveFile {
  return { name: HEADER, bytes: jsonBytes({ format: FORMAT, version: 1, ...header }) };
}

export function indexFile(index: ArchiveIndex): ArchiveFile {
  return { name: INDEX, bytes: jsonBytes(index) };
}

export function jsonBytes(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

/** Packs files as they come; one of them is in memory at a time. */
export async function* packArchive(files: AsyncIterable<ArchiveFile>): AsyncGenerator<Uint8Array> {
  const tar = pack();
  // The same objects make the same bytes, whenever that is.
  const mtime = new Date(0);
  const feeding = (async () => {
    for await (const { name, bytes } of files) {
      const { promise, resolve, reject } = Promise.withResolvers<undefined>();
      tar.entry({ name, size: bytes.length, mtime, mode: 0o600 }, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), (error) => {
        if (error) reject(error);
        else resolve(undefined);
      });
      await promise;
    }
    tar.finalize();
  })();
  feeding.catch((thrown: unknown) => {
    tar.destroy(thrown as Error);
  });
  try {
    yield* inPieces(tar as AsyncIterable<Uint8Array>);
    await feeding;
  } finally {
    tar.destroy();
    await feeding.catch(() => undefined);
  }
}

/** A tar comes in heads, bodies and paddings: few large pieces cost less from here on. */
async function* inPieces(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of chunks) {
    parts.push(chunk);
    bytes += chunk.length;
    if (bytes < PIECE_BYTES) continue;
    yield Buffer.concat(parts, bytes);
    [parts, bytes] = [[], 0];
  }
  if (bytes > 0) yield Buffer.concat(parts, bytes);
}

/** What is read of an archive, in its order. */
export type Entry =
  | { is: 'header'; header: ArchiveHeader }
  | { is: 'object'; path: string; id: ObjectId; object: KubeObject; bytes: Uint8Array }
  | { is: 'index'; index: ArchiveIndex };

/**
 * Reads an archive to its last byte: every object is parsed, and is what its path says.
 * @throws VerificationError naming the file when the tar is cut, damaged, or holds what no backup holds
 */
export async function* readArchive(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Entry> {
  const tail = new Tail();
  let last: Entry | undefined;
  for await (const file of filesOf(tail.watch(stream))) {
    if (last?.is === 'index') throw damaged(`it has ${shown(file.name)} after its index`);
    if (last === undefined && file.name !== HEADER) throw damaged(`it begins with ${shown(file.name)} and not with ${HEADER}`);
    last = entryOf(file, last);
    yield last;
    if (last.is === 'index') tail.endsAt(file.end);
  }
  if (last?.is !== 'index') throw damaged(`it ends after ${tail.bytes} bytes without its index`, 'It is cut off.');
  tail.check();
}

/** All objects of an archive, for callers that need nothing else. @throws as `readArchive` */
export async function* objectsOf(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Extract<Entry, { is: 'object' }>> {
  for await (const entry of readArchive(stream)) if (entry.is === 'object') yield entry;
}

/** A stream that is pushed, as one that is pulled. A failure of the reader comes out of `write` and `end`. */
export class PushedStream {
  readonly #pipe = new PassThrough({ highWaterMark: 4 * PIECE_BYTES });
  readonly #reading: Promise<void>;
  #failure: { thrown: unknown } | undefined;

  constructor(read: (stream: AsyncIterable<Uint8Array>) => Promise<void>) {
    this.#reading = read(this.#pipe as AsyncIterable<Uint8Array>).catch((thrown: unknown) => {
      this.#failure = { thrown };
      this.#pipe.destroy();
    });
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.#refuse();
    await writeCopy(this.#pipe, chunk);
    this.#refuse();
  }

  async end(): Promise<void> {
    this.#pipe.end();
    await this.#reading;
    this.#refuse();
  }

  #refuse(): void {
    if (this.#failure) throw this.#failure.thrown;
  }
}

interface TarFile {
  name: string;
  bytes: Buffer;
  /** Offset of the first byte behind it and its padding. */
  end: number;
}

/** The files of a tar, each whole. @throws VerificationError when it is cut or damaged, or holds what is no plain file */
function filesOf(stream: AsyncIterable<Uint8Array>): AsyncGenerator<TarFile> {
  return readTar(stream, wholeFile, (reason, cause) => damaged(`it is cut off or damaged (${reason})`, undefined, cause));
}

async function wholeFile(entry: TarEntry): Promise<TarFile> {
  const { type, name, size, byteOffset } = entry.header;
  if (type !== 'file') throw damaged(`it holds ${shown(name)}, which is a ${type}`);
  const most = name === INDEX ? MAX_INDEX_BYTES : MAX_OBJECT_BYTES;
  if (size > most) throw damaged(`${shown(name)} has ${size} bytes, and no object has more than ${most}`);
  const parts: Uint8Array[] = [];
  for await (const part of entry) parts.push(part);
  return { name, bytes: Buffer.concat(parts), end: byteOffset + size + ((BLOCK_BYTES - (size % BLOCK_BYTES)) % BLOCK_BYTES) };
}

/** Nothing stands behind the index but the tar's end, and that is whole: the library reads on over what is missing there. */
class Tail {
  bytes = 0;
  #last = Buffer.alloc(0);
  #end = 0;

  async *watch(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of stream) {
      this.bytes += chunk.length;
      this.#last =
        chunk.length >= END_BYTES
          ? Buffer.from(chunk.subarray(chunk.length - END_BYTES))
          : Buffer.concat([this.#last, chunk]).subarray(-END_BYTES);
      yield chunk;
    }
  }

  endsAt(offset: number): void {
    this.#end = offset;
  }

  check(): void {
    const expected = this.#end + END_BYTES;
    if (this.bytes !== expected) throw damaged(`it has ${this.bytes} bytes, and its index ends it at ${expected}`);
    if (this.#last.some((byte) => byte !== 0)) throw damaged('its end is not empty');
  }
}

function entryOf(file: TarFile, before: Entry | undefined): Entry {
  if (file.name === HEADER) {
    if (before !== undefined) throw damaged(`it holds ${HEADER} twice`);
    return { is: 'header', header: headerOf(file) };
  }
  if (file.name === INDEX) return { is: 'index', index: indexOf(file) };
  const id = objectOfPath(file.name);
  if (id === undefined) throw damaged(`it holds ${shown(file.name)}, which is no object's path`);
  const object = parsed(file) as KubeObject;
  checkObject(object, id, file.name);
  return { is: 'object', path: file.name, id, object, bytes: file.bytes };
}

/** @throws VerificationError for a header of another format */
function headerOf(file: TarFile): ArchiveHeader {
  const { format, version, salt, names } = parsed(file);
  if (format !== FORMAT) throw damaged('its header is not that of an archive of objects');
  if (version !== 1) {
    throw new VerificationError(`The archive of objects has version ${String(version)}, and this program reads 1.`, {
      fix: 'Use the version of Lifeboat that made the backup, or a newer one.',
    });
  }
  if (typeof salt !== 'string' || !/^[0-9a-f]{32}$/.test(salt)) throw damaged('its header has no salt');
  return { salt, names: names === true };
}

function indexOf(file: TarFile): ArchiveIndex {
  const { types, unread } = parsed(file);
  const isText = (value: unknown): value is string => typeof value === 'string';
  const wellFormed =
    Array.isArray(types) &&
    Array.isArray(unread) &&
    types.every((type: unknown) => {
      const { group, version, plural, kind, namespaced, resourceVersion, objects } = mapping(type) ?? {};
      return (
        [group, version, plural, kind, resourceVersion].every(isText) && typeof namespaced === 'boolean' && Number.isSafeInteger(objects)
      );
    }) &&
    unread.every((one: unknown) => isText(mapping(one)?.['what']) && isText(mapping(one)?.['why']));
  if (!wellFormed) throw damaged('its index is not one');
  return { types: types as IndexedType[], unread: unread as Unread[] };
}

/** @throws VerificationError when the object is not what its path says */
function checkObject(object: KubeObject, id: ObjectId, path: string): void {
  const wrong = (what: string): VerificationError => damaged(`${shown(path)} holds ${what}`);
  if (object.apiVersion !== apiVersionOf(id)) throw wrong(`an object of ${shown(object.apiVersion)}`);
  if (typeof object.kind !== 'string' || object.kind === '') throw wrong('an object without a kind');
  const metadata = mapping(object.metadata);
  if (metadata === undefined) throw wrong('an object without metadata');
  if (metadata['name'] !== id.name) throw wrong(`the object ${shown(String(metadata['name']))}`);
  if (metadata['namespace'] !== id.namespace) throw wrong(`an object of the namespace ${shown(String(metadata['namespace']))}`);
}

function parsed({ name, bytes }: TarFile): Record<string, unknown> {
  if (isTooDeep(bytes)) throw damaged(`${shown(name)} is nested more than ${MAX_DEPTH} levels deep`);
  let value: unknown;
  try {
    value = parseExactJson(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw damaged(`${shown(name)} is not JSON`, undefined, cause);
  }
  const found = mapping(value);
  if (found === undefined) throw damaged(`${shown(name)} is not an object`);
  return found;
}

/** Told before it is parsed, so that no recursion ends in an overflow. */
function isTooDeep(bytes: Uint8Array): boolean {
  let depth = 0;
  let inString = false;
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at];
    if (inString) {
      if (byte === 0x5c) at += 1;
      else if (byte === 0x22) inString = false;
    } else if (byte === 0x22) inString = true;
    else if (byte === 0x7b || byte === 0x5b) {
      depth += 1;
      if (depth > MAX_DEPTH) return true;
    } else if (byte === 0x7d || byte === 0x5d) depth -= 1;
  }
  return false;
}

/** A name for a message; hostile ones are as long as a tar allows. */
function shown(name: string): string {
  return JSON.stringify(name.length > 200 ? `${name.slice(0, 200)}…` : name);
}

function damaged(what: string, more?: string, cause?: unknown): VerificationError {
  return new VerificationError(`The archive of objects is not as it was written: ${what}.${more === undefined ? '' : ` ${more}`}`, {
    fix: 'Take another backup, or a copy of this one in another store.',
    cause,
  });
}
