import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { MemoryHost } from '../../shared/hosts/memory.ts';
import { runStep } from '../../shared/step/run.ts';
import { timestampInName } from '../../shared/steps/import-backup/moment.ts';
import { findStep } from '../../shared/steps/index.ts';
import type { AnyStep } from '../../shared/step/define.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'lifeboat-import-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

test.each([
  ['that is not there', 'nope', /^There is no file .*nope\.$/],
  ['whose name has no date', 'old.archive', /^The name of .*old\.archive does not say when the backup was made\.$/],
  ['of the future', 'mongodb_29990101_000000.archive', /^29990101_000000 is in the future/],
])('a file %s is told as such', async (_what, name, message) => {
  const file = join(folder, name);
  if (name !== 'nope') writeFileSync(file, 'x');
  const inputs = { file, store: join(folder, 'store'), vault: join(folder, 'vault') };
  const { exitCode, error } = await runStep(findStep('import-backup') as AnyStep, new MemoryHost({ inputs }));
  expect([exitCode, error?.message]).toEqual([2, expect.stringMatching(message)]);
});

test.each([
  ['mongodb_20241201_120000.tar.gz.enc', '20241201_120000'],
  ['/old/backup-2024-12-01T12-00-05.archive.gz', '20241201_120005'],
  ['rocketchat-2024-12-01_1200.gz', '20241201_120000'],
  ['mongodb-20241301_120000.gz', undefined],
  ['build-123456789012345.gz', undefined],
  ['latest.gz', undefined],
])('the time in the name %s is %s', (name, timestamp) => {
  expect(timestampInName(name)).toBe(timestamp);
});
