// Archives for tests: built from a short description, and taken apart again into what a writer would need to repeat them.
import { createCRC64 } from 'hash-wasm';
import { BSON } from '../../shared/mongodb/bson.ts';
import {
  ArchiveParser,
  documentEnd,
  TERMINATOR,
  type ArchiveHeader,
  type ArchiveVisitor,
  type CollectionEntry,
} from '../../shared/mongodb/archive.ts';
import { encodeBlockHeader, encodeNamespaceEnd, encodePrelude } from '../../shared/mongodb/archive-writer.ts';
import { formatMetadata } from '../../shared/mongodb/collection-metadata.ts';

export interface ArchiveCollection {
  db: string;
  collection: string;
  documents: BSON.Document[];
  indexes?: BSON.Document[];
  options?: BSON.Document;
  type?: string;
  /** Where the documents lie, when not in `collection`. */
  dataCollection?: string;
  /** Documents per block; blocks of all collections interleave. */
  perBlock?: number;
}

export const testHeader: ArchiveHeader = { concurrentCollections: 4, version: '0.1', serverVersion: '7.0.2', toolVersion: '100.9.4' };

/** An archive as mongodump would write it, blocks interleaved round-robin. */
export async function buildArchive(collections: ArchiveCollection[]): Promise<Buffer> {
  const crc = await createCRC64('c96c5795d7870f42');
  const pieces: Uint8Array[] = [encodePrelude(testHeader, collections.map(entryOf))];
  const queues = collections.map((collection) => {
    const name = { db: collection.db, collection: collection.dataCollection ?? collection.collection };
    const raw = collection.documents.map((document) => BSON.serialize(document));
    const checksum = BigInt(`0x${raw.reduce((hash, bytes) => hash.update(bytes), crc.init()).digest()}`);
    const size = collection.perBlock ?? 100;
    const blocks: Uint8Array[] = [];
    for (let at = 0; at < Math.max(raw.length, 1); at += size) {
      blocks.push(Buffer.concat([encodeBlockHeader(name), ...raw.slice(at, at + size), TERMINATOR]));
    }
    return [...blocks, encodeNamespaceEnd(name, checksum)];
  });
  for (let round = 0; queues.some((queue) => round < queue.length); round++) {
    for (const queue of queues) pieces.push(...queue.slice(round, round + 1));
  }
  return Buffer.concat(pieces);
}

function entryOf({ db, collection, options, indexes, type }: ArchiveCollection): CollectionEntry {
  const metadata = formatMetadata({
    options: options ?? {},
    indexes: indexes ?? [{ v: new BSON.Int32(2), key: { _id: new BSON.Int32(1) }, name: '_id_' }],
    collectionName: collection,
    type: type ?? 'collection',
  });
  return { db, collection, metadata: db === '' ? '' : metadata, size: 0, type: type ?? '' };
}

/** Parses an archive and writes it again from what the parser told. */
export function rewriteArchive(archive: Uint8Array): Buffer {
  const pieces: Uint8Array[] = [];
  const entries: CollectionEntry[] = [];
  let header = testHeader;
  const visitor: ArchiveVisitor = {
    header: (told) => (header = told),
    collection: (entry) => entries.push(entry),
    preludeEnd: () => pieces.push(encodePrelude(header, entries)),
    beginBlock: (entry) => pieces.push(encodeBlockHeader(entry)),
    endBlock: () => pieces.push(TERMINATOR),
    endNamespace: (entry, crc) => pieces.push(encodeNamespaceEnd(entry, crc)),
    walk: (bytes, start) => {
      let at = start;
      for (let end = documentEnd(bytes, at); end > 0; end = documentEnd(bytes, at)) {
        pieces.push(Uint8Array.from(bytes.subarray(at, end)));
        at = end;
      }
      return at;
    },
  };
  const parser = new ArchiveParser(visitor);
  parser.push(archive);
  parser.end();
  return Buffer.concat(pieces);
}
