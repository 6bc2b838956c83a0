// The benchmarks' input: archives made once, offline, the same on every machine, and kept in the cache.
import { once } from 'node:events';
import { createWriteStream, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BSON } from '../../shared/mongodb/bson.ts';
import { TERMINATOR } from '../../shared/mongodb/archive.ts';
import { encodeBlockHeader, encodeNamespaceEnd, encodePrelude } from '../../shared/mongodb/archive-writer.ts';
import { formatMetadata } from '../../shared/mongodb/collection-metadata.ts';
import { createDocumentDigest } from '../../shared/mongodb/document-digest.ts';
import { cachedBuild, contentKey } from '../backends/support.ts';
import { datasetArchive } from '../dataset/dataset-archive.ts';

/** For a thousand messages of some 400 bytes: about a quarter of all bytes are uploads that no compression makes smaller. */
const UPLOADS_PER_THOUSAND_MESSAGES = 150_000;
const TINY_DOCUMENT_BYTES = 100;
const TINY_DOCUMENTS_PER_BLOCK = 10_000;

/** The file of a chat's archive with so many bytes of documents. The first call takes a minute per GiB. */
export async function chatArchive(size: number): Promise<string> {
  const sources = globSync(['test/dataset/{dataset,dataset-archive,chat-text,seeded-random,bson-samples}.ts']).sort();
  const key = contentKey(`${size} ${UPLOADS_PER_THOUSAND_MESSAGES}`, ...sources.map((file) => readFileSync(file)));
  return cachedArchive('bench-chat', key, () => datasetArchive({ size, uploadsPerThousandMessages: UPLOADS_PER_THOUSAND_MESSAGES }));
}

/** The file of an archive of one collection with so many documents of 100 bytes. */
export async function tinyArchive(documents: number): Promise<string> {
  return cachedArchive('bench-tiny', contentKey(`1 ${documents}`), () => tinyDocuments(documents));
}

async function cachedArchive(name: string, key: string, make: () => Iterable<Uint8Array>): Promise<string> {
  const folder = await cachedBuild(name, key, async (into) => {
    const file = createWriteStream(join(into, 'archive'), { highWaterMark: 8 << 20 });
    for (const piece of make()) if (!file.write(piece)) await once(file, 'drain');
    file.end();
    await once(file, 'close');
  });
  return join(folder, 'archive');
}

function* tinyDocuments(count: number): Generator<Uint8Array> {
  const namespace = { db: 'bench', collection: 'tiny' };
  const metadata = formatMetadata({ options: {}, indexes: [], collectionName: 'tiny', type: 'collection' });
  const header = { concurrentCollections: 1, version: '0.1', serverVersion: '7.0.14', toolVersion: '100.10.0' };
  yield encodePrelude(header, [{ ...namespace, metadata, size: 0, type: '' }]);
  const digest = createDocumentDigest();
  for (let first = 0; first < count; first += TINY_DOCUMENTS_PER_BLOCK) {
    const documents = Array.from({ length: Math.min(TINY_DOCUMENTS_PER_BLOCK, count - first) }, (_, index) => tinyDocument(first + index));
    const block = Buffer.concat(documents);
    digest.select('tiny');
    digest.walk(block, 0);
    yield encodeBlockHeader(namespace);
    yield block;
    yield TERMINATOR;
  }
  yield encodeNamespaceEnd(namespace, digest.finish('tiny').crc64);
}

function tinyDocument(n: number): Uint8Array {
  const document = { _id: new BSON.Int32(n), room: `room-${n % 977}`, level: new BSON.Int32((n * 2654435761) % 10), text: '' };
  document.text = String(n * 7919).padEnd(TINY_DOCUMENT_BYTES - BSON.serialize(document).length, '.');
  return BSON.serialize(document);
}
