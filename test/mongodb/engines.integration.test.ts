// Both engines against real servers: each restores what the other wrote, proved by digests, and each failure says what happened.
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { MongoClient } from 'mongodb';
import { newArchiveInspector, type ArchiveReport } from '../../shared/mongodb/archive-inspector.ts';
import { connectMongo, pinToOneMember, type MongoServer } from '../../shared/mongodb/connect.ts';
import { dumpMongo, type DumpOptions, type DumpFacts } from '../../shared/mongodb/dump.ts';
import type { EngineChoice } from '../../shared/mongodb/engine.ts';
import { compareWithServer } from '../../shared/mongodb/integrity.ts';
import { openRestore, restoreProblem, type RestoreOptions } from '../../shared/mongodb/restore.ts';
import type { Comparison } from '../../shared/mongodb/compare.ts';
import { Secret } from '../../shared/step/input.ts';
import { UserError } from '../../shared/step/errors.ts';
import { canBuildFerretDb, startFerretDb, type FerretDb } from '../backends/ferretdb.ts';
import { canBuildMongoJavaServer, startMongoJavaServer, type MongoJavaServer } from '../backends/mongo-java-server.ts';
import { mongoTools } from '../backends/mongo-tools.ts';
import { freePort } from '../backends/support.ts';
import { describeIf } from '../support/needs.ts';

const tools = await mongoTools();
const tempDir = mkdtempSync(join(tmpdir(), 'lifeboat-engines-'));
const path = process.env['PATH'];
beforeAll(() => {
  if ('path' in tools) process.env['PATH'] = tools.path;
});
afterAll(() => {
  process.env['PATH'] = path;
  rmSync(tempDir, { recursive: true, force: true });
});

interface Dumped {
  chunks: Uint8Array[];
  report: ArchiveReport;
  facts: DumpFacts;
  doubts: string[];
}

async function dump(uri: string, engine: EngineChoice, more: Partial<DumpOptions> = {}): Promise<Dumped> {
  const { source, facts, doubts } = await dumpMongo({ uri: new Secret(uri), engine, tempDir, ...more });
  const inspector = newArchiveInspector();
  const chunks: Uint8Array[] = [];
  for await (const chunk of source) {
    chunks.push(chunk);
    await inspector.write(chunk);
  }
  return { chunks, report: await inspector.end(), facts, doubts };
}

async function restore(
  uri: string,
  engine: EngineChoice,
  { chunks, report }: Dumped,
  more: Partial<RestoreOptions> = {},
): Promise<{ failed: number; comparison: Comparison; problem: string | undefined; notes: string[] }> {
  const restoring = await openRestore({ uri: new Secret(uri), engine, report, tempDir, ...more });
  try {
    const outcome = await restoring.run(from(chunks));
    const comparison = await restoring.prove();
    return { failed: outcome.failed, comparison, problem: restoreProblem(outcome, comparison), notes: outcome.notes };
  } finally {
    await restoring.close();
  }
}

async function* from(chunks: Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}

async function withClient<T>(uri: string, work: (client: MongoClient) => Promise<T>): Promise<T> {
  const client = new MongoClient(uri);
  try {
    return await work(client);
  } finally {
    await client.close();
  }
}

/** Documents of these tests have their own ids. */
type Named = Record<string, unknown> & { _id: string };

async function load(uri: string): Promise<void> {
  await withClient(uri, async (client) => {
    const chat = client.db('chat');
    const messages: Named[] = Array.from({ length: 3000 }, (_, index) => ({
      _id: `m${index}`,
      rid: `r${index % 20}`,
      msg: `Grüße ${'n'.repeat(index % 300)}`,
      ts: new Date(1_700_000_000_000 + index),
      big: index * 1e6,
      // Keys that a JavaScript object would put into another order: only raw bytes survive.
      ...(index % 10 === 0 ? { votes: new Map([['10', 1], ['9', 2], ['a', 3]]) } : {}), // prettier-ignore
    }));
    await chat.collection<Named>('rocketchat_message').insertMany(messages);
    await chat.collection('rocketchat_message').createIndex({ rid: 1, ts: -1 }, { name: 'rid_ts' });
    await chat.collection('rocketchat_message').createIndex(new Map([['rid', 1], ['2024', -1]]), { name: 'rid_2024' }); // prettier-ignore
    await chat.collection<Named>('users').insertMany([{ _id: 'u1', username: 'änne' }, { _id: 'u2', username: 'bert' }]); // prettier-ignore
    await chat.collection('users').createIndex({ username: 1 }, { name: 'username_1', unique: true });
    await chat.createCollection('empty');
    await client.db('zweite').collection<Named>('Sammlung mit Ümläut').insertOne({ _id: 'x', value: 1.5 });
  });
}

async function failure(work: Promise<unknown>): Promise<UserError> {
  const thrown: unknown = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(thrown instanceof UserError)) throw new Error('expected a UserError', { cause: thrown });
  return thrown;
}

const renames = ['chat=chat_check', 'zweite=zweite_check'];
const ferretAvailable = await canBuildFerretDb();

describeIf(ferretAvailable, 'needs Go 1.24')('with FerretDB', () => {
  let server: FerretDb;
  let builtIn: Dumped;
  beforeAll(async () => {
    server = await startFerretDb({ auth: true });
    await load(server.uri);
    builtIn = await dump(server.uri, 'driver');
  }, 300_000);
  afterAll(() => server.stop());

  test('the built-in engine dumps everything, counted, with its indexes', () => {
    expect(
      builtIn.report.namespaces.filter(({ db }) => db !== 'admin').map(({ db, collection, documents }) => [db, collection, documents]),
    ).toEqual([
      ['chat', 'empty', 0],
      ['chat', 'rocketchat_message', 3000],
      ['chat', 'users', 2],
      ['zweite', 'Sammlung mit Ümläut', 1],
    ]);
    const indexesOf = (name: string) => builtIn.report.namespaces.find(({ collection }) => collection === name)?.indexes;
    expect(indexesOf('users')?.[1]).toEqual({ name: 'username_1', keys: [['username', 1]], options: { unique: true } });
    // A JavaScript object has numbers first, which would be another index.
    expect(indexesOf('rocketchat_message')?.[1]?.keys).toEqual([
      ['rid', 1],
      ['2024', -1],
    ]);
    expect(builtIn.facts).toMatchObject({ engine: 'driver', topology: 'standalone', consistency: 'per-collection', product: 'FerretDB' });
    expect(JSON.stringify(builtIn.facts)).not.toContain(server.password);
  });

  test('the built-in engine restores its dump beside the living data, proved equal', async () => {
    const result = await restore(server.uri, 'driver', builtIn, { renames });
    expect(result.problem).toBeUndefined();
    expect(result.comparison.totals).toEqual({ namespaces: 4, equal: 4, expected: 3003, found: 3003 });
  });

  test('a gzip archive is restored as well', async () => {
    const packed = { ...builtIn, chunks: [gzipSync(Buffer.concat(builtIn.chunks))] };
    expect((await restore(server.uri, 'driver', packed, { include: ['chat.users'], renames: ['chat=zip_check'] })).problem).toBeUndefined();
  });

  test('a target that holds documents is refused, and replaced only when that is allowed', async () => {
    const refusal = await failure(restore(server.uri, 'driver', builtIn));
    expect(refusal.kind).toBe('refused');
    expect(refusal.message).toContain('chat.rocketchat_message (3,000 documents)');
    await withClient(server.uri, (client) => client.db('chat').collection<Named>('users').insertOne({ _id: 'new', username: 'after' }));
    expect(
      (await compareWithServer({ uri: new Secret(server.uri), report: builtIn.report })).rows.find(({ to }) => to === 'chat.users'),
    ).toMatchObject({
      verdict: 'different',
      differences: ['1 document too many'],
    });
    const result = await restore(server.uri, 'driver', builtIn, { replace: true });
    expect(result.problem).toBeUndefined();
    expect((await compareWithServer({ uri: new Secret(server.uri), report: builtIn.report })).verdict).toBe('equal');
  });

  test('a capped collection keeps the order of its documents', async () => {
    await withClient(server.uri, async (client) => {
      const log = await client.db('order').createCollection('log', { capped: true, size: 100_000_000 });
      // Several inserts, the first ones much slower than the last.
      const entries = Array.from({ length: 60 }, (_, index) => ({ _id: index, text: 'x'.repeat(index < 30 ? 1_300_000 : 10) }));
      for (const entry of entries) await log.insertOne(entry as never);
    });
    const result = await restore(server.uri, 'driver', await dump(server.uri, 'driver', { include: ['order'] }), {
      targetDatabase: 'ordered',
    });
    expect(result.problem).toBeUndefined();
    const order = await withClient(server.uri, (client) =>
      client
        .db('ordered')
        .collection('log')
        .find({}, { projection: { _id: 1 } })
        .toArray(),
    );
    expect(order.map(({ _id }) => _id as unknown)).toEqual(Array.from({ length: 60 }, (_, index) => index));
    await withClient(server.uri, async (client) => {
      for (const name of ['order', 'ordered']) await client.db(name).dropDatabase();
    });
  });

  test('only what is asked for is dumped and restored', async () => {
    const some = await dump(server.uri, 'driver', { include: ['chat'], exclude: ['chat.rocket*'] });
    expect(some.report.namespaces.map(({ collection }) => collection)).toEqual(['empty', 'users']);
    const result = await restore(server.uri, 'driver', builtIn, { include: ['zweite'], renames: ['zweite=dritte'] });
    expect(result.comparison.rows.map(({ to }) => to)).toEqual(['dritte.Sammlung mit Ümläut']);
  });

  test('a document that is missing after the restore is found', async () => {
    const restoring = await openRestore({
      uri: new Secret(server.uri),
      engine: 'driver',
      report: builtIn.report,
      tempDir,
      include: ['chat.users'],
      renames: ['chat=chat_less'],
    });
    try {
      const outcome = await restoring.run(from(builtIn.chunks));
      await withClient(server.uri, (client) => client.db('chat_less').collection<Named>('users').deleteOne({ _id: 'u2' }));
      expect(restoreProblem(outcome, await restoring.prove())).toBe(
        '1 of 1 collection is not what the backup holds; chat_less.users: 1 document missing.',
      );
    } finally {
      await restoring.close();
    }
  });

  test('failures say what happened and what to do, and never show the password', async () => {
    const wrongPassword = await failure(dump(server.uri.replace(server.password ?? '', 'Wr0ng!'.replace('!', '%21')), 'driver'));
    expect(wrongPassword.message).toBe('MongoDB refused the login: user or password is wrong.');
    const noLogin = await failure(dump(server.uri.replace(/\/\/.*@/, '//'), 'driver'));
    expect(noLogin.message).toBe('MongoDB asks for a login, and the connection string has none.');
    const unknown = await failure(dump(server.uri, 'driver', { include: ['chatt'] }));
    expect(unknown.message).toMatch(/^There is no database or collection "chatt" on 127\.0\.0\.1:\d+\.$/);
    const malformed = await failure(dump('mongodb//x', 'driver'));
    expect(malformed.kind).toBe('usage');
    const closed = await failure(dump(`mongodb://root:geheim@127.0.0.1:${await freePort()}/?serverSelectionTimeoutMS=500`, 'driver'));
    expect(closed.message).toMatch(/^MongoDB cannot be reached: .*ECONNREFUSED/);
    for (const error of [wrongPassword, noLogin, unknown, malformed, closed]) {
      expect(error.fix).toBeTruthy();
      expect(error.message + (error.fix ?? '')).not.toMatch(/geheim|Wr0ng/);
    }
  });

  test('of several routers one that is up is taken', async () => {
    const live = await connectMongo(new Secret(server.uri));
    const port = await freePort();
    const client = { options: { hosts: [`127.0.0.1:${port}`, `127.0.0.1:${server.port}`] }, readPreference: live.client.readPreference };
    const router = {
      ...live,
      topology: 'sharded',
      client: { ...client, db: (name: string) => live.client.db(name) },
    } as unknown as MongoServer;
    const pinned = await pinToOneMember(router, new Secret(server.uri));
    try {
      expect(pinned.topology).toBe('sharded');
      expect((await pinned.client.db('chat').collection('users').findOne({}))?._id).toBeDefined();
    } finally {
      await pinned.close();
      await live.close();
    }
  });

  test('a cancel ends the dump with a CancelledError', async () => {
    const abort = new AbortController();
    const { source } = await dumpMongo({ uri: new Secret(server.uri), engine: 'driver', tempDir, signal: abort.signal });
    const reading = (async () => {
      for await (const chunk of source) if (chunk.length > 0) abort.abort();
    })();
    expect((await failure(reading)).kind).toBe('cancelled');
  });

  const describeTools = describeIf('path' in tools, 'missing' in tools ? tools.missing : '');
  describeTools('and the official tools', () => {
    let official: Dumped;
    beforeAll(async () => {
      await withClient(server.uri, async (client) => {
        const { databases } = await client.db('admin').admin().listDatabases({ nameOnly: true });
        for (const { name } of databases) if (/_(check|less)$|dritte/.test(name)) await client.db(name).dropDatabase();
      });
      official = await dump(server.uri, 'tools');
    });

    test('both engines dump the same documents', () => {
      const sums = ({ report }: Dumped): unknown =>
        report.namespaces.filter(({ db }) => db !== 'admin').map(({ collection, documents, digest }) => [collection, documents, digest]);
      expect(official.facts).toMatchObject({ engine: 'tools', consistency: 'per-collection' });
      expect(sums(official)).toEqual(sums(builtIn));
      expect(readdirSync(tempDir)).toEqual([]);
    });

    test('the built-in engine restores what mongodump wrote', async () => {
      const result = await restore(server.uri, 'driver', official, { renames: ['chat=chat_a', 'zweite=zweite_a'] });
      expect(result.problem).toBeUndefined();
      expect(result.comparison.totals).toEqual({ namespaces: 4, equal: 4, expected: 3003, found: 3003 });
    });

    test('mongorestore restores what the built-in engine wrote', async () => {
      const result = await restore(server.uri, 'tools', builtIn, { renames: ['chat=chat_b', 'zweite=zweite_b'] });
      expect(result.problem).toBeUndefined();
      expect(result.comparison.totals.equal).toBe(4);
    });

    test('a replica set is dumped to one point in time, and what is not replayed is said', async () => {
      const set = await startFerretDb({ replicaSet: 'rs0' });
      try {
        await withClient(set.uri, async (client) => {
          await client.db('local').createCollection('oplog.rs', { capped: true, size: 10_000_000 });
          await client.db('chat').collection<Named>('users').insertOne({ _id: 'u1' });
          await client.db('chat').collection<Named>('rooms').insertOne({ _id: 'r1' });
        });
        const consistent = await dump(set.uri, 'tools');
        expect(consistent.facts).toMatchObject({ topology: 'replica-set', consistency: 'point-in-time' });
        expect(consistent.facts.fingerprint).toMatch(/^rs0\/127/);
        expect(consistent.report.oplog?.touched).toEqual(['chat.rooms']);
        const planned = await openRestore({ uri: new Secret(set.uri), engine: 'tools', report: consistent.report, tempDir, replace: true });
        await planned.close();
        // FerretDB cannot replay; on a real mongod the plan says replaysOplog.
        expect(planned.plan.replaysOplog).toBe(false);
        expect(planned.plan.warnings.join(' ')).toContain('The oplog of the dump is not replayed, because FerretDB has no applyOps');
        const result = await restore(set.uri, 'tools', consistent, { replace: true });
        expect(result.problem).toBeUndefined();
        expect(result.comparison.totals.equal).toBe(2);
        const { facts } = await dump(set.uri, 'driver');
        expect(facts).toMatchObject({ consistency: 'per-collection', consistencyReason: 'the server does not take snapshot reads' });
      } finally {
        await set.stop();
      }
    });

    test('a database that does not exist fails before mongodump is started', async () => {
      expect((await failure(dump(server.uri, 'tools', { include: ['chatt'] }))).message).toContain('no database or collection "chatt"');
    });
  });
});

describeIf(canBuildMongoJavaServer(), 'needs Java and Maven')('with mongo-java-server', () => {
  let server: MongoJavaServer;
  let builtIn: Dumped;
  beforeAll(async () => {
    server = await startMongoJavaServer();
    await load(server.uri);
    await withClient(server.uri, async (client) => {
      const special = client.db('types').collection('all');
      const { BSON } = await import('mongodb');
      await special.insertOne({
        decimal: BSON.Decimal128.fromString('1.10'),
        min: new BSON.MinKey(),
        max: new BSON.MaxKey(),
        long: BSON.Long.MAX_VALUE,
        nan: NaN,
        minusZero: -0,
        binary: new BSON.Binary(Buffer.from([1, 2, 3])),
        regexp: new BSON.BSONRegExp('a.*', 'i'),
        time: new BSON.Timestamp({ t: 5, i: 6 }),
      });
      await special.createIndex({ long: 1 }, { name: 'ttl', expireAfterSeconds: 3600 });
    });
    builtIn = await dump(server.uri, 'driver');
  }, 300_000);
  afterAll(() => server.stop());

  test('every BSON type comes back byte for byte', async () => {
    const result = await restore(server.uri, 'driver', builtIn, { renames: [...renames, 'types=types_check'] });
    expect(result.problem).toBeUndefined();
    expect(result.comparison.totals.equal).toBe(5);
  });

  test('refused documents are counted exactly, although the server counts them wrongly', async () => {
    const result = await restore(server.uri, 'driver', builtIn, { include: ['chat.users'], renames: ['chat=twice'] });
    expect(result.failed).toBe(0);
    const restoring = await openRestore({
      uri: new Secret(server.uri),
      engine: 'driver',
      report: builtIn.report,
      tempDir,
      include: ['chat.users'],
      renames: ['chat=twice2'],
    });
    try {
      await withClient(server.uri, (client) => client.db('twice2').collection<Named>('users').insertOne({ _id: 'u1', username: 'other' }));
      const outcome = await restoring.run(from(builtIn.chunks));
      expect(outcome).toMatchObject({ documents: 1, failed: 1 });
      expect(restoreProblem(outcome, await restoring.prove())).toContain('1 document could not be restored');
    } finally {
      await restoring.close();
    }
  });

  const describeOther = describeIf(ferretAvailable, 'needs Go 1.24');
  describeOther('restored into a server that knows less', () => {
    let other: FerretDb;
    beforeAll(async () => {
      other = await startFerretDb();
    }, 300_000);
    afterAll(() => other.stop());

    test('a type that the target does not take fails the restore and names the collection', async () => {
      const error = await failure(restore(other.uri, 'driver', builtIn, { include: ['types'] }));
      expect(error.message).toMatch(/^Writing documents of types\.all failed: /);
    });

    test('an index that the target does not know fails the restore and is named', async () => {
      await withClient(server.uri, (client) =>
        client.db('chat').collection('users').createIndex({ seen: 1 }, { name: 'seen_ttl', expireAfterSeconds: 60 }),
      );
      const result = await restore(other.uri, 'driver', await dump(server.uri, 'driver', { include: ['chat'] }));
      expect(result.problem).toMatch(/^The index seen_ttl of chat\.users could not be created: /);
      expect(result.comparison.rows.find(({ to }) => to === 'chat.users')?.differences).toEqual(['index seen_ttl missing']);
    });
  });
});

describe('the target database', () => {
  test('is refused for a backup of several databases', async () => {
    const report = { namespaces: [{ db: 'a', collection: 'x' }, { db: 'b', collection: 'y' }] } as unknown as ArchiveReport; // prettier-ignore
    const error = await failure(
      openRestore({ uri: new Secret('mongodb://127.0.0.1:1'), engine: 'driver', report, tempDir, targetDatabase: 'c' }),
    );
    expect(error.message).toContain('2 databases (a, b)');
  });
});
