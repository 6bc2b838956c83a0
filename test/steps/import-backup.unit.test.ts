import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { MemoryHost } from '../../shared/hosts/memory.ts';
import { runStep } from '../../shared/step/run.ts';
import { importBackup } from '../../shared/steps/import-backup/index.ts';

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
  const { exitCode, error } = await runStep(importBackup, new MemoryHost({ inputs }));
  expect([exitCode, error?.message]).toEqual([2, expect.stringMatching(message)]);
});
