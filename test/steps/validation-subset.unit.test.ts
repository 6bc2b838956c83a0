import { mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { datasetArchive } from '../dataset/dataset-archive.ts';
import { REGION_BYTES } from '../../shared/backup/encryption.ts';
import { writeBackup, type BackupResult } from '../../shared/backup/write.ts';
import { MemoryHost } from '../../shared/hosts/memory.ts';
import { newArchiveInspector } from '../../shared/mongodb/archive-inspector.ts';
import type { AnyStep } from '../../shared/step/define.ts';
import { runStep } from '../../shared/step/run.ts';
import type { Timestamp } from '../../shared/step/timestamp.ts';
import { findStep } from '../../shared/steps/index.ts';
import { FolderStore } from '../../shared/stores/folder/index.ts';
import { openRecipients, openVault } from '../../shared/vaults/open.ts';

const folder = mkdtempSync(join(tmpdir(), 'lifeboat-subset-'));
let backup: BackupResult;

beforeAll(async () => {
  const vault = await openVault(join(folder, 'keys'));
  backup = await writeBackup({
    store: new FolderStore(join(folder, 'store')),
    prefix: 'lifeboat',
    component: 'mongodb',
    kind: 'mongodb',
    timestamp: '20241201_120000' as Timestamp,
    recipients: await openRecipients([], { vault }),
    source: (async function* () {
      yield* datasetArchive({ size: 26 * 2 ** 20 });
    })(),
    newInspector: newArchiveInspector,
    facts: { source: {}, consistency: 'per-collection' },
    tools: { lifeboat: '0' },
    owner: 'test',
  });
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

async function validate(subset: string) {
  const inputs = { store: join(folder, 'store'), vault: join(folder, 'keys'), config: '', subset };
  return runStep(findStep('backup-validation') as AnyStep, new MemoryHost({ inputs }));
}

/** Flips one byte of the stored data; calling it again mends it. */
function flip(offset: number): void {
  const file = openSync(join(folder, 'store', backup.names.data), 'r+');
  const byte = Buffer.alloc(1);
  readSync(file, byte, 0, 1, offset);
  byte[0] = (byte[0] as number) ^ 1;
  writeSync(file, byte, 0, 1, offset);
}

describe('backup-validation of a subset', () => {
  test('finds, over all parts together, damage anywhere, and each part alone is good when it is', async () => {
    const regions = backup.manifest.encryption.regions;
    expect(regions).toBeGreaterThan(5);
    for (const part of ['1/3', '2/3', '3/3']) expect((await validate(part)).exitCode).toBe(0);
    for (const region of [0, 2, 3, regions - 1]) {
      const offset = Math.min(region * (REGION_BYTES + 28) + 20, backup.manifest.sizes.stored - 1);
      flip(offset);
      const codes = [];
      for (const part of ['1/3', '2/3', '3/3']) codes.push((await validate(part)).exitCode);
      flip(offset);
      expect(codes).toContain(4);
    }
  });

  test.each(['0/3', '4/3', '1', 'x/y', '1/0'])('refuses %s', async (subset) => {
    const finish = await validate(subset);
    expect(finish.exitCode).toBe(2);
    expect(finish.error?.message).toBe(`subset is "${subset}": expected a part such as 1/7.`);
  });
});
