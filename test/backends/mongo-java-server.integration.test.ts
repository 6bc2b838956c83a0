// What tests rely on in mongo-java-server: the types and index options that FerretDB refuses.
import { afterEach, expect, test } from '@jest/globals';
import { BSON, MongoClient } from 'mongodb';
import { describeIf } from '../support/needs.ts';
import { canBuildMongoJavaServer, startMongoJavaServer, type MongoJavaServer } from './mongo-java-server.ts';
import { tempFolder } from './support.ts';

describeIf(canBuildMongoJavaServer(), 'needs Java 17 (a JDK) and Maven')('mongo-java-server', () => {
  const running: MongoJavaServer[] = [];
  const open: MongoClient[] = [];
  const start = async (...args: Parameters<typeof startMongoJavaServer>): Promise<{ server: MongoJavaServer; client: MongoClient }> => {
    const server = await startMongoJavaServer(...args);
    running.push(server);
    const client = await new MongoClient(server.uri).connect();
    open.push(client);
    return { server, client };
  };
  afterEach(async () => {
    for (const client of open.splice(0)) await client.close();
    for (const server of running.splice(0)) await server.stop();
  });

  test('keeps the types that FerretDB closes the connection on', async () => {
    const { client } = await start();
    const document = {
      _id: 'types' as never,
      decimal: BSON.Decimal128.fromString('1.10'),
      min: new BSON.MinKey(),
      max: new BSON.MaxKey(),
      code: new BSON.Code('x'),
      nan: NaN,
      minusZero: new BSON.Double(-0),
      'dotted.key': 1,
    };
    await client.db('chat').collection('types').insertOne(document);
    const stored = (await client.db('chat').collection('types', { raw: true }).findOne({})) as unknown as Uint8Array;
    expect(Buffer.from(stored).equals(BSON.serialize(document))).toBe(true);
  });

  test('keeps TTL and partial indexes', async () => {
    const { client } = await start();
    const collection = client.db('chat').collection('indexed');
    await collection.createIndex({ at: 1 }, { name: 'ttl', expireAfterSeconds: 60 });
    await collection.createIndex({ a: 1 }, { name: 'some', partialFilterExpression: { a: { $gt: 1 } } });
    expect(await collection.indexes()).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ name: 'ttl', expireAfterSeconds: 60 }),
        expect.objectContaining({ name: 'some', partialFilterExpression: { a: { $gt: 1 } } }),
      ]),
    );
  });

  test('on disk keeps its data over a proper stop', async () => {
    const folder = tempFolder('mongo-java-server-kept');
    const first = await start({ backend: 'h2', folder });
    await first.client
      .db('chat')
      .collection('kept')
      .insertMany(Array.from({ length: 300 }, (_, n) => ({ n })));
    await first.client.close();
    await first.server.stop();
    const second = await start({ backend: 'h2', folder });
    expect(await second.client.db('chat').collection('kept').countDocuments()).toBe(300);
  });

  test('has wire version 8, which driver 6 still speaks and driver 7 does not', async () => {
    const { client } = await start();
    expect(await client.db('admin').command({ isMaster: 1 })).toMatchObject({ maxWireVersion: 8 });
  });
});
