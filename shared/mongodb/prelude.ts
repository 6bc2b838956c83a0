// Reads an archive up to the end of its prelude, and hands out the rest as it comes: what there is is known before the data pass.
import { UserError } from '../step/errors.ts';
import { ARCHIVE_MAGIC, ArchiveParser, TERMINATOR, type ArchiveHeader, type ArchiveVisitor, type CollectionEntry } from './archive.ts';

/** An archive whose prelude was read. */
export interface OpenArchive {
  readonly header: ArchiveHeader;
  readonly entries: readonly CollectionEntry[];
  /** Bytes of the header document, and those of the prelude's entries. */
  readonly raw: { readonly header: Uint8Array; readonly entries: readonly Uint8Array[] };
  /** Everything after the prelude. Read it once. */
  body(): AsyncGenerator<Uint8Array>;
  /** Gives the archive up; ends its producer. */
  close(): Promise<void>;
}

/**
 * Reads the prelude. The stream's pieces must stay as they are after they were handed out.
 * @throws VerificationError when the stream is not an archive or ends within its prelude; whatever the stream throws
 */
export async function openArchive(stream: AsyncGenerator<Uint8Array>): Promise<OpenArchive> {
  const prelude = new Prelude();
  const parser = new ArchiveParser(prelude);
  const pieces: Uint8Array[] = [];
  try {
    while (!prelude.ended) {
      const next = await stream.next();
      if (next.done) {
        // Says what is wrong with it, and where.
        parser.end();
        throw new UserError('The archive ended before its prelude did.');
      }
      parser.push(next.value);
      pieces.push(next.value);
    }
  } catch (thrown) {
    await stream.return(undefined);
    throw thrown;
  }
  const { headers, entries, raw } = prelude;
  const bytes = [ARCHIVE_MAGIC, raw.header, ...raw.entries, TERMINATOR].reduce((sum, { length }) => sum + length, 0);
  const rest = Buffer.concat(pieces).subarray(bytes);
  return {
    header: headers[0] as ArchiveHeader,
    entries,
    raw,
    body: async function* () {
      if (rest.length > 0) yield rest;
      yield* stream;
    },
    close: async () => {
      await stream.return(undefined);
    },
  };
}

/** Several archives as one: one prelude with the entries of all, then their blocks one after another. */
export async function* joined(archives: readonly OpenArchive[]): AsyncGenerator<Uint8Array> {
  const [first] = archives;
  if (first === undefined) return;
  yield Buffer.concat([ARCHIVE_MAGIC, first.raw.header, ...archives.flatMap(({ raw }) => raw.entries), TERMINATOR]);
  for (const archive of archives) yield* archive.body();
}

/** Keeps what the parser tells of the prelude, and lets the data pass. */
export class Prelude implements ArchiveVisitor {
  readonly headers: ArchiveHeader[] = [];
  readonly entries: CollectionEntry[] = [];
  readonly raw = { header: new Uint8Array(0) as Uint8Array, entries: [] as Uint8Array[] };
  ended = false;

  header(header: ArchiveHeader, raw: Uint8Array): void {
    this.headers.push(header);
    this.raw.header = Uint8Array.from(raw);
  }

  collection(entry: CollectionEntry, raw: Uint8Array): void {
    this.entries.push(entry);
    this.raw.entries.push(Uint8Array.from(raw));
  }

  preludeEnd(): void {
    this.ended = true;
  }

  walk(bytes: Uint8Array): number {
    return bytes.length;
  }

  beginBlock(): void {
    // Data are not looked at here.
  }

  endBlock(): void {
    // Data are not looked at here.
  }

  endNamespace(): void {
    // Data are not looked at here.
  }
}
