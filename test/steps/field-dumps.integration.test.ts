// Old dumps as people have them: imported, restored, and held against the server again later, by the built-in engine.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { BSON, type Document } from 'mongodb';
import { canBuildFerretDb } from '../backends/ferretdb.ts';
import { mongoTools } from '../backends/mongo-tools.ts';
import { tar } from '../mongodb/legacy-files.ts';
import { describeIf, describeWithReference, sharedReference } from '../support/needs.ts';
import { run, startBench, type Bench, type Place, type Ran } from './bench.ts';

const tools = await mongoTools();

describeIf(await canBuildFerretDb(), 'needs Go 1.24 to build FerretDB')('an old dump', () => {
  let bench: Bench;
  let place: Place;
  beforeAll(async () => {
    bench = await startBench();
  });
  beforeEach(async () => {
    place = bench.place();
    await bench.client.db('shop').dropDatabase();
  });
  afterAll(() => bench.stop());

  /** A dump folder of one collection with these metadata, packed. */
  function dumpOf(metadata: Document, name = 'old'): string {
    const dump = join(bench.root, `${name}-${Math.random()}`, 'dump', 'shop');
    mkdirSync(dump, { recursive: true });
    writeFileSync(join(dump, 'users.bson'), BSON.serialize({ _id: 1, n: 1, username: 'a' }));
    writeFileSync(join(dump, 'users.metadata.json'), JSON.stringify(metadata));
    return tar(join(bench.root, `${name}_20240101_020000.tar.gz`), ['-C', join(dump, '..', '..'), 'dump']);
  }

  async function importedAndRestored(
    file: string,
    more: Record<string, string> = {},
  ): Promise<{ imported: Ran; restored: Ran; checked: Ran }> {
    const imported = await run('import-backup', { ...place.reading, file });
    const restored = await run('mongodb-restore', { ...place.inputs, confirm: 'shop', ...more });
    const { mongodbUri = '' } = place.inputs;
    const checked = await run('backup-integrity-check', {
      ...{ ...place.reading, mongodbUri },
      ...(more['rename'] === undefined ? {} : { rename: more['rename'] }),
    });
    return { imported, restored, checked };
  }

  const legacy = {
    options: {},
    indexes: [
      { v: 1, key: { _id: 1 }, ns: 'shop.users', name: '_id_' },
      { v: 1, unique: true, key: { username: 1 }, name: 'username_1', ns: 'shop.users', background: true, safe: null },
      { v: 0, key: { n: true }, name: 'n_true', ns: 'shop.users', dropDups: true },
      { v: 1, key: { m: -0.5, username: 1 }, name: 'm', ns: 'shop.users' },
    ],
  };

  test('with indexes of former years comes back equal, now and at every later look', async () => {
    const { imported, restored, checked } = await importedAndRestored(dumpOf(legacy));
    expect([imported.said, restored.said, checked.said]).toEqual(['', '', '']);
    expect([restored.outcome, checked.outcome]).toEqual(['succeeded', 'succeeded']);
    for (const { summary } of [restored, checked]) {
      expect(summary).toContain("index username_1 is in today's form (without safe)");
      expect(summary).toContain("index n_true is in today's form (n: true as 1; without dropDups)");
    }
    const indexes = await bench.client.db('shop').collection('users').listIndexes().toArray();
    const keys = Object.fromEntries(indexes.map(({ name, key }) => [String(name), Object.entries(key as Document)]));
    expect(keys).toEqual({ _id_: [['_id', 1]], username_1: [['username', 1]], n_true: [['n', 1]], m: [['m', -1], ['username', 1]] }); // prettier-ignore
  });

  test('whose options name a collection of their own goes where the plan says', async () => {
    const metadata = { options: { create: 'elsewhere', capped: true, size: { $numberInt: '4096' } }, indexes: legacy.indexes.slice(0, 1) };
    const { restored } = await importedAndRestored(dumpOf(metadata), { rename: 'shop.users=shop.people' });
    expect(restored.said).toBe('');
    expect((await bench.client.db('shop').listCollections().toArray()).map(({ name }) => name)).toEqual(['people']);
  });

  const describeTools = describeIf('path' in tools, 'missing' in tools ? tools.missing : '');
  describeTools('with the official mongorestore', () => {
    const path = process.env['PATH'];
    beforeAll(() => {
      if ('path' in tools) process.env['PATH'] = tools.path;
    });
    afterAll(() => {
      process.env['PATH'] = path;
    });

    test('is restored in the same form, to the place of the plan', async () => {
      const file = dumpOf({ ...legacy, options: { create: 'elsewhere' } });
      const { restored, checked } = await importedAndRestored(file, { engine: 'tools', rename: 'shop.users=shop.people' });
      expect([restored.said, restored.outcome, checked.said, checked.outcome]).toEqual(['', 'succeeded', '', 'succeeded']);
      expect(restored.summary).toContain("index n_true is in today's form (n: true as 1; without dropDups)");
      expect((await bench.client.db('shop').listCollections().toArray()).map(({ name }) => name)).toEqual(['people']);
    });
  });

  describeWithReference('fixtures/field')('of the field', () => {
    test.each(['c1-safe-null_20240101_020000', 'c3-legacy-keys_20240101_020000'])('%s comes back equal', async (name) => {
      const file = join(sharedReference, 'fixtures/field', `${name}.tar.gz`);
      const { restored, checked } = await importedAndRestored(file);
      expect([restored.said, restored.outcome, checked.outcome]).toEqual(['', 'succeeded', 'succeeded']);
      expect(restored.summary).toContain("in today's form");
    });

    test('whose oplog has an entry larger than a document is imported', async () => {
      const file = join(sharedReference, 'fixtures/field/c14-oplog-16m_20240112_020000.tar.gz');
      expect((await run('import-backup', { ...place.reading, file })).said).toBe('');
    });
  });
});
