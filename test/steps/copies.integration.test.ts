// Copies made by a backup and by copy-backups, from the step's inputs to the bytes in the second store.
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { FolderStore } from '../../shared/stores/folder/index.ts';
import { canBuildFerretDb } from '../backends/ferretdb.ts';
import { tempFolder } from '../backends/support.ts';
import { describeIf } from '../support/needs.ts';
import { fill, run, startBench, type Bench } from './bench.ts';

describeIf(await canBuildFerretDb(), 'needs Go 1.24 to build FerretDB')('copies', () => {
  let bench: Bench;
  const folder = tempFolder('copies');
  beforeAll(async () => {
    bench = await startBench();
    await fill(bench.client, 'shop');
  });
  afterAll(async () => {
    await bench.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  test('a backup is copied once it is committed; a copy that fails makes the run partial and is caught up later', async () => {
    const place = bench.place();
    const input = (name: string): string => place.inputs[name] as string;
    const keyless = { name: input('name'), component: input('component'), store: input('store') };
    const [offsite, broken] = [join(folder, 'offsite'), join(folder, 'broken')];
    writeFileSync(broken, 'not a folder');
    const first = await run('mongodb-backup', { ...place.inputs, timestamp: '20241201_120000', copies: `${offsite}, ${broken}` });
    expect([first.outcome, first.exitCode]).toEqual(['partial', 3]);
    expect(first.log.join('\n')).toMatch(/No copy could be made to .*broken/);
    const copied = await run('backup-validation', { ...keyless, vault: input('vault'), store: offsite, timestamp: '20241201_120000' });
    expect(copied.outcome).toBe('succeeded');

    rmSync(broken);
    const second = await run('copy-backups', { ...keyless, copies: `${offsite},${broken}`, days: '0' });
    expect([second.outcome, second.exitCode]).toEqual(['succeeded', 0]);
    const third = await run('backup-validation', { ...keyless, vault: input('vault'), store: broken, timestamp: '20241201_120000' });
    expect(third.outcome).toBe('succeeded');
  });

  test('are refused while somebody is at work where they go, with the time until the lock is free', async () => {
    const place = bench.place();
    const input = (name: string): string => place.inputs[name] as string;
    const locked = join(folder, 'locked');
    const lock = await new FolderStore(locked).lock('shop/locks/mongodb', { owner: 'another run', expiresAfter: 60_000 });
    const keyless = { name: input('name'), component: input('component'), store: input('store') };
    expect((await run('mongodb-backup', place.inputs)).outcome).toBe('succeeded');
    const refused = await run('copy-backups', { ...keyless, copies: locked, lockWait: '0s' });
    await lock.release();
    expect([refused.outcome, refused.exitCode]).toEqual(['refused', 5]);
    expect(refused.said).toMatch(/locked by another run\..*free in \d+ seconds/s);
    expect((await run('copy-backups', { ...keyless, copies: locked })).outcome).toBe('succeeded');
  });
});
