// A store whose disk is full, or may only be read: retention frees it, and a restore reads from it. On a small file system of its own.
import { spawnSync } from 'node:child_process';
import { rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { canBuildFerretDb } from '../backends/ferretdb.ts';
import { tempFolder } from '../backends/support.ts';
import { describeIf } from '../support/needs.ts';
import { fill, run, startBench, type Bench } from './bench.ts';

const disk = tempFolder('small-disk');
const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=6m', 'tmpfs', disk]).status === 0;
const missing = [mounted ? '' : 'needs the right to mount a small tmpfs', (await canBuildFerretDb()) ? '' : 'needs Go 1.24'].filter(
  Boolean,
);

describeIf(missing.length === 0, missing.join(', '))('a store on a small disk', () => {
  let bench: Bench;
  const store = join(disk, 'store');
  const filler = join(disk, 'of-another-program');
  const days = ['20241201_120000', '20241202_120000', '20241203_120000'];
  let inputs: Record<string, string>;
  let reading: Record<string, string>;

  beforeAll(async () => {
    bench = await startBench();
    await fill(bench.client, 'shop');
    const place = bench.place();
    inputs = { ...place.inputs, store };
    reading = { ...place.reading, store };
    for (const timestamp of days) expect((await run('mongodb-backup', { ...inputs, timestamp })).outcome).toBe('succeeded');
  });
  afterAll(async () => {
    await bench.stop();
    spawnSync('umount', [disk]);
    rmSync(disk, { recursive: true, force: true });
  });

  /** Leaves not a single block. */
  function fillUp(): void {
    for (let size = 1 << 20; size >= 1; size = Math.floor(size / 4)) {
      for (;;) {
        try {
          writeFileSync(filler, Buffer.alloc(size, 1), { flag: 'a' });
        } catch {
          break;
        }
      }
    }
    const { bavail } = statfsSync(disk);
    expect(bavail).toBe(0);
  }

  test('that is full can be restored from, and validated', async () => {
    fillUp();
    const restored = await run('mongodb-restore', { ...inputs, confirm: 'shop', rename: 'shop=beside' });
    expect([restored.outcome, restored.said]).toEqual(['succeeded', '']);
    expect((await run('backup-validation', reading)).outcome).toBe('succeeded');
  });

  test('that is full is freed by retention', async () => {
    fillUp();
    const pruned = await run('apply-retention', { ...reading, confirm: 'shop', keepLast: '1' });
    expect([pruned.outcome, pruned.said, pruned.outputs['removed']]).toEqual(['succeeded', '', '2']);
    expect(statfsSync(disk).bavail).toBeGreaterThan(0);
    // Room is set aside again, and a backup fits.
    rmSync(filler);
    expect((await run('mongodb-backup', { ...inputs, timestamp: '20241204_120000' })).outcome).toBe('succeeded');
  });

  test('that may only be read can be restored from', async () => {
    expect(spawnSync('mount', ['-o', 'remount,ro', disk]).status).toBe(0);
    try {
      const restored = await run('mongodb-restore', { ...inputs, confirm: 'shop', timestamp: '20241203_120000', rename: 'shop=again' });
      expect([restored.outcome, restored.said]).toEqual(['succeeded', '']);
    } finally {
      spawnSync('mount', ['-o', 'remount,rw', disk]);
    }
  });
});
if (!mounted || missing.length > 0) rmSync(disk, { recursive: true, force: true });
