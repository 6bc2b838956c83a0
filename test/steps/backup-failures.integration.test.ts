// A backup that fails says what happened, ends with the right code, and leaves nothing that looks like a backup.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { canBuildFerretDb } from '../backends/ferretdb.ts';
import { mongoToolsStandIns, type DumpBehaviour, type StandIns } from '../backends/mongo-tools-stand-ins.ts';
import { describeIf } from '../support/needs.ts';
import { fill, run, startBench, until, type Bench, type Place } from './bench.ts';

describeIf(await canBuildFerretDb(), 'needs Go 1.24 to build FerretDB')('mongodb-backup', () => {
  let bench: Bench;
  let place: Place;
  beforeAll(async () => {
    bench = await startBench();
    await fill(bench.client, 'shop');
  });
  beforeEach(() => {
    place = bench.place();
  });
  afterAll(() => bench.stop());

  /** Nothing listed, nothing left over, no key, and a record of the failed run. */
  async function expectNothingLeft(outcome: string): Promise<void> {
    expect(await place.listed()).toEqual({ backups: [], leftovers: 0 });
    expect(place.keys()).toEqual([]);
    expect(place.files()).toEqual([]);
    expect(place.records().map((record) => record.outcome)).toEqual([outcome]);
  }

  describe('refused by the server', () => {
    test('a wrong password is named as such', async () => {
      const mongodbUri = bench.mongo.uri.replace(/:[^:@]+@/, ':wrong-password@');
      const { exitCode, outcome, said, log } = await run('mongodb-backup', { ...place.inputs, mongodbUri });
      expect([outcome, exitCode]).toEqual(['failed', 1]);
      expect(said).toBe(
        'MongoDB refused the login: user or password is wrong.\n' +
          'Check user, password and authSource in the connection string (authSource=admin unless the user was created in another database).',
      );
      expect(log.join('\n')).not.toContain('wrong-password');
      await expectNothingLeft('failed');
    });

    test('a missing login is told from a wrong one', async () => {
      const mongodbUri = bench.mongo.uri.replace(/\/\/[^@]+@/, '//');
      const { exitCode, said } = await run('mongodb-backup', { ...place.inputs, mongodbUri });
      expect(exitCode).toBe(1);
      expect(said).toMatch(/^MongoDB asks for a login, and the connection string has none\./);
    });

    test('a database that is not there is named', async () => {
      const { exitCode, outcome, said } = await run('mongodb-backup', { ...place.inputs, include: 'shop, nowhere' });
      expect([outcome, exitCode]).toEqual(['failed', 1]);
      expect(said).toMatch(/no database or collection "nowhere"/);
      expect(said).toMatch(/case-sensitive/);
      await expectNothingLeft('failed');
    });

    test('a server that is not there is named by its address', async () => {
      const mongodbUri = 'mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=200';
      const { exitCode, said } = await run('mongodb-backup', { ...place.inputs, mongodbUri });
      expect(exitCode).toBe(1);
      expect(said).toMatch(/^MongoDB cannot be reached: 127\.0\.0\.1:1: .*ECONNREFUSED.*\nCheck host and port/);
    });
  });

  describe('with a mongodump that goes wrong', () => {
    let tools: StandIns | undefined;
    const path = process.env['PATH'];
    afterEach(() => {
      process.env['PATH'] = path;
      tools?.remove();
    });
    function use(mongodump: DumpBehaviour): StandIns {
      tools = mongoToolsStandIns({ mongodump });
      process.env['PATH'] = tools.path;
      return tools;
    }
    const withTools = (): Record<string, string> => ({ ...place.inputs, engine: 'tools' });

    test.each<[DumpBehaviour, number, RegExp]>([
      [
        'cut-archive',
        4,
        /^The archive (ends at byte \d+|is damaged in \S+ at byte \d+).*\nThe dump or the transfer was cut short\. Take the backup again/,
      ],
      ['twenty-bytes', 4, /^The archive .* at byte 20.*\nThe dump or the transfer was cut short\./],
      ['fails-after-archive', 1, /^mongodump ended with exit code 1: error dumping oplog: overflow\./],
    ])('%s fails with %d, is not listed, and the next run succeeds', async (behaviour, code, words) => {
      use(behaviour);
      const failed = await run('mongodb-backup', withTools());
      expect([failed.outcome, failed.exitCode]).toEqual(['failed', code]);
      expect(failed.said).toMatch(words);
      await expectNothingLeft('failed');
      tools?.remove();
      use('honest');
      const next = await run('mongodb-backup', withTools());
      expect([next.outcome, next.said]).toEqual(['succeeded', '']);
      expect((await place.listed()).backups.map(([, state]) => state)).toEqual(['verified']);
    });

    test('one that prints the connection string is quoted without it', async () => {
      use('secret-on-stderr');
      const { exitCode, said, log } = await run('mongodb-backup', withTools());
      expect(exitCode).toBe(1);
      expect(said).toMatch(/^mongodump ended with exit code 1: can't create session/);
      expect(said + log.join('\n')).not.toContain(bench.mongo.password);
    });

    test('a second run on the same component is refused while the first is at work, and told who that is', async () => {
      use('hangs');
      const cancel = new AbortController();
      const first = run('mongodb-backup', withTools(), { signal: cancel.signal });
      await until(() => place.keys().length > 0);
      const second = await run('mongodb-backup', { ...place.inputs, lockWait: '1s' });
      expect(second.log.join('\n')).toMatch(/is locked by mongodb-backup, run memory on .*\. Waiting for it, at most 1\.0s\./);
      expect([second.outcome, second.exitCode]).toEqual(['refused', 5]);
      expect(second.said).toMatch(/is locked by mongodb-backup, run memory on .*\.\nWait until that run has ended/);
      expect(place.keys()).toHaveLength(1);
      cancel.abort();
      expect((await first).exitCode).toBe(130);
      await expectNothingLeft('cancelled');
      expect((await run('mongodb-backup', place.inputs)).outcome).toBe('succeeded');
    });
  });

  describe('of doubtful data', () => {
    test('an empty dump is kept, but partial and suspect', async () => {
      await bench.client.db('hollow').createCollection('nothing');
      const { exitCode, outcome, finish, summary } = await run('mongodb-backup', { ...place.inputs, include: 'hollow' });
      expect([outcome, exitCode]).toEqual(['partial', 3]);
      expect(finish.warnings).toEqual(['The dump holds no documents at all.']);
      expect(summary).toContain('DOUBTFUL');
      expect((await place.listed()).backups.map(([, state]) => state)).toEqual(['suspect']);
      const restored = await run('mongodb-restore', { ...place.inputs, targetDatabase: 'hollow2', confirm: 'shop' });
      expect(restored.exitCode).toBe(1);
      expect(restored.said).toMatch(/^There is no verified backup of mongodb in .*\.\nThere are: \d{8}_\d{6} \(suspect\)\./);
    });

    test('one that lost 90 percent is partial, suspect, and not what a restore takes by itself', async () => {
      await fill(bench.client, 'shrinking', 500);
      const inputs = { ...place.inputs, include: 'shrinking' };
      await run('mongodb-backup', { ...inputs, timestamp: '20260101_010000' });
      await bench.client
        .db('shrinking')
        .collection('orders')
        .deleteMany({ number: { $gte: 350 } });
      const shrunk = await run('mongodb-backup', { ...inputs, timestamp: '20260102_010000' });
      expect([shrunk.outcome, shrunk.exitCode]).toEqual(['partial', 3]);
      expect(shrunk.finish.warnings.join('\n')).toMatch(/shrinking\.orders holds 50 documents, 500 before: a loss of 90 %\./);
      expect((await place.listed()).backups).toEqual([
        ['20260101_010000', 'verified'],
        ['20260102_010000', 'suspect'],
      ]);

      const restore = { ...place.inputs, rename: 'shrinking=shrinking_check', confirm: 'shop' };
      const refused = await run('mongodb-restore', restore);
      expect([refused.outcome, refused.exitCode]).toEqual(['refused', 5]);
      expect(refused.said).toMatch(
        /latest verified backup of mongodb is 20260101_010000, older than the newest attempt, 20260102_010000, which is marked suspect/,
      );
      const planned = await run('mongodb-restore', { ...restore, dryRun: 'true' });
      expect([planned.outcome, planned.exitCode]).toEqual(['partial', 3]);
      expect(planned.finish.warnings.join('\n')).toMatch(
        /newest attempt, 20260102_010000, which is marked suspect\. A restore takes it only with allowOlder, or when timestamp names it\./,
      );
      const older = await run('mongodb-restore', { ...restore, allowOlder: 'true' });
      expect([older.outcome, older.outputs['timestamp'], older.outputs['documents']]).toEqual(['succeeded', '20260101_010000', '502']);
      await bench.client.db('shrinking_check').dropDatabase();
      const named = await run('mongodb-restore', { ...restore, timestamp: '20260102_010000' });
      expect(named.outcome).toBe('succeeded');
      expect(named.log.join('\n')).toContain('is marked suspect: its content was doubtful when it was made');
    });
  });
});
