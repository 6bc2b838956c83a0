// Puts the drill's data into a running server, fast, and takes it away again.
import { MongoClient, type Db } from 'mongodb';
import pLimit from 'p-limit';
import { RefusedError } from '../../shared/step/errors.ts';
import { BSON } from '../../shared/mongodb/bson.ts';
import { BSON_SAMPLES, sampleDocument } from '../dataset/bson-samples.ts';
import {
  chatDataset,
  DEFAULT_DATASET_PREFIX,
  type DatasetOptions,
  type DatasetBatch,
  type Dataset,
  type ServerTraits,
} from '../dataset/dataset.ts';

/** Inserts under way at once: keeps the server busy while the next batch is made. */
const CONCURRENT_INSERTS = 3;

export interface LoadProgress {
  /** Bytes of BSON the server has acknowledged. */
  bytes: number;
  documents: number;
  /** Bytes to be expected in all. */
  totalBytes: number;
}

export interface LoadOptions extends Omit<DatasetOptions, 'traits'> {
  /** Called after every acknowledged batch. */
  onProgress?: (progress: LoadProgress) => void;
  signal?: AbortSignal;
}

export interface LoadedDataset {
  /** Names of the databases that were made. */
  databases: string[];
  collections: number;
  documents: number;
  indexes: number;
  /** Bytes of BSON. */
  bytes: number;
  seconds: number;
  /** BSON samples this server does not keep; they are not in the data. */
  leftOut: string[];
}

/**
 * Loads the data set with its indexes and its empty collection.
 * @throws RefusedError when a database of that name is there already: what is in it was not made by this drill
 */
export async function loadDataset(uri: string, options: LoadOptions = {}): Promise<LoadedDataset> {
  const started = performance.now();
  const client = new MongoClient(uri, { appName: 'lifeboat-drill', maxPoolSize: CONCURRENT_INSERTS + 1 });
  try {
    await client.connect();
    const prefix = options.prefix ?? DEFAULT_DATASET_PREFIX;
    const traits = await probeServer(client, `${prefix}probe`);
    const dataset = chatDataset({ ...options, traits });
    await refuseExisting(client, dataset);
    try {
      const { documents, bytes } = await insertAll(client, dataset, options);
      return {
        databases: dataset.databases,
        collections: dataset.collections.length,
        indexes: await createIndexes(client, dataset),
        documents,
        bytes,
        seconds: (performance.now() - started) / 1000,
        leftOut: [...BSON_SAMPLES.keys()].filter((name) => !traits.samples.has(name)),
      };
    } catch (thrown) {
      // Half a data set would make the next drill refuse this server.
      for (const name of dataset.databases) await client.db(name).dropDatabase();
      throw thrown;
    }
  } finally {
    await client.close();
  }
}

/** Drops the given databases: the drill's disaster, and its cleaning up. */
export async function dropDatabases(uri: string, databases: readonly string[]): Promise<void> {
  const client = new MongoClient(uri, { appName: 'lifeboat-drill' });
  try {
    for (const name of databases) await client.db(name).dropDatabase();
  } finally {
    await client.close();
  }
}

/**
 * Finds out by trial what the server keeps, in a database that is dropped afterwards. A stand-in may close the connection on a type that it
 * does not know; then the driver connects again and the type counts as not kept.
 */
export async function probeServer(client: MongoClient, database: string): Promise<ServerTraits> {
  const db = client.db(database);
  const samples = new Set<string>();
  try {
    for (const [name, value] of BSON_SAMPLES) if (await keeps(db, name, value)) samples.add(name);
  } finally {
    await db.dropDatabase();
  }
  return { samples, unicodeDatabases: await takesDatabase(client.db(`${database}_проба`)) };
}

async function keeps(db: Db, name: string, value: unknown): Promise<boolean> {
  const document = sampleDocument(name, value);
  try {
    await db.collection('samples').insertOne(document);
    const stored = (await db.collection('samples', { raw: true }).findOne({ _id: document['_id'] as never })) as unknown;
    return stored instanceof Uint8Array && Buffer.compare(stored, BSON.serialize(document)) === 0;
  } catch {
    return false;
  }
}

async function takesDatabase(db: Db): Promise<boolean> {
  try {
    await db.collection('samples').insertOne({ kept: true });
    await db.dropDatabase();
    return true;
  } catch {
    return false;
  }
}

async function refuseExisting(client: MongoClient, dataset: Dataset): Promise<void> {
  const { databases } = await client.db('admin').admin().listDatabases({ nameOnly: true });
  const taken = databases.map(({ name }) => name).filter((name) => dataset.databases.includes(name));
  if (taken.length === 0) return;
  throw new RefusedError(`The server already has ${taken.join(', ')}; the drill writes only to databases that it made.`, {
    fix: 'Drop them if they are left over from a drill, or point the drill at another server.',
  });
}

async function insertAll(client: MongoClient, dataset: Dataset, options: LoadOptions): Promise<{ documents: number; bytes: number }> {
  const totalBytes = options.size ?? 0;
  const sum = { documents: 0, bytes: 0 };
  const insert = async ({ collection, documents, bytes }: DatasetBatch): Promise<void> => {
    await client.db(collection.db).collection(collection.collection).insertMany(documents, { ordered: false });
    sum.documents += documents.length;
    sum.bytes += bytes;
    options.onProgress?.({ ...sum, totalBytes: Math.max(totalBytes, sum.bytes) });
  };
  for (const { db, collection } of dataset.collections) await client.db(db).createCollection(collection);
  const limit = pLimit(CONCURRENT_INSERTS);
  const underWay = new Set<Promise<void>>();
  let failure: unknown;
  for (const batch of dataset.batches()) {
    options.signal?.throwIfAborted();
    if (failure !== undefined) break;
    const work = limit(insert, batch).catch((thrown: unknown) => {
      failure ??= thrown;
    });
    underWay.add(work);
    void work.finally(() => underWay.delete(work));
    // Batches are large: only as many are made as are being sent.
    if (underWay.size >= CONCURRENT_INSERTS) await Promise.race(underWay);
  }
  await Promise.all(underWay);
  if (failure !== undefined) throw failure as Error;
  return sum;
}

async function createIndexes(client: MongoClient, dataset: Dataset): Promise<number> {
  let made = 0;
  for (const { db, collection, indexes } of dataset.collections) {
    if (indexes.length > 0) await client.db(db).collection(collection).createIndexes(indexes);
    made += indexes.length;
  }
  return made;
}
