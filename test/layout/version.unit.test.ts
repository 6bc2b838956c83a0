// One version number everywhere: the one of package.json.
import { globSync, readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { EXTENSION_VERSION, TASK_VERSION } from '../../shared/cli/project.ts';

const read = (file: string): unknown => JSON.parse(readFileSync(file, 'utf8'));
const { version } = read('package.json') as { version: string };

test('the lockfile, the extension and every task have it', () => {
  expect((read('package-lock.json') as { version: string }).version).toBe(version);
  expect(EXTENSION_VERSION).toBe(version);
  expect(`${TASK_VERSION.Major}.${TASK_VERSION.Minor}.${TASK_VERSION.Patch}`).toBe(version);
  for (const file of globSync('azure-tasks/*/task.json')) {
    const { Major, Minor, Patch } = (read(file) as { version: Record<string, number> }).version;
    expect(`${Major ?? ''}.${Minor ?? ''}.${Patch ?? ''}`).toBe(version);
  }
});
