// mongodump's `--archive` format: its constants, and a parser that takes the stream in pieces of any size and trusts nothing.
// Source of the format: mongo-tools `common/archive` (spec.md, parser.go, demultiplexer.go) at 100.18.0.
import { BSON } from './bson.ts';
import { VerificationError } from '../step/errors.ts';
import { printable } from '../step/prose.ts';

/** The first four bytes of every archive: uint32 0x8199e26d, little-endian. */
export const ARCHIVE_MAGIC: Uint8Array = Uint8Array.of(0x6d, 0xe2, 0x99, 0x81);
/** Ends the prelude and every namespace block: int32 -1, where a document's length would stand. */
export const TERMINATOR: Uint8Array = Uint8Array.of(0xff, 0xff, 0xff, 0xff);
/** The smallest BSON document: its length and the closing zero. */
export const MIN_DOCUMENT_BYTES = 5;
/** The largest document of a collection: mongo-tools' `db.MaxBSONSize`. */
export const MAX_DOCUMENT_BYTES = 16 * 1024 * 1024;
/** The largest entry of an oplog, which has a whole document in it: MongoDB's `BSONObjMaxInternalSize`. */
export const MAX_OPLOG_ENTRY_BYTES = MAX_DOCUMENT_BYTES + 16 * 1024;

/** The archive's first document. */
export interface ArchiveHeader {
  concurrentCollections: number;
  /** Version of the format, "0.1" since the beginning. */
  version: string;
  serverVersion: string;
  toolVersion: string;
}

/** One entry of the prelude: a collection, a view, or the oplog (`db` is then ''). */
export interface CollectionEntry {
  db: string;
  collection: string;
  /** Extended JSON `{options, indexes, uuid, …}`; '' for the oplog. May be invalid JSON in old archives. */
  metadata: string;
  size: number;
  /** '' for a collection, 'view' or 'timeseries'; absent in archives of tools before 100.0. */
  type?: string;
}

/** A collection of a database. The oplog has `db` ''. */
export interface Namespace {
  db: string;
  collection: string;
}

/** What takes the documents of the blocks. */
export interface DocumentWalker {
  /**
   * Takes every whole document of `bytes` from `start` on. Stops before a terminator and before a document that is not there to its end.
   * The bytes may be used during the call only.
   * @returns the index of the first byte not taken
   * @throws MalformedDocumentError
   */
  walk(bytes: Uint8Array, start: number): number;
}

/** What the parser tells, in the order of the stream. */
export interface ArchiveVisitor extends DocumentWalker {
  /** `raw`, here and below: the bytes of what is told, valid during the call. */
  header(header: ArchiveHeader, raw: Uint8Array): void;
  collection(entry: CollectionEntry, raw: Uint8Array): void;
  /** All entries of the prelude have been told. */
  preludeEnd?(): void;
  /** The documents that follow belong to `entry`. */
  beginBlock(entry: CollectionEntry, raw: Uint8Array): void;
  endBlock(entry: CollectionEntry): void;
  /** `entry` is complete; `crc` is the checksum the writer noted for its documents. */
  endNamespace(entry: CollectionEntry, crc: bigint, offset: number, raw: Uint8Array): void;
}

/** A document whose bytes cannot be BSON; `index` is relative to the bytes that were walked. */
export class MalformedDocumentError extends Error {
  readonly index: number;

  constructor(index: number, reason: string) {
    super(reason);
    this.index = index;
  }
}

/** Reads an int32 in little-endian order. */
export function int32(bytes: Uint8Array, at: number): number {
  return (bytes[at] as number) | ((bytes[at + 1] as number) << 8) | ((bytes[at + 2] as number) << 16) | ((bytes[at + 3] as number) << 24);
}

/** The largest document that a namespace may hold: 16 KiB more for the oplog, as an archive has it or as a collection of `local`. */
export function largestDocument({ db, collection }: Namespace): number {
  return db === '' || (db === 'local' && collection.startsWith('oplog.')) ? MAX_OPLOG_ENTRY_BYTES : MAX_DOCUMENT_BYTES;
}

/**
 * The end of the whole document at `at`, or 0 when it is cut off by the end of `bytes` or when a terminator stands there.
 * @param largest bytes that a document may have at most: `largestDocument` of its namespace
 * @throws MalformedDocumentError
 */
export function documentEnd(bytes: Uint8Array, at: number, largest: number = MAX_DOCUMENT_BYTES): number {
  if (bytes.length - at < 4) return 0;
  const size = int32(bytes, at);
  if (size === -1) return 0;
  if (size < MIN_DOCUMENT_BYTES || size > largest) throw new MalformedDocumentError(at, sizeProblem(size, largest));
  const end = at + size;
  if (end > bytes.length) return 0;
  if (bytes[end - 1] !== 0) throw new MalformedDocumentError(at, `a document of ${size} bytes does not end with a zero byte`);
  return end;
}

function sizeProblem(size: number, largest: number): string {
  return `a document claims a length of ${size} bytes (possible are ${MIN_DOCUMENT_BYTES} to ${largest})`;
}

/** The full name of a namespace, as the server has it. */
export function namespaceName({ db, collection }: Namespace): string {
  return db === '' ? collection : `${db}.${collection}`;
}

/** How a namespace is written for people. */
export function shownName(namespace: Namespace): string {
  return printable(namespaceName(namespace));
}

interface OpenNamespace {
  entry: CollectionEntry;
  closed: boolean;
}

type State = 'magic' | 'header' | 'prelude' | 'between' | 'documents' | 'closing';

/** Parses one archive. Feed it with `push`, then call `end`. Every deviation is a VerificationError that names namespace and byte offset. */
export class ArchiveParser {
  readonly #visitor: ArchiveVisitor;
  readonly #namespaces = new Map<string, OpenNamespace>();
  #entries: OpenNamespace[] = [];
  #state: State = 'magic';
  #current: OpenNamespace | undefined;
  /** Stream offset of the first byte of the chunk in work. */
  #base = 0;
  /** The start of a unit whose rest has not arrived; `#carried` bytes of it are valid. */
  #carry: Buffer = Buffer.allocUnsafe(64 * 1024);
  #carried = 0;

  constructor(visitor: ArchiveVisitor) {
    this.#visitor = visitor;
  }

  /** Bytes taken so far. */
  get offset(): number {
    return this.#base;
  }

  /**
   * Takes the next piece of the stream. Documents that lie whole in it are not copied.
   * @throws VerificationError
   */
  push(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#carried === 0) {
        if (this.#state === 'documents') at = this.#walk(chunk, at, this.#base);
        const end = at === chunk.length ? 0 : this.#unitEnd(chunk, at, this.#base + at);
        if (end > 0) {
          this.#unit(chunk, at, end, this.#base + at);
          at = end;
          continue;
        }
      }
      at += this.#collect(chunk, at);
    }
    this.#base += chunk.length;
  }

  /**
   * Call once after the last byte.
   * @throws VerificationError when the archive is cut off or a collection of its prelude never ended
   */
  end(): void {
    if (this.#state === 'magic' && this.#carried === 0) throw new VerificationError('The archive is empty: not one byte arrived.', cutFix);
    if (this.#state !== 'between' || this.#carried > 0) this.#fail(this.#base, 'the stream ends in the middle of it', cutFix);
    const open = this.#entries.filter((namespace) => !namespace.closed).map(({ entry }) => shownName(entry));
    if (open.length > 0) {
      const names = open.slice(0, 3).join(', ') + (open.length > 3 ? ` and ${open.length - 3} more` : '');
      throw new VerificationError(`The archive ends at byte ${this.#base}, before the end of ${names}.`, cutFix);
    }
  }

  #walk(bytes: Uint8Array, at: number, base: number): number {
    try {
      return this.#visitor.walk(bytes, at);
    } catch (thrown) {
      if (thrown instanceof MalformedDocumentError) this.#fail(base + thrown.index, thrown.message);
      throw thrown;
    }
  }

  /** The end of the magic number, terminator or document at `at`; 0 when its rest has not arrived. */
  #unitEnd(bytes: Uint8Array, at: number, offset: number): number {
    if (bytes.length - at < 4) return 0;
    if (this.#state === 'magic' || int32(bytes, at) === -1) return at + 4;
    try {
      return documentEnd(bytes, at, this.#largest());
    } catch (thrown) {
      return this.#fail(offset, (thrown as Error).message);
    }
  }

  /** Copies into the carry what the unit still lacks, and handles it once whole. Returns the number of bytes taken. */
  #collect(chunk: Uint8Array, at: number): number {
    let taken = 0;
    if (this.#carried < 4) {
      taken = this.#append(chunk, at, 4 - this.#carried);
      if (this.#carried < 4) return taken;
    }
    const offset = this.#base + at + taken - this.#carried;
    const head = this.#carry.subarray(0, 4);
    if (this.#state !== 'magic' && int32(head, 0) !== -1) {
      const size = int32(head, 0);
      const largest = this.#largest();
      if (size < MIN_DOCUMENT_BYTES || size > largest) this.#fail(offset, sizeProblem(size, largest));
      taken += this.#append(chunk, at + taken, size - this.#carried);
      if (this.#carried < size) return taken;
      // One shared check for the closing zero, wherever the document lay.
      this.#unitEnd(this.#carry.subarray(0, size), 0, offset);
    }
    const unit = this.#carry.subarray(0, this.#carried);
    this.#carried = 0;
    const start = this.#state === 'documents' ? this.#walk(unit, 0, offset) : 0;
    if (start < unit.length) this.#unit(unit, start, unit.length, offset);
    return taken;
  }

  #largest(): number {
    return this.#current ? largestDocument(this.#current.entry) : MAX_DOCUMENT_BYTES;
  }

  #append(chunk: Uint8Array, at: number, wanted: number): number {
    const count = Math.min(wanted, chunk.length - at);
    if (this.#carry.length < this.#carried + wanted) {
      const larger = Buffer.allocUnsafe(Math.min(MAX_OPLOG_ENTRY_BYTES, Math.max(this.#carried + wanted, this.#carry.length * 2)));
      larger.set(this.#carry.subarray(0, this.#carried));
      this.#carry = larger;
    }
    this.#carry.set(chunk.subarray(at, at + count), this.#carried);
    this.#carried += count;
    return count;
  }

  /** One whole unit that is not a document of a namespace. */
  #unit(bytes: Uint8Array, start: number, end: number, offset: number): void {
    const terminator = this.#state !== 'magic' && int32(bytes, start) === -1;
    switch (this.#state) {
      case 'magic':
        if (ARCHIVE_MAGIC.some((byte, index) => bytes[start + index] !== byte)) {
          throw new VerificationError('This is not a mongodump archive: its first four bytes are wrong (byte 0).');
        }
        this.#state = 'header';
        return;
      case 'header':
        if (terminator) this.#fail(offset, 'the header is missing');
        this.#visitor.header(this.#decode(bytes, start, end, offset, headerOf), bytes.subarray(start, end));
        this.#state = 'prelude';
        return;
      case 'prelude':
        if (terminator) {
          this.#visitor.preludeEnd?.();
          this.#state = 'between';
        } else this.#announce(this.#decode(bytes, start, end, offset, entryOf), bytes.subarray(start, end), offset);
        return;
      case 'between':
        if (terminator) this.#fail(offset, 'two terminators follow each other');
        this.#open(bytes, start, end, offset);
        return;
      case 'documents':
        this.#visitor.endBlock((this.#current as OpenNamespace).entry);
        this.#current = undefined;
        this.#state = 'between';
        return;
      case 'closing':
        if (!terminator) this.#fail(offset, 'documents follow the end of the namespace');
        this.#current = undefined;
        this.#state = 'between';
    }
  }

  #announce(entry: CollectionEntry, raw: Uint8Array, offset: number): void {
    const namespace: OpenNamespace = { entry, closed: false };
    const keys = [entry.collection];
    // Servers before 8.3 keep a time series' data in a bucket collection; the prelude names the series itself.
    if (entry.type === 'timeseries') keys.push(`system.buckets.${entry.collection}`);
    for (const collection of keys) {
      const key = mapKey({ db: entry.db, collection });
      if (this.#namespaces.has(key)) this.#fail(offset, `${shownName(entry)} is named twice`);
      this.#namespaces.set(key, namespace);
    }
    this.#entries.push(namespace);
    this.#visitor.collection(entry, raw);
  }

  #open(bytes: Uint8Array, start: number, end: number, offset: number): void {
    const header = this.#decode(bytes, start, end, offset, blockHeaderOf);
    const namespace = this.#namespaces.get(mapKey(header));
    if (!namespace) this.#fail(offset, `there are data of ${shownName(header)}, which the prelude does not name`);
    this.#current = namespace;
    if (namespace.closed) this.#fail(offset, 'data follow after its end');
    if (header.eof) {
      namespace.closed = true;
      this.#visitor.endNamespace(namespace.entry, header.crc, offset, bytes.subarray(start, end));
      this.#state = 'closing';
    } else {
      if (header.crc !== 0n) this.#fail(offset, 'the header of a block carries a checksum before the end');
      this.#visitor.beginBlock(namespace.entry, bytes.subarray(start, end));
      this.#state = 'documents';
    }
  }

  #decode<T>(bytes: Uint8Array, start: number, end: number, offset: number, shape: (document: BSON.Document) => T): T {
    try {
      return shape(BSON.deserialize(bytes.subarray(start, end), { promoteValues: false, validation: { utf8: true } }));
    } catch (cause) {
      return this.#fail(offset, `its header cannot be read (${cause instanceof Error ? cause.message : String(cause)})`, { cause });
    }
  }

  #fail(offset: number, what: string, options: { fix?: string; cause?: unknown } = {}): never {
    const place = this.#current ? shownName(this.#current.entry) : this.#state === 'between' ? 'its body' : 'its prelude';
    throw new VerificationError(`The archive is damaged in ${place} at byte ${offset}: ${what}.`, options);
  }
}

const cutFix = { fix: 'The dump or the transfer was cut short. Take the backup again, or use an older one.' };

function mapKey({ db, collection }: Namespace): string {
  return `${db}\0${collection}`;
}

function headerOf(document: BSON.Document): ArchiveHeader {
  return {
    concurrentCollections: integer(document, 'concurrent_collections'),
    version: text(document, 'version'),
    serverVersion: text(document, 'server_version'),
    toolVersion: text(document, 'tool_version'),
  };
}

function entryOf(document: BSON.Document): CollectionEntry {
  return {
    db: text(document, 'db'),
    collection: text(document, 'collection'),
    metadata: text(document, 'metadata'),
    size: integer(document, 'size'),
    ...(document['type'] === undefined ? {} : { type: text(document, 'type') }),
  };
}

function blockHeaderOf(document: BSON.Document): Namespace & { eof: boolean; crc: bigint } {
  const eof: unknown = document['EOF'];
  const crc: unknown = document['CRC'];
  if (typeof eof !== 'boolean') throw new TypeError('EOF is not a boolean');
  // Timestamp is a subclass of Long.
  if (!(crc instanceof BSON.Long) || crc instanceof BSON.Timestamp) throw new TypeError('CRC is not an int64');
  return { db: text(document, 'db'), collection: text(document, 'collection'), eof, crc: BigInt.asUintN(64, crc.toBigInt()) };
}

function text(document: BSON.Document, key: string): string {
  const value: unknown = document[key];
  if (typeof value !== 'string') throw new TypeError(`${key} is not a string`);
  return value;
}

function integer(document: BSON.Document, key: string): number {
  const value: unknown = document[key];
  if (!(value instanceof BSON.Int32)) throw new TypeError(`${key} is not an int32`);
  return value.value;
}
