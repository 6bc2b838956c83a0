// The way back through copies: what a restore does when the store of the backups is damaged, empty or gone. Real Azurite, a folder, a real server.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { BlobServiceClient } from '@azure/storage-blob';
import { startAzurite, type Azurite } from '../backends/azurite.ts';
import { canBuildFerretDb } from '../backends/ferretdb.ts';
import { tempFolder } from '../backends/support.ts';
import { describeIf } from '../support/needs.ts';
import { fill, run, startBench, stateOf, type Bench, type Ran } from './bench.ts';

const TIMESTAMP = '20260301_020000';

describeIf(await canBuildFerretDb(), 'needs Go 1.24 to build FerretDB')('a restore from copies', () => {
  let bench: Bench;
  let azurite: Azurite;
  let inputs: Record<string, string>;
  const folder = tempFolder('copies-back');
  const offsite = join(folder, 'offsite');
  beforeAll(async () => {
    [bench, azurite] = await Promise.all([startBench(), startAzurite()]);
    await azurite.createContainer('backups');
    await fill(bench.client, 'shop');
    inputs = { ...bench.place().inputs, store: azurite.sasUrl('backups', 'racwdl'), copies: offsite };
    expect((await run('mongodb-backup', { ...inputs, include: 'shop', timestamp: TIMESTAMP })).outcome).toBe('succeeded');
  });
  afterAll(async () => {
    await Promise.all([bench.stop(), azurite.stop()]);
    rmSync(folder, { recursive: true, force: true });
  });

  const blob = (file: string) =>
    BlobServiceClient.fromConnectionString(azurite.connectionString)
      .getContainerClient('backups')
      .getBlockBlobClient(`shop/mongodb/${TIMESTAMP}/${file}`);

  /** Loses every order, then restores. */
  const restoreAfterLoss = async (more: Record<string, string> = {}): Promise<Ran> => {
    const before = await stateOf(bench.client, 'shop');
    await bench.client.db('shop').collection('orders').deleteMany({});
    const ran = await run('mongodb-restore', { ...inputs, confirm: 'shop', replace: 'true', ...more });
    expect(await stateOf(bench.client, 'shop')).toEqual(before);
    return ran;
  };

  test('a damaged backup is found before the target is touched, and its copy is restored', async () => {
    const data = await blob('data').downloadToBuffer();
    const { metadata = {} } = await blob('data').getProperties();
    const bad = Buffer.from(data);
    bad[2000] = (bad[2000] as number) ^ 1;
    await blob('data').upload(bad, bad.length, { metadata });
    const ran = await restoreAfterLoss();
    expect([ran.outcome, ran.exitCode]).toEqual(['succeeded', 0]);
    expect(ran.log.join('\n')).toMatch(
      new RegExp(`notice: mongodb ${TIMESTAMP} is read from its copy in ${offsite}\\. .*127.*is damaged between byte`),
    );
    expect(ran.summary).toContain(`mongodb ${TIMESTAMP} in ${offsite}`);
    expect(ran.finish.result).toMatchObject({ source: offsite, passedOver: [{ reason: expect.stringMatching(/damaged/) as unknown }] });

    const alone = await run('mongodb-restore', { ...inputs, confirm: 'shop', replace: 'true', fromStore: inputs['store'] as string });
    expect([alone.exitCode, alone.said]).toEqual([4, expect.stringMatching(/is damaged between byte/) as unknown]);
    const compared = await run('backup-integrity-check', inputs);
    expect([compared.exitCode, compared.log.join('\n')]).toEqual([0, expect.stringMatching(/is read from its copy in/) as unknown]);
    await blob('data').upload(data, data.length, { metadata });
  });

  test('a backup that lies only in the copy is found there', async () => {
    await blob('manifest.json').delete();
    await blob('data').delete();
    const planned = await run('mongodb-restore', { ...inputs, replace: 'true', dryRun: 'true' });
    expect(planned.log.join('\n')).toMatch(new RegExp(`mongodb ${TIMESTAMP}, .*, in ${offsite}`));
    const ran = await restoreAfterLoss();
    expect([ran.outcome, ran.log.join('\n')]).toEqual(['succeeded', expect.stringMatching(/127.*: does not have it\./) as unknown]);
  });

  test('with the store of the backups gone, the copy is restored; that a newer backup may lie there makes it partial', async () => {
    await azurite.stop();
    const ran = await restoreAfterLoss();
    expect([ran.outcome, ran.exitCode]).toEqual(['partial', 3]);
    expect(ran.finish.warnings).toEqual([
      expect.stringMatching(new RegExp(`127.* cannot be looked at \\(.*\\): a newer backup than ${TIMESTAMP} may lie there\\.$`)),
    ]);
    expect(ran.log.join('\n')).toMatch(/Doubtful +.*a newer backup than/);
    expect(ran.log.join('\n')).toMatch(new RegExp(`To put it back: lifeboat mongodb-restore --store ${offsite} `));
    // Locks, records and the safety backup go where something answers.
    const listed = await run('list-backups', { store: offsite, name: 'shop' });
    const { backups } = listed.finish.result as { backups: { component: string; timestamp: string }[] };
    expect(backups.map(({ component }) => component)).toContain('mongodb-safety');
  });
});
