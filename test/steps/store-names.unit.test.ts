// A store is given by its name in dr.yml or by its address; what is neither must not become a folder by mistake.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { drSource } from '../../shared/session/session.ts';
import { MemoryHost } from '../../shared/hosts/memory.ts';
import { runStep } from '../../shared/step/run.ts';
import { listBackupsStep } from '../../shared/steps/list-backups/index.ts';

let folder: string;
const before = process.cwd();
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'lifeboat-store-names-'));
  process.chdir(folder);
  const stores = 'stores: { primary: { kind: folder, path: ./a }, offsite: { kind: folder, path: ./b } }';
  const components = 'components: { db: { kind: mongodb, store: primary, source: { uri: "${env:URI}" } } }';
  writeFileSync('dr.yml', ['version: 1', 'name: shop', stores, components].join('\n'));
});
afterAll(() => {
  process.chdir(before);
  rmSync(folder, { recursive: true });
});

async function list(store: string, config = 'dr.yml') {
  const { exitCode, error } = await runStep(listBackupsStep, new MemoryHost({ inputs: { store, config, name: 'shop' } }), {
    openConfig: drSource(),
  });
  return [exitCode, error?.message, error?.fix];
}

test('a misspelt name is told, with what was meant or what there is, and makes no folder', async () => {
  expect(await list('offsit')).toEqual([
    2,
    'dr.yml has no store "offsit".',
    'Did you mean offsite? A folder of that name is written ./offsit.',
  ]);
  expect(await list('tape')).toEqual([
    2,
    'dr.yml has no store "tape".',
    'It has: primary, offsite. A folder of that name is written ./tape.',
  ]);
  expect(existsSync('offsit') || existsSync('tape')).toBe(false);
});

test.each(['offsite', './tape', '../tape', '/tmp/tape', 'tape/inner'])('%s is taken, and not made', async (store) => {
  const [exitCode, said] = await list(store);
  expect([exitCode, said]).toEqual([1, expect.stringMatching(/^There is no folder .*(b|tape|inner)\.$/)]);
});

test('without a dr.yml a word alone is a folder', async () => {
  const host = new MemoryHost({ inputs: { store: 'tape', name: 'shop' } });
  process.chdir(tmpdir());
  try {
    expect((await runStep(listBackupsStep, host, { openConfig: drSource() })).error?.message).toMatch(/^There is no folder .*tape\.$/);
  } finally {
    process.chdir(folder);
  }
});
