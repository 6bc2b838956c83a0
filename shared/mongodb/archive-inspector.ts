// The verifier of MongoDB backups: reads an archive as it passes, proves it complete and undamaged, and reports what is in it.
import { createHash } from 'node:crypto';
import { createGunzip, type Gunzip } from 'node:zlib';
import type { Inspector } from '../backup/inspector.ts';
import type { JsonValue } from '../backup/json.ts';
import { VerificationError } from '../step/errors.ts';
import { plural } from '../step/format.ts';
import {
  ArchiveParser,
  documentEnd,
  largestDocument,
  MAX_OPLOG_ENTRY_BYTES,
  namespaceName,
  shownName,
  type ArchiveHeader,
  type ArchiveVisitor,
  type CollectionEntry,
} from './archive.ts';
import { indexReports, orderedTexts, parseMetadata, plain, type IndexReport, type OrderedTexts } from './collection-metadata.ts';
import { noteTouched } from './oplog.ts';
import { createDocumentDigest, type DocumentDigest, type DocumentSums } from './document-digest.ts';

/** What was found of one collection, view or time series. */
export type NamespaceReport = {
  readonly db: string;
  readonly collection: string;
  readonly type: 'collection' | 'view' | 'timeseries';
  readonly documents: number;
  /** Bytes of BSON. */
  readonly bytes: number;
  /** CRC-64/XZ over the bytes of the documents in the archive's order, 16 hex digits: the archive's own checksum. */
  readonly crc64: string;
  /**
   * Sum modulo 2^128 of the XXH3-128 (seed 0, no secret) of each document's bytes, each hash taken as a number, 32 hex digits with the highest
   * first. Zeros for no documents. Independent of the order of documents, so that an archive and a server can be compared.
   */
  readonly digest: string;
  /** Documents with an element that is not well-formed BSON, where there are any: a server may refuse them. */
  readonly malformed?: number;
  /** Whether options and indexes could be read; `invalid` metadata is doubtful, the documents are not. */
  readonly metadata: 'read' | 'absent' | 'invalid';
  readonly indexes: readonly IndexReport[];
  /** Options of the collection or view, as relaxed Extended JSON. */
  readonly options: { readonly [name: string]: JsonValue };
  /** See OrderedTexts in collection-metadata.ts; absent where no option needs it. */
  readonly ordered?: OrderedTexts;
};

/** What was found of the oplog that makes a dump point-in-time. */
export type OplogReport = {
  /** Namespaces that the entries change, sorted: after a replay their documents are not those of the dump. */
  readonly touched: readonly string[];
  readonly entries: number;
  readonly bytes: number;
  readonly crc64: string;
  readonly digest: string;
};

/**
 * The `content` of a MongoDB backup's manifest. Plain JSON; namespaces without the oplog, sorted by db, then by collection (UTF-16 code units).
 * A time series stands under its own name, with the documents of its buckets.
 */
export type ArchiveReport = {
  readonly archiveVersion: string;
  readonly serverVersion: string;
  readonly toolVersion: string;
  /**
   * SHA-256 over the bytes of the header document and those of each entry of the prelude in their order, without magic number and terminator,
   * hex: the archive itself has no checksum there.
   */
  readonly preludeSha256: string;
  /** The whole stream was gzip (`mongodump --gzip`). */
  readonly gzip: boolean;
  readonly namespaces: readonly NamespaceReport[];
  readonly oplog?: OplogReport;
  readonly totals: { readonly namespaces: number; readonly documents: number; readonly bytes: number };
};

/** Makes the inspector of one pass over a mongodump archive, plain or gzip. `end()` gives an ArchiveReport. */
export function newArchiveInspector(): ArchiveInspector {
  return new ArchiveInspector();
}

/** Verifies an archive stream. Bounded memory: one document at most is held. */
export class ArchiveInspector implements Inspector<ArchiveReport> {
  #pass: Pass | undefined;
  #gunzip: GunzipFeed | undefined;
  /** The first byte, when it came alone: two decide whether the stream is gzip. */
  #held: Uint8Array | undefined;

  write(chunk: Uint8Array): void | Promise<void> {
    if (!this.#pass) return this.#start(chunk);
    if (this.#gunzip) return this.#gunzip.write(chunk);
    this.#pass.parser.push(chunk);
  }

  async #start(chunk: Uint8Array): Promise<void> {
    const bytes = this.#held ? Buffer.concat([this.#held, chunk]) : chunk;
    if (bytes.length < 2) {
      this.#held = Uint8Array.from(bytes);
      return;
    }
    this.#held = undefined;
    const pass = Pass.begin();
    this.#pass = pass;
    if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) {
      pass.parser.push(bytes);
      return;
    }
    this.#gunzip = new GunzipFeed((plainBytes) => {
      pass.parser.push(plainBytes);
    });
    await this.#gunzip.write(bytes);
  }

  async end(written?: JsonValue): Promise<ArchiveReport> {
    const report = await this.#report();
    return written === undefined ? report : asWritten(report, written as ArchiveReport);
  }

  async #report(): Promise<ArchiveReport> {
    const pass = this.#pass ?? Pass.begin();
    if (this.#held) pass.parser.push(this.#held);
    await this.#gunzip?.end();
    pass.parser.end();
    return pass.report(this.#gunzip !== undefined);
  }
}

/** The report without `ordered` where a manifest of a version before it has none. The prelude's digest covers those bytes as well. */
function asWritten(report: ArchiveReport, written: ArchiveReport): ArchiveReport {
  const before = new Map(written.namespaces.map((namespace) => [namespaceName(namespace), namespace]));
  const namespaces = report.namespaces.map((namespace) => {
    const { ordered, indexes, ...rest } = namespace;
    const other = before.get(namespaceName(namespace));
    if (!other) return namespace;
    const indexesBefore = new Map(other.indexes.map((index) => [index.name, index]));
    return {
      ...rest,
      indexes: indexes.map(({ ordered: texts, ...index }) =>
        texts === undefined || indexesBefore.get(index.name)?.ordered === undefined ? index : { ...index, ordered: texts },
      ),
      ...(ordered === undefined || other.ordered === undefined ? {} : { ordered }),
    };
  });
  return { ...report, namespaces };
}

/** One parse with its sums. */
class Pass implements ArchiveVisitor {
  readonly parser: ArchiveParser;
  readonly #digest: DocumentDigest;
  #header: ArchiveHeader | undefined;
  readonly #namespaces: NamespaceReport[] = [];
  #oplog: OplogReport | undefined;
  readonly #prelude = createHash('sha256');
  readonly #touched = new Set<string>();
  #inOplog = false;

  private constructor(digest: DocumentDigest) {
    this.#digest = digest;
    this.parser = new ArchiveParser(this);
  }

  static begin(): Pass {
    return new Pass(createDocumentDigest());
  }

  header(header: ArchiveHeader, raw: Uint8Array): void {
    this.#header = header;
    this.#prelude.update(raw);
  }

  collection(_entry: CollectionEntry, raw: Uint8Array): void {
    // Entries are reported when they end; the parser holds that they all do.
    this.#prelude.update(raw);
  }

  beginBlock(entry: CollectionEntry): void {
    this.#digest.select(namespaceName(entry), largestDocument(entry));
    this.#inOplog = entry.db === '';
  }

  walk(bytes: Uint8Array, start: number): number {
    const end = this.#digest.walk(bytes, start);
    if (this.#inOplog) {
      for (let at = start, next = start; at < end; at = next) {
        next = documentEnd(bytes, at, MAX_OPLOG_ENTRY_BYTES);
        noteTouched(bytes.subarray(at, next), this.#touched);
      }
    }
    return end;
  }

  endBlock(): void {
    // The next block selects its own namespace.
  }

  endNamespace(entry: CollectionEntry, crc: bigint, offset: number): void {
    const sums = this.#digest.finish(namespaceName(entry));
    if (sums.crc64 !== crc) {
      throw new VerificationError(
        `The archive is damaged in ${shownName(entry)} at byte ${offset}: the checksum over its ${plural(sums.documents, 'document')} is ${hex64(sums.crc64)}, the writer noted ${hex64(crc)}.`,
        { fix: 'Its documents were changed after the dump. Use another backup.' },
      );
    }
    if (entry.db === '') {
      const touched = [...this.#touched].sort();
      this.#oplog = { entries: sums.documents, bytes: sums.bytes, crc64: hex64(sums.crc64), digest: sums.digest, touched };
    } else this.#namespaces.push(namespaceReport(entry, sums));
  }

  report(gzip: boolean): ArchiveReport {
    if (!this.#header) throw new VerificationError('The archive has no header.');
    const namespaces = [...this.#namespaces].sort((a, b) => order(a.db, b.db) || order(a.collection, b.collection));
    return {
      archiveVersion: this.#header.version,
      serverVersion: this.#header.serverVersion,
      toolVersion: this.#header.toolVersion,
      preludeSha256: this.#prelude.digest('hex'),
      gzip,
      namespaces,
      ...(this.#oplog ? { oplog: this.#oplog } : {}),
      totals: {
        namespaces: namespaces.length,
        documents: namespaces.reduce((sum, { documents }) => sum + documents, 0),
        bytes: namespaces.reduce((sum, { bytes }) => sum + bytes, 0),
      },
    };
  }
}

function namespaceReport(entry: CollectionEntry, sums: DocumentSums): NamespaceReport {
  const metadata = parseMetadata(entry.metadata);
  const type = entry.type ?? metadata.type;
  return {
    db: entry.db,
    collection: entry.collection,
    type: type === 'view' || type === 'timeseries' ? type : 'collection',
    documents: sums.documents,
    bytes: sums.bytes,
    crc64: hex64(sums.crc64),
    digest: sums.digest,
    ...(sums.malformed > 0 ? { malformed: sums.malformed } : {}),
    metadata: metadata.state,
    indexes: indexReports(metadata.indexes),
    options: plain(metadata.options) as { readonly [name: string]: JsonValue },
    ...orderedTexts(metadata.options),
  };
}

function hex64(value: bigint): string {
  return value.toString(16).padStart(16, '0');
}

function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Unpacks gzip and hands the plain bytes on, one write at a time. */
class GunzipFeed {
  readonly #stream: Gunzip = createGunzip({ chunkSize: 256 * 1024 });
  #failure: Error | undefined;
  readonly #ended: Promise<void>;

  constructor(take: (bytes: Uint8Array) => void) {
    this.#ended = new Promise((resolve) => {
      this.#stream.on('data', (bytes: Uint8Array) => {
        try {
          if (!this.#failure) take(bytes);
        } catch (thrown) {
          this.#failure = thrown as Error;
        }
      });
      this.#stream.once('error', (cause) => {
        this.#failure ??= new VerificationError(`The gzip stream of the archive is damaged: ${cause.message}.`, { cause });
        resolve();
      });
      this.#stream.once('end', resolve);
    });
  }

  async write(chunk: Uint8Array): Promise<void> {
    // zlib works on another thread: it needs bytes that stay, while the caller may reuse its buffer.
    await Promise.race([
      this.#ended,
      new Promise<void>((resolve) => {
        this.#stream.write(Uint8Array.from(chunk), () => {
          resolve();
        });
      }),
    ]);
    if (this.#failure) throw this.#failure;
  }

  async end(): Promise<void> {
    this.#stream.end();
    await this.#ended;
    if (this.#failure) throw this.#failure;
  }
}
