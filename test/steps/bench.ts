// A MongoDB, a folder store and a folder vault to run the real steps against, and a look at what they left behind.
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { BSON, MongoClient, type Document } from 'mongodb';
import { drSource } from '../../shared/session/session.ts';
import { MemoryHost, type MemoryHostOptions } from '../../shared/hosts/memory.ts';
import type { Finish } from '../../shared/step/host.ts';
import { runStep } from '../../shared/step/run.ts';
import { findStep } from '../../shared/steps/index.ts';
import { startFerretDb, type FerretDb } from '../backends/ferretdb.ts';
import { tempFolder } from '../backends/support.ts';

/** One run of a step, as its user sees it. */
export interface Ran {
  finish: Finish;
  outcome: Finish['outcome'];
  exitCode: number;
  /** The error's sentence and its fix; empty when there was none. */
  said: string;
  /** `level: text` lines. */
  log: string[];
  outputs: Record<string, string>;
  summary: string;
}

/** Runs a step to its end. Inputs by camelCase name. Fails when a private file is left in the host's temporary folder. */
export async function run(step: string, inputs: Record<string, string>, options: Omit<MemoryHostOptions, 'inputs'> = {}): Promise<Ran> {
  const definition = findStep(step);
  if (!definition) throw new Error(`there is no step ${step}`);
  const host = new MemoryHost({ ...options, inputs });
  const finish = await runStep(definition, host, { openConfig: drSource() });
  const left = readdirSync(host.tempDir);
  rmSync(host.tempDir, { recursive: true });
  if (left.length > 0) throw new Error(`${step} left ${left.join(', ')} in its temporary folder`);
  return {
    finish,
    outcome: finish.outcome,
    exitCode: finish.exitCode,
    said: [finish.error?.message, finish.error?.fix, finish.error?.stack].filter((text) => text !== undefined).join('\n'),
    log: host.log,
    outputs: host.outputs,
    summary: host.summaryText,
  };
}

export interface Bench {
  mongo: FerretDb;
  client: MongoClient;
  root: string;
  /** A store and a vault of their own for one test, with what every step needs. */
  place(): Place;
  stop(): Promise<void>;
}

/** Where one test's backups and keys lie. */
export interface Place {
  store: string;
  vault: string;
  /** The inputs `store`, `vault`, `name`, `component`, and `mongodbUri` with the built-in engine. */
  inputs: Record<string, string>;
  /** The same without the MongoDB: what the reading steps take. */
  reading: Record<string, string>;
  /** Timestamps and states that `list-backups` shows, oldest first, and how many leftovers it counts. */
  listed(): Promise<{ backups: [timestamp: string, state: string][]; leftovers: number }>;
  /** Names of keys in the vault. */
  keys(): string[];
  /** Files below the component's folder in the store, but for the mark that its first backup leaves there for good. */
  files(): string[];
  /** The run records, oldest first. */
  records(): { step: string; outcome: string; error?: string }[];
}

/** Starts FerretDB with a password. Takes half a second when it is built. */
export async function startBench(): Promise<Bench> {
  const mongo = await startFerretDb({ auth: true });
  const client = await new MongoClient(mongo.uri).connect();
  const root = tempFolder('steps');
  let places = 0;
  return {
    mongo,
    client,
    root,
    place: () => placeIn(join(root, String((places += 1))), mongo.uri),
    stop: async () => {
      await client.close();
      await mongo.stop();
      rmSync(root, { recursive: true, force: true });
    },
  };
}

function placeIn(folder: string, mongodbUri: string): Place {
  const store = join(folder, 'store');
  const vault = join(folder, 'vault');
  for (const path of [store, vault]) mkdirSync(path, { recursive: true, mode: 0o700 });
  const reading = { store, vault, name: 'shop', component: 'mongodb' };
  const filesBelow = (path: string): string[] => {
    try {
      return readdirSync(path, { recursive: true, encoding: 'utf8', withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name))
        .sort();
    } catch {
      return [];
    }
  };
  return {
    store,
    vault,
    reading,
    inputs: { ...reading, mongodbUri, engine: 'driver' },
    listed: async () => {
      const { finish } = await run('list-backups', { store, name: 'shop', component: 'mongodb' });
      const { backups, leftovers } = finish.result as { backups: { timestamp: string; state: string }[]; leftovers: number };
      return { backups: backups.map(({ timestamp, state }) => [timestamp, state] as [string, string]).reverse(), leftovers };
    },
    keys: () => filesBelow(vault).filter((path) => /lifeboat-/.test(path)),
    files: () => filesBelow(join(store, 'shop', 'mongodb')).filter((path) => !path.endsWith('/begun.json')),
    records: () =>
      filesBelow(join(store, 'shop', 'runs'))
        .filter((path) => path.endsWith('.json'))
        .map((path) => JSON.parse(readFileSync(path, 'utf8')) as { step: string; outcome: string; error?: string }),
  };
}

/** Fills `<db>.orders` (with an index) and `<db>.customers`. */
export async function fill(client: MongoClient, db: string, documents = 300): Promise<void> {
  const orders = Array.from({ length: documents }, (_, at) => ({ _id: at as never, number: at * 7, text: `order ${at} `.repeat(20) }));
  await client.db(db).collection('orders').insertMany(orders);
  await client.db(db).collection('orders').createIndex({ number: 1 }, { name: 'by_number', unique: true });
  await client
    .db(db)
    .collection('customers')
    .insertMany([{ _id: 'c1' as never, name: 'Åse' }, { _id: 'c2' as never }]);
}

/** Every collection of a database by name: documents, a digest over them in the order of their ids, and the names of its indexes. */
export async function stateOf(
  client: MongoClient,
  db: string,
): Promise<Record<string, { documents: number; sha256: string; indexes: string[] }>> {
  const state: Awaited<ReturnType<typeof stateOf>> = {};
  for (const { name } of await client.db(db).listCollections().toArray()) {
    const collection = client.db(db).collection(name);
    const documents: Document[] = await collection.find().sort({ _id: 1 }).toArray();
    const hash = createHash('sha256');
    for (const document of documents) hash.update(BSON.serialize(document));
    const indexes = (await collection.listIndexes().toArray()).map(({ name: index }: { name?: string }) => String(index)).sort();
    state[name] = { documents: documents.length, sha256: hash.digest('hex'), indexes };
  }
  return state;
}

/** Waits for something that is about to happen. @throws Error when it did not within a minute */
export async function until(happened: () => boolean): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!happened()) {
    if (Date.now() > deadline) throw new Error(`waited in vain for ${String(happened)}`);
    await new Promise((resume) => setTimeout(resume, 50));
  }
}
