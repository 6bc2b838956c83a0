// Writes an archive many times as large as its input to standard output, without needing its space on disk: every database once per copy.
// node test/benchmarks/repeat-archive.ts <archive> <copies>
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import {
  ArchiveParser,
  documentEnd,
  TERMINATOR,
  type ArchiveHeader,
  type ArchiveVisitor,
  type CollectionEntry,
} from '../../shared/mongodb/archive.ts';
import { encodeBlockHeader, encodeNamespaceEnd, encodePrelude } from '../../shared/mongodb/archive-writer.ts';

/** Gathers one pass over the input, with the databases renamed to copy `copy`. The first pass also learns the prelude. */
class Copier implements ArchiveVisitor {
  readonly entries: CollectionEntry[] = [];
  header_: ArchiveHeader | undefined;
  #out: Uint8Array[] = [];
  readonly #copy: number;

  constructor(copy: number) {
    this.#copy = copy;
  }

  header(header: ArchiveHeader): void {
    this.header_ = header;
  }
  collection(entry: CollectionEntry): void {
    this.entries.push(entry);
  }
  beginBlock(entry: CollectionEntry): void {
    this.#out.push(encodeBlockHeader(renamed(entry, this.#copy)));
  }
  walk(bytes: Uint8Array, start: number): number {
    let end = start;
    for (let next = documentEnd(bytes, end); next > 0; next = documentEnd(bytes, end)) end = next;
    if (end > start) this.#out.push(Uint8Array.prototype.slice.call(bytes, start, end));
    return end;
  }
  endBlock(): void {
    this.#out.push(TERMINATOR);
  }
  endNamespace(entry: CollectionEntry, crc: bigint): void {
    this.#out.push(encodeNamespaceEnd(renamed(entry, this.#copy), crc));
  }
  take(): Uint8Array[] {
    const out = this.#out;
    this.#out = [];
    return out;
  }
}

function renamed<T extends { db: string }>(entry: T, copy: number): T {
  return { ...entry, db: `${entry.db}_${copy}` };
}

async function write(pieces: Uint8Array[]): Promise<void> {
  for (const piece of pieces) if (!process.stdout.write(piece)) await once(process.stdout, 'drain');
}

const [file = '', copiesText = ''] = process.argv.slice(2);
const copies = Number(copiesText);
for (let copy = 0; copy < copies; copy += 1) {
  const copier = new Copier(copy);
  const parser = new ArchiveParser(copier);
  let announced = copy > 0;
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) {
    parser.push(chunk as Buffer);
    if (!announced && copier.header_) {
      // The prelude is far smaller than the first chunk.
      const all = Array.from({ length: copies }, (_, n) => copier.entries.map((entry) => renamed(entry, n))).flat();
      await write([encodePrelude(copier.header_, all)]);
      announced = true;
    }
    await write(copier.take());
  }
  parser.end();
}
