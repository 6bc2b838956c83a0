// What tests and drill rely on in FerretDB; a new version that stops doing it fails here and not somewhere else.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { BSON, MongoClient, MongoServerError } from 'mongodb';
import { describeIf } from '../support/needs.ts';
import { canBuildFerretDb, ferretDbProgram, startFerretDb, type FerretDb, type FerretDbOptions } from './ferretdb.ts';
import { tempFolder } from './support.ts';

const withGo = describeIf(await canBuildFerretDb(), 'needs Go 1.24 or newer');
const BUILD_MS = 600_000;

withGo('FerretDB without users', () => {
  let server: FerretDb;
  let client: MongoClient;
  beforeAll(async () => {
    server = await startFerretDb();
    client = await new MongoClient(server.uri).connect();
  }, BUILD_MS);
  afterAll(async () => {
    await client.close();
    await server.stop();
  });

  test('gives documents back byte for byte', async () => {
    const documents = Array.from({ length: 2500 }, (_, n) => ({
      _id: n as never,
      text: `message ${n}`,
      even: n % 2 === 0,
      tags: ['ä', null],
    }));
    await client.db('chat').collection('messages').insertMany(documents);
    const raw = client
      .db('chat')
      .collection('messages')
      .find({}, { raw: true, sort: { _id: 1 } });
    const sent = documents.map((document) => Buffer.from(BSON.serialize(document)).toString('base64'));
    const stored: string[] = [];
    for await (const bytes of raw as AsyncIterable<unknown>) stored.push(Buffer.from(bytes as Uint8Array).toString('base64'));
    expect(stored).toEqual(sent);
  });

  test('keeps simple, compound and unique indexes with their names', async () => {
    const collection = client.db('chat').collection('indexed');
    await collection.createIndexes([
      { name: 'a_1', key: { a: 1 } },
      { name: 'имя', key: { 'b.c': -1, d: 1 } },
      { name: 'once', key: { e: 1 }, unique: true },
    ]);
    const indexes = await collection.indexes();
    expect(indexes.map(({ name, key, unique }) => ({ name, key: key, unique: unique ?? false })).sort(byName)).toEqual([
      { name: '_id_', key: { _id: 1 }, unique: false },
      { name: 'a_1', key: { a: 1 }, unique: false },
      { name: 'once', key: { e: 1 }, unique: true },
      { name: 'имя', key: { 'b.c': -1, d: 1 }, unique: false },
    ]);
    await collection.insertOne({ e: 1 });
    await expect(collection.insertOne({ e: 1 })).rejects.toMatchObject({ code: 11000 });
  });

  test('refuses the index options that the real mongorestore sends, so that a restore must strip them', async () => {
    const command = { createIndexes: 'strict', indexes: [{ key: { a: 1 }, name: 'a_1', ns: 'chat.strict' }] };
    await expect(client.db('chat').command(command)).rejects.toThrow('Index option "ns" is unknown');
  });

  test('lists an empty collection', async () => {
    await client.db('chat').createCollection('empty');
    const names = (await client.db('chat').listCollections().toArray()).map(({ name }) => name);
    expect(names).toContain('empty');
  });
});

withGo('FerretDB with users, TLS and a replica-set name', () => {
  const running: FerretDb[] = [];
  const start = async (options: FerretDbOptions): Promise<FerretDb> => {
    const server = await startFerretDb(options);
    running.push(server);
    return server;
  };
  beforeAll(async () => {
    await ferretDbProgram();
  }, BUILD_MS);
  afterAll(async () => {
    for (const server of running) await server.stop();
  });

  test('lets the right password in and answers a wrong one with code 18', async () => {
    const { uri, password = '' } = await start({ auth: true });
    await withClient(uri, (client) => client.db('chat').collection('a').insertOne({ a: 1 }));
    const wrong = withClient(uri.replace(password, 'wrong'), (client) => client.db('chat').command({ count: 'a' }));
    await expect(wrong).rejects.toBeInstanceOf(MongoServerError);
    await expect(wrong).rejects.toMatchObject({ code: 18 });
  });

  test('answers as the primary of its replica set', async () => {
    const { uri, port } = await start({ replicaSet: 'rs0' });
    const hello = await withClient(uri, (client) => client.db('admin').command({ hello: 1 }));
    expect(hello).toMatchObject({ isWritablePrimary: true, setName: 'rs0', hosts: [`127.0.0.1:${port}`] });
  });

  test('speaks TLS with a certificate that a client must trust', async () => {
    const { uri } = await start({ auth: true, tls: true, replicaSet: 'rs0' });
    expect(await withClient(uri, (client) => client.db('admin').command({ ping: 1 }))).toMatchObject({ ok: 1 });
    const untrusting = withClient(uri.replace(/&?tlsCAFile=[^&]*/, '') + '&serverSelectionTimeoutMS=1000', (client) =>
      client.db('admin').command({ ping: 1 }),
    );
    await expect(untrusting).rejects.toThrow(/certificate/);
  });

  test('keeps acknowledged writes and its password when it is killed and started again on its folder', async () => {
    const folder = tempFolder('ferretdb-kept');
    const first = await start({ folder, auth: true });
    await withClient(first.uri, (client) =>
      client
        .db('chat')
        .collection('kept')
        .insertMany(Array.from({ length: 500 }, (_, n) => ({ n }))),
    );
    process.kill(first.pid, 'SIGKILL');
    const second = await start({ folder, auth: true });
    expect(second.password).toBe(first.password);
    expect(await withClient(second.uri, (client) => client.db('chat').collection('kept').countDocuments())).toBe(500);
  });
});

async function withClient<T>(uri: string, work: (client: MongoClient) => Promise<T>): Promise<T> {
  const client = new MongoClient(uri);
  try {
    return await work(client);
  } finally {
    await client.close();
  }
}

function byName(a: { name?: string | undefined }, b: { name?: string | undefined }): number {
  return (a.name ?? '') < (b.name ?? '') ? -1 : 1;
}
