// Reads a server's collections back, raw, and sums them up exactly as the archive's verifier does.
import { CancelledError } from '../step/errors.ts';
import type { Progress } from '../step/host.ts';
import { namespaceName, shownName, type Namespace } from './archive.ts';
import { databaseCollections, databaseNames, type CatalogCollection } from './catalog.ts';
import { indexReports, orderedTexts, plain, type IndexReport, type OrderedTexts } from './collection-metadata.ts';
import type { JsonValue } from '../backup/json.ts';
import type { MongoServer } from './connect.ts';
import { createDocumentDigest } from './document-digest.ts';
import { compileSelection } from './namespaces.ts';
import { readRaw } from './raw-cursor.ts';

/** What a server holds under one name now. */
export interface LiveNamespace extends Namespace {
  type: 'collection' | 'view' | 'timeseries';
  documents: number;
  bytes: number;
  digest: string;
  indexes: readonly IndexReport[];
  options: { readonly [name: string]: JsonValue };
  ordered?: OrderedTexts;
}

/** Every collection of these databases, by `db.collection`. Databases that are not there are left out. */
export async function listCollections(server: MongoServer, databases: readonly string[]): Promise<Map<string, CatalogCollection>> {
  const everything = compileSelection({ include: databases });
  const there = databases.length === 0 ? [] : await databaseNames(server, everything);
  const found = new Map<string, CatalogCollection>();
  for (const name of new Set(databases)) {
    if (!there.includes(name)) continue;
    for (const collection of await databaseCollections(server, name, compileSelection({})))
      found.set(namespaceName(collection), collection);
  }
  return found;
}

/**
 * Reads the named collections to their last document.
 * @returns by `db.collection`; a name that is not on the server is absent
 */
export async function readBack(
  server: MongoServer,
  names: readonly Namespace[],
  options: { signal?: AbortSignal; onProgress?: (progress: Progress) => void; totalDocuments?: number } = {},
): Promise<Map<string, LiveNamespace>> {
  const there = await listCollections(server, [...new Set(names.map(({ db }) => db))]);
  const live = new Map<string, LiveNamespace>();
  let done = 0;
  for (const name of names) {
    const collection = there.get(namespaceName(name));
    if (!collection) continue;
    if (options.signal?.aborted) throw new CancelledError('Cancelled while reading back.');
    const found = await readOne(server, collection, options.signal, (documents) => {
      options.onProgress?.({
        phase: 'Reading back',
        done: done + documents,
        total: options.totalDocuments,
        unit: 'documents',
        detail: shownName(name),
      });
    });
    done += found.documents;
    live.set(namespaceName(name), found);
  }
  return live;
}

async function readOne(
  server: MongoServer,
  collection: CatalogCollection,
  signal: AbortSignal | undefined,
  told: (documents: number) => void,
): Promise<LiveNamespace> {
  const digest = createDocumentDigest();
  digest.select('');
  let documents = 0;
  if (collection.data) {
    const session = server.sessions ? server.client.startSession({ causalConsistency: false }) : undefined;
    const rawBuckets = collection.type === 'timeseries' && collection.data.collection === collection.collection;
    try {
      const options = {
        ...(session ? { session } : {}),
        ...(signal ? { signal } : {}),
        ...(rawBuckets ? { find: { rawData: true } } : {}),
      };
      for await (const batch of readRaw(server.client, collection.data, options)) {
        digest.walk(batch.documents, 0);
        documents += batch.count;
        told(documents);
      }
    } finally {
      await session?.endSession();
    }
  }
  const sums = digest.finish('');
  return {
    db: collection.db,
    collection: collection.collection,
    type: collection.type,
    documents: sums.documents,
    bytes: sums.bytes,
    digest: sums.digest,
    indexes: indexReports(collection.indexes),
    options: plain(collection.options) as { readonly [name: string]: JsonValue },
    ...orderedTexts(collection.options),
  };
}
