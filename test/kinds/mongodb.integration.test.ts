// MongoDB goes through the same suite as every other kind, on a real server.
import { MongoClient } from 'mongodb';
import { canBuildFerretDb, startFerretDb } from '../backends/ferretdb.ts';
import { mongodb } from '../../shared/mongodb/kind.ts';
import { describeIf } from '../support/needs.ts';
import { describeKind } from './conformance.ts';

describeIf(await canBuildFerretDb(), 'needs Go 1.24 to build FerretDB')('mongodb', () => {
  describeKind(mongodb, async () => {
    const server = await startFerretDb();
    const client = await new MongoClient(server.uri).connect();
    const orders = client.db('shop').collection('orders');
    await orders.insertMany(Array.from({ length: 20 }, (_, number) => ({ number, text: `order ${number}` })));
    await orders.createIndex({ number: 1 });
    return {
      keys: 'source: { uri: "${env:MONGODB_URI}" }, engine: driver, include: [shop]',
      options: {},
      env: { MONGODB_URI: server.uri },
      content: async () =>
        (await client.db('shop').listCollections().toArray()).length === 0 ? undefined : orders.find().sort({ number: 1 }).toArray(),
      change: async () => {
        await orders.insertOne({ number: 20, text: 'a new one' });
      },
      lose: async () => {
        await client.db('shop').dropDatabase();
      },
      close: async () => {
        await client.close();
        await server.stop();
      },
    };
  });
});
