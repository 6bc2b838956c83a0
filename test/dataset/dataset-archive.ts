// The drill's data as a mongodump archive, made without a server: input for benchmarks, where any test server would be the bottleneck.
import { BSON } from '../../shared/mongodb/bson.ts';
import { TERMINATOR, type Namespace } from '../../shared/mongodb/archive.ts';
import { encodeBlockHeader, encodeNamespaceEnd, encodePrelude } from '../../shared/mongodb/archive-writer.ts';
import { formatMetadata } from '../../shared/mongodb/collection-metadata.ts';
import { createDocumentDigest } from '../../shared/mongodb/document-digest.ts';
import { chatDataset, type DatasetCollection, type DatasetOptions } from './dataset.ts';

const ID_INDEX = { v: new BSON.Int32(2), key: { _id: new BSON.Int32(1) }, name: '_id_' };

/**
 * The bytes of an archive as mongodump writes it, with interleaving blocks, in pieces of a few MiB.
 * `Readable.from(datasetArchive({ size }))` makes it a stream; the same options give the same bytes.
 */
export function* datasetArchive(options: DatasetOptions = {}): Generator<Uint8Array> {
  const dataset = chatDataset(options);
  // mongorestore opens as many collections at once as the header says, and waits for ever when more than that interleave.
  const header = { concurrentCollections: dataset.collections.length, version: '0.1', serverVersion: '7.0.14', toolVersion: '100.10.0' };
  yield encodePrelude(header, dataset.collections.map(preludeEntry));
  const digest = createDocumentDigest();
  for (const { collection, documents } of dataset.batches()) {
    const block = Buffer.concat(documents.map((document) => BSON.serialize(document)));
    digest.select(keyOf(collection));
    digest.walk(block, 0);
    yield encodeBlockHeader(collection);
    yield block;
    yield TERMINATOR;
  }
  for (const collection of dataset.collections) {
    digest.select(keyOf(collection));
    yield encodeNamespaceEnd(collection, digest.finish(keyOf(collection)).crc64);
  }
}

function preludeEntry({ db, collection, indexes }: DatasetCollection) {
  const specs = indexes.map(({ key, name, unique }) => ({
    v: new BSON.Int32(2),
    key: Object.fromEntries(Object.entries(key).map(([field, direction]) => [field, new BSON.Int32(direction)])),
    name,
    ...(unique ? { unique } : {}),
  }));
  const metadata = formatMetadata({ options: {}, indexes: [ID_INDEX, ...specs], collectionName: collection, type: 'collection' });
  return { db, collection, metadata, size: 0, type: '' };
}

function keyOf({ db, collection }: Namespace): string {
  return `${db}.${collection}`;
}
