// Restores: what is refused, what is proved, what is put beside or back; and a restore that fails says so with the right code.
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync, renameSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { canBuildFerretDb } from '../backends/ferretdb.ts';
import { mongoTools } from '../backends/mongo-tools.ts';
import { mongoToolsStandIns, type RestoreBehaviour, type StandIns } from '../backends/mongo-tools-stand-ins.ts';
import { BSON } from '../../shared/mongodb/bson.ts';
import { buildArchive } from '../mongodb/archives.ts';
import { describeIf } from '../support/needs.ts';
import { fill, run, startBench, stateOf, type Bench, type Place, type Ran } from './bench.ts';

const TIMESTAMP = '20260301_020000';
const tools = await mongoTools();

describeIf(await canBuildFerretDb(), 'needs Go 1.24 to build FerretDB')('mongodb-restore', () => {
  let bench: Bench;
  let place: Place;
  beforeAll(async () => {
    bench = await startBench();
  });
  beforeEach(async () => {
    place = bench.place();
    await bench.client.db('shop').dropDatabase();
    await bench.client.db('shop_check').dropDatabase();
    await bench.client.db('shop_orders').dropDatabase();
    await fill(bench.client, 'shop');
    expect((await backUp()).outcome).toBe('succeeded');
  });
  afterAll(() => bench.stop());

  const backUp = (more: Record<string, string> = {}): Promise<Ran> =>
    run('mongodb-backup', { ...place.inputs, include: 'shop', timestamp: TIMESTAMP, ...more });
  const restore = (more: Record<string, string> = {}): Promise<Ran> =>
    run('mongodb-restore', { ...place.inputs, confirm: 'shop', ...more });
  const shop = (): ReturnType<typeof stateOf> => stateOf(bench.client, 'shop');
  const dataFile = (): string => join(place.store, 'shop', 'mongodb', TIMESTAMP, 'data');
  const manifestFile = (): string => join(place.store, 'shop', 'mongodb', TIMESTAMP, 'manifest.json');

  describe('what its guards refuse', () => {
    test('a wrong confirmation touches nothing', async () => {
      const before = await shop();
      const { outcome, exitCode, said } = await restore({ replace: 'true', confirm: 'Shop' });
      expect([outcome, exitCode]).toEqual(['refused', 5]);
      expect(said).toBe(
        'The confirmation "Shop" does not match "shop". No data was touched.\nLook at the plan. If it is what you want, set confirm to shop.',
      );
      expect(await shop()).toEqual(before);
      expect(await place.listed()).toEqual({ backups: [[TIMESTAMP, 'verified']], leftovers: 0 });
    });

    test('no confirmation at all shows the plan and touches nothing', async () => {
      const { exitCode, said, log, summary } = await restore({ replace: 'true', confirm: '' });
      expect(exitCode).toBe(5);
      expect(said).toMatch(/^Not confirmed: confirm is missing\. No data was touched\./);
      expect(log.join('\n')).toMatch(/! shop\.orders: 300 documents are replaced/);
      expect(summary).toMatch(/^### Plan: restore a MongoDB backup\n[^]*- shop\.orders: 300 documents are replaced/);
    });

    test('a dry run shows the plan and touches nothing, in target and store', async () => {
      const before = [await shop(), place.files(), place.keys()];
      const { outcome, log, summary } = await restore({ replace: 'true', dryRun: 'true' });
      expect(outcome).toBe('succeeded');
      expect(summary).toMatch(/### Plan: restore[^]*\| Restores \| 302 documents in 2 collections[^]*No data was touched\.\n$/);
      expect(log.join('\n')).toMatch(/Restores +302 documents in 2 collections, with the built-in engine/);
      expect(log).toContain('notice: Dry run: nothing was touched.');
      expect([await shop(), place.files(), place.keys()]).toEqual(before);
    });

    test('a target that is not empty is refused with the ways out', async () => {
      const before = await shop();
      const { outcome, exitCode, said } = await restore();
      expect([outcome, exitCode]).toEqual(['refused', 5]);
      expect(said).toMatch(/^The target 127\.0\.0\.1:\d+ is not empty: shop\.\w+ \(\d+ documents\), shop\.\w+ \(\d+ documents\)\.\n/);
      expect(said).toMatch(/Restore beside it with rename or targetDatabase, or allow the replacement with replace\.$/);
      expect(await shop()).toEqual(before);
    });

    test('a collection that the backup does not have is a mistake of the call', async () => {
      const { exitCode, said } = await restore({ include: 'shop.oders' });
      expect(exitCode).toBe(2);
      expect(said).toMatch(/^The backup has no database or collection "shop\.oders"\./);
    });
  });

  describe('of a backup that is not what it was', () => {
    test('an edited manifest is refused before the target is looked at', async () => {
      const written = readFileSync(manifestFile(), 'utf8');
      const edited = written.replace(/("documents":\s*)300/, '$1301');
      expect(edited).not.toBe(written);
      writeFileSync(manifestFile(), edited);
      const { outcome, exitCode, said } = await restore({ mongodbUri: 'mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=100' });
      expect([outcome, exitCode]).toEqual(['failed', 4]);
      expect(said).toMatch(
        new RegExp(`^mongodb ${TIMESTAMP} \\(shop/mongodb/${TIMESTAMP}/manifest\\.json\\) was changed after it was written`),
      );
    });

    test('data that was cut is listed as damaged, and not taken', async () => {
      truncateSync(dataFile(), 1000);
      expect((await place.listed()).backups).toEqual([[TIMESTAMP, 'damaged']]);
      const latest = await restore();
      expect([latest.exitCode, latest.said]).toEqual([
        4,
        expect.stringMatching(/There is no verified backup of mongodb.* is cut at byte 1000:/),
      ]);
      const named = await restore({ timestamp: TIMESTAMP });
      expect([named.exitCode, named.said]).toEqual([4, expect.stringContaining('cut at byte 1000:')]);
    });

    test('one changed byte is found before the target is touched, and named by its place', async () => {
      const bytes = readFileSync(dataFile());
      bytes[2000] = (bytes[2000] ?? 0) ^ 1;
      writeFileSync(dataFile(), bytes);
      const before = await shop();
      const { outcome, exitCode, said } = await restore({ replace: 'true' });
      expect([outcome, exitCode]).toEqual(['failed', 4]);
      expect(said).toMatch(
        new RegExp(
          `^mongodb ${TIMESTAMP} \\(.*\\) is damaged between byte 0 and byte \\d+ .*\\nTake another backup \\(list-backups shows them\\)`,
        ),
      );
      expect(await shop()).toEqual(before);
      const validated = await run('backup-validation', place.reading);
      expect([validated.exitCode, validated.outputs['failed']]).toEqual([4, '1']);
      expect(validated.said).toContain('is damaged between byte 0');
    });

    test('what a validation found damaged or without a key is passed over for the last good one, and said', async () => {
      const newest = '20260401_020000';
      expect((await backUp({ timestamp: newest })).outcome).toBe('succeeded');
      const data = join(place.store, 'shop', 'mongodb', newest, 'data');
      const whole = readFileSync(data);
      const bytes = Buffer.from(whole);
      bytes[2000] = (bytes[2000] ?? 0) ^ 1;
      writeFileSync(data, bytes);
      expect((await run('backup-validation', { ...place.reading, timestamp: newest })).exitCode).toBe(4);
      const passed = await restore({ replace: 'true' });
      expect([passed.outcome, passed.exitCode, passed.outputs['timestamp']]).toEqual(['partial', 3, TIMESTAMP]);
      const sentence = new RegExp(
        `The newest backup of mongodb, ${newest}, was found damaged on .*: ${TIMESTAMP}, the last good one, is taken instead`,
      );
      expect(passed.log.join('\n')).toMatch(sentence);
      writeFileSync(data, whole);
      for (const key of place.keys()) if (/20260401.?020000/.test(key)) renameSync(key, `${key}.gone`);
      expect((await run('backup-validation', { ...place.reading, timestamp: newest })).outcome).toBe('failed');
      const keyless = await restore({ replace: 'true' });
      expect([keyless.outcome, keyless.outputs['timestamp']]).toEqual(['partial', TIMESTAMP]);
      expect(keyless.log.join('\n')).toMatch(new RegExp(`${newest}, is without a key, as found on .*: ${TIMESTAMP}, the last good one`));
    });

    test('a key that was deleted is missed by name', async () => {
      for (const key of place.keys()) renameSync(key, `${key}.gone`);
      const { outcome, exitCode, said } = await restore({ replace: 'true' });
      expect([outcome, exitCode]).toEqual(['failed', 1]);
      expect(said).toMatch(new RegExp(`^The key of backup mongodb ${TIMESTAMP} is not in .*: there is no secret lifeboat-mongodb-`));
      expect(said).toMatch(/Open the backup with another recipient, such as the escrow key\./);
    });
  });

  describe('that works', () => {
    test('puts databases beside the living data by rename', async () => {
      const before = await shop();
      const { outcome, said, outputs } = await restore({ rename: 'shop=shop_check' });
      expect([outcome, said, outputs['documents'], outputs['safetyTimestamp']]).toEqual(['succeeded', '', '302', '']);
      expect(await stateOf(bench.client, 'shop_check')).toEqual(before);
      expect(await shop()).toEqual(before);
    });

    test('puts one database under another name by target-database', async () => {
      const { outcome } = await restore({ targetDatabase: 'shop_check' });
      expect(outcome).toBe('succeeded');
      expect(await stateOf(bench.client, 'shop_check')).toEqual(await shop());
    });

    test('brings back one collection and leaves the others as they are', async () => {
      const before = await shop();
      await bench.client.db('shop').collection('orders').drop();
      await bench.client
        .db('shop')
        .collection('customers')
        .deleteOne({ _id: 'c2' as never });
      const { outcome, outputs } = await restore({ include: 'shop.orders' });
      expect([outcome, outputs['documents']]).toEqual(['succeeded', '300']);
      const after = await shop();
      expect(after['orders']).toEqual(before['orders']);
      expect(after['customers']?.documents).toBe(1);
    });

    test('replaces, and a rollback gives exactly the former state: changed, empty, and vanished collections', async () => {
      const backedUp = await shop();
      const db = bench.client.db('shop');
      await db.collection('orders').updateMany({ number: { $lt: 70 } }, { $set: { text: 'changed' } });
      await db.collection('orders').createIndex({ text: 1 }, { name: 'by_text' });
      await db.collection('late').insertOne({ _id: 1 as never });
      await db.collection('customers').drop();
      const former = await shop();

      const replaced = await restore({ replace: 'true' });
      expect([replaced.outcome, replaced.said]).toEqual(['succeeded', '']);
      expect(replaced.outputs['safetyTimestamp']).toMatch(/^\d{8}_\d{6}$/);
      expect(await shop()).toEqual({ ...backedUp, late: former['late'] });
      expect(replaced.summary).toMatch(/lifeboat mongodb-restore .*--rollback --replace --confirm shop/);

      const back = await restore({ rollback: 'true', replace: 'true' });
      expect([back.outcome, back.said]).toEqual(['succeeded', '']);
      expect(back.log.join('\n')).toContain('! shop.customers: made by that restore, is dropped');
      expect(await shop()).toEqual(former);
    });

    test('a rollback empties what was empty', async () => {
      await bench.client.db('shop').collection('customers').deleteMany({});
      const former = await shop();
      expect((await restore({ replace: 'true' })).outcome).toBe('succeeded');
      expect((await shop())['customers']?.documents).toBe(2);
      expect((await restore({ rollback: 'true', replace: 'true' })).said).toBe('');
      expect(await shop()).toEqual(former);
    });

    test('a rollback without a safety backup says so', async () => {
      const { exitCode, said } = await restore({ rollback: 'true', replace: 'true' });
      expect(exitCode).toBe(1);
      expect(said).toMatch(/^There is nothing to roll back: .* has no safety backup of mongodb\./);
    });

    test('opens with the escrow key alone, the vault being gone', async () => {
      const { publicKey, privateKey } = generateKeyPairSync('rsa', {
        modulusLength: 3072,
        publicKeyEncoding: { type: 'spki', format: 'pem' },
        privateKeyEncoding: { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'escrow-passphrase' },
      });
      const [publicFile, privateFile] = ['public.pem', 'private.pem'].map((name) => join(bench.root, name)) as [string, string];
      writeFileSync(publicFile, publicKey);
      writeFileSync(privateFile, privateKey);
      expect((await backUp({ recipients: `vault, escrow:${publicFile}`, timestamp: '20260302_020000' })).outcome).toBe('succeeded');
      renameSync(place.vault, `${place.vault}-gone`);
      const escrow = { openWith: 'escrow', escrowKey: privateFile, rename: 'shop=shop_check' };
      const wrong = await restore({ ...escrow, escrowPassphrase: 'not-the-passphrase' });
      expect(wrong.exitCode).toBe(2);
      expect(wrong.said).toMatch(/passphrase/);
      const { outcome, said } = await restore({ ...escrow, escrowPassphrase: 'escrow-passphrase' });
      expect([outcome, said]).toEqual(['succeeded', '']);
      expect(await stateOf(bench.client, 'shop_check')).toEqual(await shop());
    });
  });

  /** Restores a collection whose validator this server refuses. */
  async function restoreRefused(engine: string): Promise<void> {
    const file = join(bench.root, 'old_20260101_020000.archive');
    const options = { validator: { number: { $gt: new BSON.Int32(0) } } };
    writeFileSync(file, await buildArchive([{ db: 'shop', collection: 'orders', documents: [{ _id: 1, number: 1 }], options }]));
    const old = { ...place.reading, component: 'old' };
    expect((await run('import-backup', { ...old, file })).outcome).toBe('succeeded');
    const { mongodbUri = '' } = place.inputs;
    const restored = await run('mongodb-restore', { ...old, mongodbUri, engine, targetDatabase: 'shop_check', confirm: 'shop' });
    expect([restored.outcome, restored.exitCode]).toEqual(['partial', 3]);
    expect(restored.finish.warnings).toEqual([
      expect.stringMatching(/^shop_check\.orders: the target does not take its options \(validator\): /),
    ]);
    expect(restored.summary).toContain('- **shop_check.orders: the target does not take its options');
    expect(Object.keys(await stateOf(bench.client, 'shop_check'))).toEqual(['orders']);
  }

  test('what the target cannot keep is a doubt, although all documents are back', () => restoreRefused('driver'));

  describe('with a mongorestore that goes wrong', () => {
    let standIns: StandIns | undefined;
    const path = process.env['PATH'];
    afterEach(() => {
      process.env['PATH'] = path;
      standIns?.remove();
    });

    test.each<[RestoreBehaviour, number, RegExp]>([
      ['failed-documents', 4, /is not what the backup holds: 3 documents could not be restored: .*E11000 duplicate key/],
      ['says-all-restored', 4, /is not what the backup holds: 2 of 2 collections are not what the backup holds; shop_check\./],
      ['restores-nothing', 4, /is not what the backup holds: 2 of 2 collections/],
      [
        'fails-after-reading',
        1,
        /^mongorestore ended with exit code 1: shop|^mongorestore ended with exit code 1: chat\.messages: error restoring/,
      ],
      ['never-reads', 1, /^mongorestore ended with exit code 1: stream or file does not appear to be a mongodump archive/],
    ])('%s ends with %d and says what is wrong', async (behaviour, code, words) => {
      standIns = mongoToolsStandIns({ mongorestore: behaviour, documents: 302 });
      process.env['PATH'] = standIns.path;
      const { outcome, exitCode, said } = await restore({ engine: 'tools', rename: 'shop=shop_check' });
      expect([outcome, exitCode]).toEqual(['failed', code]);
      expect(said).toMatch(words);
      expect(place.records().at(-1)).toMatchObject({ step: 'mongodb-restore', outcome: 'failed' });
    });

    test('one that fails after the safety backup ends with the command that puts the old data back', async () => {
      standIns = mongoToolsStandIns({ mongorestore: 'fails-after-reading' });
      process.env['PATH'] = standIns.path;
      const { said } = await restore({ engine: 'auto', replace: 'true' });
      expect(said).toMatch(/Put back what was replaced: lifeboat mongodb-restore .*--rollback --replace --confirm shop$/m);
    });
  });

  describeIf('path' in tools, 'missing' in tools ? tools.missing : '')('with the official tools', () => {
    const path = process.env['PATH'];
    beforeAll(() => {
      if ('path' in tools) process.env['PATH'] = tools.path;
    });
    afterAll(() => {
      process.env['PATH'] = path;
    });

    test('what is replaced is backed up first and comes back, although mongodump takes no list of collections', async () => {
      await bench.client
        .db('shop')
        .collection('orders')
        .deleteMany({ number: { $lt: 70 } });
      const former = await shop();
      const replaced = await restore({ engine: 'tools', replace: 'true' });
      expect([replaced.outcome, replaced.said]).toEqual(['succeeded', '']);
      expect((await shop())['orders']?.documents).toBe(300);
      const back = await restore({ engine: 'tools', replace: 'true', rollback: 'true' });
      expect([back.outcome, back.said]).toEqual(['succeeded', '']);
      expect(await shop()).toEqual(former);
    });

    test('what the target cannot keep is a doubt, too', () => restoreRefused('tools'));

    test('a collection that is renamed beside its database goes where the plan says', async () => {
      const before = await shop();
      const { outcome, said } = await restore({ engine: 'tools', rename: 'shop.orders=shop_orders.all, shop=shop_check' });
      expect([outcome, said]).toEqual(['succeeded', '']);
      expect((await stateOf(bench.client, 'shop_orders'))['all']).toEqual(before['orders']);
      expect(Object.keys(await stateOf(bench.client, 'shop_check'))).toEqual(['customers']);
    });

    test("each engine restores the other's backup to the same state", async () => {
      const before = await shop();
      const byTools = await restore({ engine: 'tools', rename: 'shop=shop_check' });
      expect([byTools.outcome, byTools.said]).toEqual(['succeeded', '']);
      expect(await stateOf(bench.client, 'shop_check')).toEqual(before);
      await bench.client.db('shop_check').dropDatabase();
      const dumped = await backUp({ engine: 'tools', timestamp: '20260303_020000' });
      expect([dumped.outcome, dumped.said]).toEqual(['succeeded', '']);
      const byDriver = await restore({ timestamp: '20260303_020000', rename: 'shop=shop_check' });
      expect([byDriver.outcome, byDriver.said]).toEqual(['succeeded', '']);
      expect(await stateOf(bench.client, 'shop_check')).toEqual(before);
    });
  });
});
