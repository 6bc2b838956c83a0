// Turns a tar of a mongodump folder (`<db>/<collection>.bson` and `.metadata.json`) into an archive stream, in two passes over the tar:
// the archive names all collections before the first document, the tar does not.
import { createCRC64 } from 'hash-wasm';
import { Readable } from 'node:stream';
import { UserError, VerificationError } from '../../step/errors.ts';
import { readTar, type TarEntry } from '../../tools/tar.ts';
import {
  documentEnd,
  int32,
  largestDocument,
  MalformedDocumentError,
  namespaceName,
  TERMINATOR,
  type CollectionEntry,
  type Namespace,
} from '../archive.ts';
import { encodeBlockHeader, encodeNamespaceEnd, encodePrelude } from '../archive-writer.ts';
import { formatMetadata, parseMetadata } from '../collection-metadata.ts';
import { orderedDocument } from '../field-order.ts';
import { gunzip } from '../plain-archive.ts';
import type { BSON } from '../bson.ts';
import { printable } from '../../step/prose.ts';

/** Documents per block of the archive, in bytes, about. */
const BLOCK_BYTES = 1024 * 1024;
/** A collection's metadata is larger only if it is none. */
const MAX_METADATA_BYTES = 16 * 1024 * 1024;
const TOOL_VERSION = 'lifeboat import';
/** What the archive says where the dump did not. mongorestore refuses one without three numbers. */
export const UNKNOWN_VERSION = '0.0.0';

/** One collection of the dump, found in the first pass. */
interface FolderCollection {
  entry: CollectionEntry;
  /** Under which name the documents stand in the archive; differs for a time series. */
  data: Namespace;
  /** Name of the `.bson` file in the tar; undefined for a view. */
  file: string | undefined;
}

/** A dump folder as the first pass found it. */
export interface DumpFolder {
  collections: FolderCollection[];
  serverVersion: string;
  /** Bytes of `.bson` files as packed in the tar. */
  bytes: number;
  /** Files that do not belong to a dump. */
  ignored: string[];
  /** What the dump has and a restore cannot bring back. One sentence each. */
  lost: string[];
}

type NewPass = () => AsyncIterable<Uint8Array>;

/**
 * First pass: which collections there are, with their metadata.
 * @throws UserError when it is no dump folder, or names in it lead out of it; VerificationError when the tar is damaged
 */
export async function surveyDumpFolder(tar: NewPass): Promise<DumpFolder> {
  const files = new Map<string, number>();
  const metadata = new Map<string, string>();
  const systems: SystemFiles = { indexes: new Map(), users: [] };
  const ignored: string[] = [];
  let serverVersion = UNKNOWN_VERSION;
  for await (const entry of entriesOf(tar())) {
    const { name, size } = entry.header;
    const path = safeName(name);
    if (isBson(path)) {
      if (files.has(path)) throw new UserError(`The tar holds ${path} twice.`, { fix: 'Unpack it, keep the right one, pack it again.' });
      files.set(path, size);
      await readSystemFile(entry, path, systems);
    } else if (/\.metadata\.json(\.gz)?$/.test(path)) metadata.set(plainName(path), await smallText(entry, path));
    else if (/(^|\/)prelude\.json(\.gz)?$/.test(path)) serverVersion = versionIn(await smallText(entry, path)) ?? serverVersion;
    else ignored.push(path);
    entry.resume();
  }
  if (files.size === 0) {
    throw new UserError('The tar holds no .bson file: it is not a dump folder of mongodump.', {
      fix: 'Import a tar of the folder that mongodump --out wrote: <database>/<collection>.bson.',
    });
  }
  const indexes = withSystemIndexes(collectionsOf([...files.keys()], metadata), systems.indexes);
  return {
    collections: indexes.collections,
    serverVersion,
    bytes: [...files.values()].reduce((sum, size) => sum + size, 0),
    ignored,
    lost: [...indexes.lost, ...systems.users],
  };
}

/** Second pass: the archive. @throws VerificationError naming the file that is cut or damaged */
export async function* archiveOfDumpFolder(tar: NewPass, { collections, serverVersion }: DumpFolder): AsyncGenerator<Uint8Array> {
  yield encodePrelude(
    { concurrentCollections: 1, version: '0.1', serverVersion, toolVersion: TOOL_VERSION },
    collections.map(({ entry }) => entry),
  );
  const byFile = new Map(collections.map((collection) => [collection.file, collection]));
  const left = new Set(collections);
  for await (const entry of entriesOf(tar())) {
    const path = safeName(entry.header.name);
    const collection = isBson(path) ? byFile.get(path) : undefined;
    if (!collection) {
      entry.resume();
      continue;
    }
    left.delete(collection);
    yield* collectionBlocks(plainEntry(entry, path), collection.data, path);
  }
  // Views, and collections of which a dump has the metadata alone.
  for (const { data, file } of left) {
    if (file !== undefined)
      throw new VerificationError(`${file} was in the tar a moment ago and is gone: the file changed while it was read.`);
    yield* collectionBlocks(Readable.from([]), data, '');
  }
}

/** Blocks of whole documents, and the end of the namespace with its checksum. */
async function* collectionBlocks(bson: AsyncIterable<Uint8Array>, data: Namespace, path: string): AsyncGenerator<Uint8Array> {
  const crc = (await createCRC64('c96c5795d7870f42')).init();
  const header = encodeBlockHeader(data);
  let blocks = 0;
  for await (const documents of wholeDocuments(bson, path, largestDocument(data))) {
    crc.update(documents);
    blocks += 1;
    yield Buffer.concat([header, documents, TERMINATOR]);
  }
  const end = encodeNamespaceEnd(data, BigInt(`0x${crc.digest()}`));
  // mongodump writes one empty block for an empty collection.
  yield blocks === 0 ? Buffer.concat([header, TERMINATOR, end]) : end;
}

/** Cuts a stream of documents into pieces of whole ones. @throws VerificationError with the byte offset in the file */
async function* wholeDocuments(bson: AsyncIterable<Uint8Array>, path: string, largest: number): AsyncGenerator<Uint8Array> {
  let held: Buffer = Buffer.alloc(0);
  let offset = 0;
  /** What the next document needs at least: until then, collecting is cheaper than trying. */
  let parts: Uint8Array[] = [];
  let waiting = 0;
  for await (const chunk of bson) {
    parts.push(Uint8Array.from(chunk));
    waiting += chunk.length;
    if (waiting < BLOCK_BYTES) continue;
    held = Buffer.concat([held, ...parts]);
    [parts, waiting] = [[], 0];
    const end = endOfWhole(held, { path, offset, largest });
    if (end > 0) yield held.subarray(0, end);
    held = held.subarray(end);
    offset += end;
  }
  held = Buffer.concat([held, ...parts]);
  const end = endOfWhole(held, { path, offset, largest });
  if (end < held.length) {
    throw new VerificationError(`${path} ends in the middle of a document, at byte ${offset + end}: it is cut off or damaged.`, {
      fix: 'Nothing was stored. Look for another copy of the old backup.',
    });
  }
  if (end > 0) yield held;
}

function endOfWhole(bytes: Uint8Array, { path, offset, largest }: { path: string; offset: number; largest: number }): number {
  let at = 0;
  try {
    for (let end = documentEnd(bytes, at, largest); end > 0; end = documentEnd(bytes, at, largest)) at = end;
  } catch (thrown) {
    if (!(thrown instanceof MalformedDocumentError)) throw thrown;
    throw new VerificationError(`${path} is damaged at byte ${offset + thrown.index}: ${thrown.message}.`, { cause: thrown });
  }
  return at;
}

/** The files of a tar, one after the other. @throws VerificationError when it is cut off or damaged; UserError for what is no file */
function entriesOf(tar: AsyncIterable<Uint8Array>): AsyncGenerator<TarEntry> {
  return readTar(
    tar,
    (entry) => {
      const { type, name } = entry.header;
      if (type === 'file' || type === 'contiguous-file') return entry;
      if (type !== 'directory') throw new UserError(`The tar holds ${JSON.stringify(name)}, which is a ${type}: dumps hold only files.`);
      entry.resume();
      return undefined;
    },
    (reason, cause) =>
      new VerificationError(`The tar is cut off or damaged: ${reason}.`, {
        cause,
        fix: 'Nothing was stored. Look for another copy of the file.',
      }),
  );
}

/** A name that stays below the folder; nothing is ever written under it, but a dump has no such names. @throws UserError */
function safeName(name: string): string {
  const path = name.replace(/^(\.\/)+/, '');
  if (path.startsWith('/') || path.includes('\0') || path.split('/').includes('..')) {
    throw new UserError(`The tar holds the name ${JSON.stringify(name)}, which leads out of its folder.`, {
      fix: 'No dump has such names. Check where the file comes from.',
    });
  }
  return path;
}

function isBson(path: string): boolean {
  // macOS puts `._name` beside `name`.
  return /\.bson(\.gz)?$/.test(path) && !path.slice(path.lastIndexOf('/') + 1).startsWith('._');
}

/** Without `.gz`: `mongodump --gzip` packs each file of the folder. */
function plainName(path: string): string {
  return path.replace(/\.gz$/, '');
}

function plainEntry(entry: TarEntry, path: string): AsyncIterable<Uint8Array> {
  return path.endsWith('.gz') ? gunzip(entry) : entry;
}

async function smallText(entry: TarEntry, path: string): Promise<string> {
  return (await smallFile(entry, path)).toString('utf8');
}

async function smallFile(entry: TarEntry, path: string): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of plainEntry(entry, path)) {
    bytes += chunk.length;
    if (bytes > MAX_METADATA_BYTES) throw new UserError(`${path} in the tar is too large to be the metadata of a collection.`);
    parts.push(Uint8Array.from(chunk));
  }
  return Buffer.concat(parts);
}

/** What old servers kept of indexes and users in collections of their own. */
interface SystemFiles {
  /** The documents of `system.indexes`, by the folder of the file. */
  indexes: Map<string, BSON.Document[]>;
  /** What there is to say about users. */
  users: string[];
}

/**
 * Servers up to 2.6 kept their indexes in `<db>.system.indexes`, and those up to 2.4 the users of each database in its `system.users`, with a
 * hash that no server of today takes. mongodump left both as files; up to 2.0 there was nothing else that named the indexes.
 */
async function readSystemFile(entry: TarEntry, path: string, systems: SystemFiles): Promise<void> {
  const name = plainName(path).slice(0, -'.bson'.length);
  const folder = name.slice(0, name.lastIndexOf('/') + 1);
  const collection = name.slice(folder.length);
  if (collection !== 'system.indexes' && collection !== 'system.users') return;
  const documents = documentsIn(await smallFile(entry, path), path);
  if (collection === 'system.indexes') {
    systems.indexes.set(folder, documents);
    return;
  }
  // Since 2.6 a user says in which database it is, and has its credentials under their mechanism.
  const old = documents.filter((user) => !('credentials' in user) || !('db' in user));
  if (old.length === 0) return;
  const names = old.slice(0, NAMED_USERS).map(({ user }) => printable(String(user)));
  const more = old.length > NAMED_USERS ? ` and ${old.length - NAMED_USERS} more` : '';
  systems.users.push(
    `${printable(path)} holds users of MongoDB 2.4 or older (${names.join(', ')}${more}), whose passwords no server of today takes: create them anew.`,
  );
}

const NAMED_USERS = 10;

/** @throws VerificationError when the file is cut or damaged */
function documentsIn(bytes: Buffer, path: string): BSON.Document[] {
  const end = endOfWhole(bytes, { path, offset: 0, largest: largestDocument({ db: '-', collection: '-' }) });
  if (end < bytes.length)
    throw new VerificationError(`${path} ends in the middle of a document, at byte ${end}: it is cut off or damaged.`);
  const documents: BSON.Document[] = [];
  for (let at = 0; at < end; at += int32(bytes, at)) documents.push(orderedDocument(bytes.subarray(at, at + int32(bytes, at))));
  return documents;
}

/** Gives collections without indexes in their metadata those of `system.indexes`. */
function withSystemIndexes(
  collections: readonly FolderCollection[],
  listed: ReadonlyMap<string, readonly BSON.Document[]>,
): { collections: FolderCollection[]; lost: string[] } {
  const byNamespace = new Map<string, BSON.Document[]>();
  for (const [folder, specs] of listed) {
    for (const spec of specs) {
      const full = String(spec['ns']);
      const name = `${folder}${full.slice(full.indexOf('.') + 1)}`;
      byNamespace.set(name, [...(byNamespace.get(name) ?? []), spec]);
    }
  }
  const result = collections.map((one) => {
    const folder = one.file?.slice(0, one.file.lastIndexOf('/') + 1) ?? '';
    const name = `${folder}${one.entry.collection}`;
    const specs = byNamespace.get(name);
    byNamespace.delete(name);
    const { state, options, indexes } = parseMetadata(one.entry.metadata);
    // Metadata that are there and cannot be read stay as they are: that is told as such.
    if (specs === undefined || state === 'invalid' || indexes.length > 0) return one;
    const metadata = formatMetadata({ options, indexes: specs, collectionName: one.entry.collection, type: 'collection' });
    return { ...one, entry: { ...one.entry, metadata } };
  });
  const lost = [...byNamespace].map(
    ([name, specs]) =>
      `${specs.length === 1 ? 'an index' : `${specs.length} indexes`} of ${printable(name)}, a collection that the dump does not have.`,
  );
  return { collections: result, lost };
}

function versionIn(prelude: string): string | undefined {
  try {
    const { ServerVersion: version } = JSON.parse(prelude) as { ServerVersion?: unknown };
    return typeof version === 'string' ? version : undefined;
  } catch {
    return undefined;
  }
}

function collectionsOf(files: readonly string[], metadata: ReadonlyMap<string, string>): FolderCollection[] {
  const collections: FolderCollection[] = [];
  const texts = new Map(metadata);
  for (const file of files) {
    const name = plainName(file).slice(0, -'.bson'.length);
    const namespace = namespaceOf(name, files);
    const series = namespace.collection.replace(/^system\.buckets\./, '');
    const seriesText = texts.get(`${beside(name, series)}.metadata.json`);
    if (series !== namespace.collection && seriesText !== undefined) {
      texts.delete(`${beside(name, series)}.metadata.json`);
      collections.push(collectionOf({ db: namespace.db, collection: series }, seriesText, namespace, file, 'timeseries'));
      continue;
    }
    const text = texts.get(`${name}.metadata.json`) ?? '';
    texts.delete(`${name}.metadata.json`);
    // Since 8.3 a time series keeps its documents under its own name.
    const type = 'timeseries' in parseMetadata(text).options ? 'timeseries' : '';
    collections.push(collectionOf(namespace, text, namespace, file, type));
  }
  for (const [path, text] of texts) {
    const namespace = namespaceOf(path.slice(0, -'.metadata.json'.length), files);
    const { options, type } = parseMetadata(text);
    const view = type === 'view' || 'viewOn' in options;
    collections.push(collectionOf(namespace, text, namespace, undefined, view ? 'view' : ''));
  }
  return collections.sort((a, b) => (namespaceName(a.data) < namespaceName(b.data) ? -1 : 1));
}

function collectionOf(named: Namespace, metadata: string, data: Namespace, file: string | undefined, type: string): FolderCollection {
  const collection = fullName(named.collection, metadata);
  const own = named.collection === data.collection;
  return { entry: { db: named.db, collection, metadata, size: 0, type }, data: own ? { db: data.db, collection } : data, file };
}

/** The metadata has the name as it is; file names are encoded, and cut short when they are long. */
function fullName(fromFile: string, metadata: string): string {
  try {
    const { collectionName } = JSON.parse(metadata) as { collectionName?: unknown };
    if (typeof collectionName === 'string' && collectionName !== '') return collectionName;
  } catch {
    // Old tools wrote metadata that is not JSON, and the oplog has none; the file's name will do.
  }
  return decoded(fromFile.replaceAll('+', ' '));
}

/**
 * mongodump encodes what a file name cannot hold: tools that left the name out of the metadata by Go's url.QueryEscape (a blank is a plus
 * sign), later ones by url.PathEscape. Database names hold no blanks.
 */
function decoded(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

function beside(name: string, collection: string): string {
  return `${name.slice(0, name.lastIndexOf('/') + 1)}${collection}`;
}

/** The folder of a file is its database; `oplog.bson` above the databases is the oplog, which belongs to none. */
function namespaceOf(name: string, files: readonly string[]): Namespace {
  const slash = name.lastIndexOf('/');
  const folder = name.slice(0, slash + 1);
  const collection = name.slice(slash + 1);
  const above = files.some((file) => file.startsWith(folder) && file.slice(folder.length).includes('/'));
  if (collection === 'oplog' && above) return { db: '', collection };
  const db = decoded(folder.slice(folder.lastIndexOf('/', slash - 1) + 1, -1));
  if (db === '') {
    throw new UserError(`The tar holds ${name}.bson outside of any folder, so that its database is not known.`, {
      fix: 'Pack the folder of the dump, so that names are <database>/<collection>.bson.',
    });
  }
  return { db, collection };
}
