// `import-backup`: an old file of openssl and tar becomes a verified backup that restores.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { canBuildFerretDb } from '../backends/ferretdb.ts';
import { mongoTools } from '../backends/mongo-tools.ts';
import { describeIf } from '../support/needs.ts';
import { openssl, tar, writeDumpFolder } from '../mongodb/legacy-files.ts';
import { fill, run, startBench, stateOf, type Bench } from './bench.ts';

const tools = await mongoTools();
const PASSPHRASE = 'old passphrase';
const documents = Array.from({ length: 500 }, (_, index) => ({ _id: index, text: `order ${index}` }));

describeIf(await canBuildFerretDb(), 'needs Go 1.24 to build FerretDB')('import-backup', () => {
  let bench: Bench;
  let file: string;
  beforeAll(async () => {
    bench = await startBench();
    writeDumpFolder(join(bench.root, 'dump'), [{ db: 'shop', collection: 'orders', documents }]);
    file = openssl(tar(join(bench.root, 'mongodb_20230304_050607.tar.gz'), ['-C', bench.root, 'dump']), PASSPHRASE, ['-pbkdf2']);
  });
  afterAll(() => bench.stop());

  test('keeps the old moment, is verified, restores, and says where it came from', async () => {
    const place = bench.place();
    const ran = await run('import-backup', { ...place.reading, file, passphrase: PASSPHRASE });
    expect([ran.outcome, ran.said]).toEqual(['succeeded', '']);
    expect(ran.outputs).toMatchObject({ timestamp: '20230304_050607', documents: '500', sha256: expect.stringMatching(/^[0-9a-f]{64}$/) });
    expect(ran.finish.result).toMatchObject({
      verified: 'full',
      imported: {
        file: 'mongodb_20230304_050607.tar.gz.enc',
        layers: ['openssl enc -aes-256-cbc -pbkdf2 -md sha256 -iter 10000', 'gzip', 'tar of a dump folder'],
      },
    });
    expect(await place.listed()).toEqual({ backups: [['20230304_050607', 'verified']], leftovers: 0 });
    expect((await run('backup-validation', { ...place.reading, timestamp: '20230304_050607' })).outcome).toBe('succeeded');
    expect(JSON.stringify([ran.finish, ran.log, ran.summary])).not.toContain(PASSPHRASE);

    const restored = await run('mongodb-restore', { ...place.inputs, timestamp: '20230304_050607', confirm: 'shop' });
    expect([restored.outcome, restored.said]).toEqual(['succeeded', '']);
    expect(await stateOf(bench.client, 'shop')).toMatchObject({ orders: { documents: 500 } });
    // The same moment twice would be two truths.
    expect((await run('import-backup', { ...place.reading, file, passphrase: PASSPHRASE })).said).toMatch(/already/);
  });

  test('takes the passphrase from the vault', async () => {
    const place = bench.place();
    const { FolderVault } = await import('../../shared/vaults/folder/index.ts');
    await new FolderVault(place.vault).set('old-key', `${PASSPHRASE}\n`);
    const ran = await run('import-backup', { ...place.reading, file, passphraseSecret: 'old-key', timestamp: '20230101_000000' });
    expect([ran.outcome, ran.outputs['timestamp']]).toEqual(['succeeded', '20230101_000000']);
    expect((await run('import-backup', { ...place.reading, file, passphraseSecret: 'nobody' })).exitCode).toBe(2);
  });

  test('stores nothing of a file that is wrong, cut off or of an unknown time', async () => {
    const place = bench.place();
    expect((await run('import-backup', { ...place.reading, file, passphrase: 'wrong' })).said).toMatch(/passphrase does not open/);
    const bytes = readFileSync(file);
    const cut = join(bench.root, 'cut_20230304_050607.tar.gz.enc');
    writeFileSync(cut, bytes.subarray(0, bytes.length - 32));
    expect(await run('import-backup', { ...place.reading, file: cut, passphrase: PASSPHRASE })).toMatchObject({ exitCode: 4 });
    const nameless = join(bench.root, 'latest.enc');
    writeFileSync(nameless, bytes);
    expect((await run('import-backup', { ...place.reading, file: nameless, passphrase: PASSPHRASE })).exitCode).toBe(2);
    const future = await run('import-backup', { ...place.reading, file, passphrase: PASSPHRASE, timestamp: '29991231_000000' });
    expect(future.exitCode).toBe(2);
    expect([place.files(), place.keys()]).toEqual([[], []]);
  });
});

describeIf((await canBuildFerretDb()) && !('missing' in tools), 'missing' in tools ? tools.missing : 'needs Go 1.24 to build FerretDB')(
  'a folder of the real mongodump',
  () => {
    let bench: Bench;
    beforeAll(async () => {
      bench = await startBench();
    });
    afterAll(() => bench.stop());

    test.each([
      ['as it is', [], '20230302_000000'],
      ['with --gzip', ['--gzip'], '20230301_000000'],
    ])('%s comes back equal, odd names too', async (_, args, timestamp) => {
      if ('missing' in tools) throw new Error(tools.missing);
      await bench.client.db('shop').dropDatabase();
      await fill(bench.client, 'shop');
      await bench.client.db('shop').collection('odd name%+x').insertOne({ a: 1 });
      const before = await stateOf(bench.client, 'shop');
      // A relative folder: the tools may be Windows programs, for which "/" begins an option.
      execFileSync(tools.mongodump, ['--uri', bench.mongo.uri, '--db', 'shop', '--out', timestamp, ...args], {
        cwd: bench.root,
        env: { ...process.env, PATH: tools.path },
        stdio: 'pipe',
      });
      const file = openssl(tar(join(bench.root, `old_${timestamp}.tar.gz`), ['-C', bench.root, timestamp]), PASSPHRASE, ['-md', 'md5']);
      const place = bench.place();
      expect((await run('import-backup', { ...place.reading, file, passphrase: PASSPHRASE })).said).toBe('');
      await bench.client.db('shop').dropDatabase();
      expect((await run('mongodb-restore', { ...place.inputs, confirm: 'shop' })).said).toBe('');
      expect(await stateOf(bench.client, 'shop')).toEqual(before);
    });
  },
);
