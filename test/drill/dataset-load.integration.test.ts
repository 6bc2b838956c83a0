// The data set arrives whole in a server, and nothing that was there before is touched.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { MongoClient } from 'mongodb';
import { RefusedError } from '../../shared/step/errors.ts';
import { dropDatabases, loadDataset } from './dataset-load.ts';
import { canBuildFerretDb } from '../backends/ferretdb.ts';
import { canBuildMongoJavaServer, startMongoJavaServer } from '../backends/mongo-java-server.ts';
import type { MongoServer } from '../backends/mongo-server.ts';
import { startMongo } from '../backends/mongodb.ts';
import { describeIf } from '../support/needs.ts';

const SIZE = 8 * 2 ** 20;
const hasFerretDb = await canBuildFerretDb();

describeIf(hasFerretDb || canBuildMongoJavaServer(), 'needs a MongoDB, Go, or Java with Maven')('loadDataset', () => {
  let server: MongoServer;
  let client: MongoClient;
  beforeAll(async () => {
    server = await startMongo();
    client = await new MongoClient(server.uri).connect();
  }, 600_000);
  afterAll(async () => {
    await client.close();
    await server.stop();
  });

  test('loads every document, index and the empty collection, and tells how far it is', async () => {
    const told: number[] = [];
    const loaded = await loadDataset(server.uri, { size: SIZE, onProgress: ({ bytes }) => told.push(bytes) });
    let [documents, indexes, collections] = [0, 0, 0];
    for (const name of loaded.databases) {
      for (const { name: collection } of await client.db(name).listCollections().toArray()) {
        collections += 1;
        documents += await client.db(name).collection(collection).countDocuments();
        indexes += (await client.db(name).collection(collection).indexes()).length - 1;
      }
    }
    expect({ documents, indexes, collections }).toEqual({
      documents: loaded.documents,
      indexes: loaded.indexes,
      collections: loaded.collections,
    });
    expect(loaded.bytes).toBeGreaterThan(SIZE * 0.98);
    expect(told.at(-1)).toBe(loaded.bytes);
    expect(told).toEqual(told.toSorted((a, b) => a - b));
  });

  test('refuses a server where its databases are already there, and changes nothing', async () => {
    const count = async (): Promise<number> => client.db('drill_rocketchat').collection('rocketchat_message').countDocuments();
    const before = await count();
    expect(before).toBeGreaterThan(0);
    await expect(loadDataset(server.uri, { size: SIZE })).rejects.toBeInstanceOf(RefusedError);
    expect(await count()).toBe(before);
  });

  test('leaves no probe behind, and dropping leaves nothing at all', async () => {
    const names = async (): Promise<string[]> =>
      (await client.db('admin').admin().listDatabases({ nameOnly: true })).databases
        .map(({ name }) => name)
        .filter((name) => name.startsWith('drill_'));
    expect(await names()).toHaveLength(3);
    await dropDatabases(server.uri, await names());
    expect(await names()).toEqual([]);
  });

  test('stops when it is cancelled', async () => {
    const cancel = new AbortController();
    const loading = loadDataset(server.uri, {
      size: SIZE,
      prefix: 'cancelled_',
      signal: cancel.signal,
      onProgress: () => {
        cancel.abort();
      },
    });
    await expect(loading).rejects.toThrow(/abort/i);
  });
});

describeIf(canBuildMongoJavaServer(), 'needs Java 17 (a JDK) and Maven')('on mongo-java-server', () => {
  test('more types are kept than on FerretDB, and unicode database names', async () => {
    const server = await startMongoJavaServer();
    try {
      const loaded = await loadDataset(server.uri, { size: 2 ** 20 });
      expect(loaded.databases).toContain('drill_архив');
      expect(loaded.leftOut).toEqual(['binary-old', 'binary-md5', 'binary-user-defined', 'code-with-scope', 'symbol']);
    } finally {
      await server.stop();
    }
  });
});
