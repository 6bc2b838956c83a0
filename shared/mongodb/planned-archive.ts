// The part of an archive that a restore is about, as mongorestore is given it: what was planned, and nothing that it would treat in its own
// way. With --drop it removes every user that the archive does not have, so users and roles go to it on their own; and with the `config` of a
// sharded cluster in the archive it refuses all of it.
import {
  ARCHIVE_MAGIC,
  ArchiveParser,
  documentEnd,
  largestDocument,
  namespaceName,
  TERMINATOR,
  type ArchiveVisitor,
  type CollectionEntry,
} from './archive.ts';
import { encodeEntry } from './archive-writer.ts';
import { isAccounts } from './namespaces.ts';
import { noteDropped } from './oplog.ts';
import { plainArchive } from './plain-archive.ts';
import { toolMetadata, type TryOptions } from './tool-metadata.ts';

export interface PlannedParts {
  /** Collections to let pass, `db.collection` each. */
  planned: ReadonlySet<string>;
  /** Let the oplog pass. */
  oplog: boolean;
  /** Asks the target, so that the options that it refuses are left out; none are when absent. */
  tryOptions?: TryOptions | undefined;
}

/** Bytes, or what they are going to be. */
type Piece = Uint8Array | Promise<Uint8Array>;

/** Sorts an archive while it passes. Users and roles are kept in memory meanwhile: some kilobytes each. */
export class PlannedArchive implements ArchiveVisitor {
  /** Collections that pass. */
  readonly entries: CollectionEntry[] = [];
  /** Collections that the oplog which passes drops: after its replay they are not there. */
  readonly dropped = new Set<string>();
  /** What of options and indexes does not pass. One sentence each. */
  readonly notes: string[] = [];
  readonly #parts: PlannedParts;
  readonly #data: Piece[] = [ARCHIVE_MAGIC];
  readonly #accounts: Uint8Array[] = [ARCHIVE_MAGIC];
  #asking: Promise<Uint8Array> = Promise.resolve(ARCHIVE_MAGIC);
  #hasAccounts = false;
  #current: CollectionEntry | undefined;

  constructor(parts: PlannedParts) {
    this.#parts = parts;
  }

  /** The planned part of an archive, plain or gzip. @throws VerificationError for a damaged archive; what `tryOptions` throws */
  async *data(archive: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    const parser = new ArchiveParser(this);
    for await (const chunk of plainArchive(archive)) {
      parser.push(chunk);
      const ready: Uint8Array[] = [];
      for (const piece of this.#data.splice(0)) ready.push(await piece);
      if (ready.length > 0) yield Buffer.concat(ready);
    }
    parser.end();
  }

  /** Users and roles as an archive of their own; undefined when there are none. Complete when `data` has ended. */
  accounts(): Uint8Array | undefined {
    return this.#hasAccounts ? Buffer.concat(this.#accounts) : undefined;
  }

  header(_header: unknown, raw: Uint8Array): void {
    for (const part of [this.#data, this.#accounts]) part.push(Uint8Array.from(raw));
  }

  collection(entry: CollectionEntry, raw: Uint8Array): void {
    const part = this.#partOf(entry);
    if (part !== this.#data || entry.db === '') {
      part?.push(Uint8Array.from(raw));
      return;
    }
    this.entries.push(entry);
    // Copied now: the buffer is used again before the answer is there.
    const own = Uint8Array.from(raw);
    this.#asking = this.#asking.then(async () => this.#fitted(entry, own));
    // Awaited when it is its turn; a damaged archive may end the restore before.
    this.#asking.catch(() => undefined);
    part.push(this.#asking);
  }

  /** The entry as mongorestore is given it. One after the other: a thousand trials at once would be a burden to a server. */
  async #fitted(entry: CollectionEntry, raw: Uint8Array): Promise<Uint8Array> {
    const { text, notes } = await toolMetadata(entry, this.#parts.tryOptions);
    this.notes.push(...notes);
    return text === undefined ? raw : encodeEntry({ ...entry, metadata: text });
  }

  preludeEnd(): void {
    for (const part of [this.#data, this.#accounts]) part.push(TERMINATOR);
  }

  beginBlock(entry: CollectionEntry, raw: Uint8Array): void {
    this.#current = entry;
    this.#partOf(entry)?.push(Uint8Array.from(raw));
  }

  walk(bytes: Uint8Array, start: number): number {
    const entry = this.#current as CollectionEntry;
    const part = this.#partOf(entry);
    const largest = largestDocument(entry);
    let at = start;
    for (let end = documentEnd(bytes, at, largest); end > 0; end = documentEnd(bytes, at, largest)) {
      if (part && entry.db === '') noteDropped(bytes.subarray(at, end), this.dropped);
      at = end;
    }
    if (part && at > start) part.push(Uint8Array.from(bytes.subarray(start, at)));
    if (part === this.#accounts && at > start && entry.collection !== 'system.version') this.#hasAccounts = true;
    return at;
  }

  endBlock(entry: CollectionEntry): void {
    this.#partOf(entry)?.push(TERMINATOR);
  }

  endNamespace(entry: CollectionEntry, _crc: bigint, _offset: number, raw: Uint8Array): void {
    this.#partOf(entry)?.push(Uint8Array.from(raw), TERMINATOR);
  }

  #partOf(entry: CollectionEntry): Piece[] | undefined {
    if (entry.db === '') return this.#parts.oplog ? this.#data : undefined;
    if (isAccounts(entry)) return this.#accounts;
    return this.#parts.planned.has(namespaceName(entry)) ? this.#data : undefined;
  }
}
