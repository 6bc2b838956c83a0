// Backups in the archive tier, from the step's inputs to the blob: proved and copied while hot, archived, skipped by readers, brought back.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { BlobServiceClient } from '@azure/storage-blob';
import { startAzurite, type Azurite } from '../backends/azurite.ts';
import { canBuildFerretDb } from '../backends/ferretdb.ts';
import { tempFolder } from '../backends/support.ts';
import { describeIf } from '../support/needs.ts';
import { fill, run, startBench, stateOf, type Bench } from './bench.ts';

const TIMESTAMP = '20260301_020000';

describeIf(await canBuildFerretDb(), 'needs Go 1.24 to build FerretDB')('the archive tier', () => {
  let bench: Bench;
  let azurite: Azurite;
  let inputs: Record<string, string>;
  let reading: Record<string, string>;
  const folder = tempFolder('tiers');
  const offsite = join(folder, 'offsite');
  beforeAll(async () => {
    [bench, azurite] = await Promise.all([startBench(), startAzurite()]);
    await azurite.createContainer('backups');
    await fill(bench.client, 'shop');
    const place = bench.place();
    const store = `${azurite.sasUrl('backups', 'racwdl')}&tier=archive`;
    inputs = { ...place.inputs, store };
    reading = { ...place.reading, store };
  });
  afterAll(async () => {
    await Promise.all([bench.stop(), azurite.stop()]);
    rmSync(folder, { recursive: true, force: true });
  });

  const tierOf = async (file: string): Promise<string | undefined> =>
    (
      await BlobServiceClient.fromConnectionString(azurite.connectionString)
        .getContainerClient('backups')
        .getBlobClient(`shop/mongodb/${TIMESTAMP}/${file}`)
        .getProperties()
    ).accessTier;

  test('data is archived once it is proved and copied; what is small stays readable, and the listing shows it', async () => {
    const ran = await run('mongodb-backup', { ...inputs, include: 'shop', timestamp: TIMESTAMP, copies: offsite });
    expect([ran.outcome, ran.outputs['verified']]).toEqual(['succeeded', 'true']);
    expect(ran.log).toContain('info: Moved 1 backup of mongodb to the archive tier.');
    expect([await tierOf('data'), await tierOf('manifest.json')]).toEqual(['Archive', 'Hot']);
    const { summary, finish } = await run('list-backups', { store: inputs['store'] as string, name: 'shop' });
    expect(summary).toMatch(/verified; archive tier/);
    expect(finish.result).toMatchObject({ backups: [{ tier: 'archive', readable: false }] });
  });

  test('validation and copies pass over it with the reason', async () => {
    const validated = await run('backup-validation', reading);
    expect([validated.outcome, validated.finish.warnings[0]]).toEqual([
      'partial',
      expect.stringMatching(/^Nothing was validated\. mongodb 20260301_020000 is not read: it lies in the archive tier of/) as unknown,
    ]);
    const { name, component, store } = reading as { name: string; component: string; store: string };
    const copied = await run('copy-backups', { name, component, store, copies: join(folder, 'later'), days: '0' });
    expect([copied.outcome, copied.outputs['copied'], copied.log.join('\n')]).toEqual([
      'succeeded',
      '0',
      expect.stringMatching(/notice: 20260301_020000 is not copied to .*later: it lies in the archive tier/) as unknown,
    ]);
  });

  test('a restore takes a readable copy first', async () => {
    const planned = await run('mongodb-restore', { ...inputs, replace: 'true', dryRun: 'true', copies: offsite });
    expect(planned.log.join('\n')).toMatch(/is read from its copy in .*offsite\. .*: has it in the archive tier\./);
    expect(planned.finish.result).toMatchObject({ source: offsite, rehydrationSeconds: null });
  });

  test('without one, the plan counts the hours, the restore refuses, and brings it back when it is asked to', async () => {
    const planned = await run('mongodb-restore', { ...inputs, replace: 'true', dryRun: 'true' });
    expect(planned.log.join('\n')).toMatch(
      /Takes +up to 15 hours until the archive tier gives it back, then a time that is not known yet \(.*the backup took/,
    );
    expect(planned.finish.result).toMatchObject({ rehydrationSeconds: 54_000 });
    const urgent = await run('mongodb-restore', { ...inputs, replace: 'true', dryRun: 'true', rehydrate: 'high' });
    expect(urgent.log.join('\n')).toMatch(/Takes +under an hour, as a rule until the archive tier/);

    const before = await stateOf(bench.client, 'shop');
    const refused = await run('mongodb-restore', { ...inputs, replace: 'true', confirm: 'shop' });
    expect([refused.outcome, refused.exitCode, refused.said]).toEqual([
      'refused',
      5,
      expect.stringMatching(/^mongodb 20260301_020000 lies in the archive tier of .*\nAsk for it with rehydrate standard/) as unknown,
    ]);
    expect(await tierOf('data')).toBe('Archive');

    await bench.client.db('shop').collection('orders').deleteMany({});
    const restored = await run('mongodb-restore', { ...inputs, replace: 'true', confirm: 'shop', rehydrate: 'standard' });
    expect([restored.outcome, restored.exitCode, restored.said]).toEqual(['succeeded', 0, '']);
    expect(await stateOf(bench.client, 'shop')).toEqual(before);

    // What was brought back stays readable, and the next restore is told by this one.
    expect(await tierOf('data')).toBe('Hot');
    const next = await run('mongodb-restore', { ...inputs, replace: 'true', dryRun: 'true' });
    expect(next.log.join('\n')).toMatch(/Takes +about .* \(by the last restore, .*\/s\): .*writing .*, reading back/);
  });
});
