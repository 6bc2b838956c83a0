// Names that are taken: refused in dr.yml with the line, as an input, and by the layout of a store, all by the same rule.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { checkComponent, checkPrefix, safetyComponent } from '../../shared/backup/layout.ts';
import { parseDr } from '../../shared/config/load.ts';
import { ConfigError } from '../../shared/config/problem.ts';
import { MemoryHost } from '../../shared/hosts/memory.ts';
import { runStep } from '../../shared/step/run.ts';
import { findStep } from '../../shared/steps/index.ts';

const LAYOUT = ['audit', 'holds', 'locks', 'points', 'proofs', 'runs', 'status.json', '.lifeboat', 'Locks', 'STATUS.JSON'];
const OBJECTS = ['constructor', 'toString', 'valueOf', 'hasOwnProperty', '__proto__', 'prototype'];
const DEVICES = ['con', 'nul', 'aux', 'prn', 'com1', 'lpt9', 'COM1', 'nul.txt'];
const SHAPES = ['db.', 'db..', '.db', 'db/x', '..', 'Db', 'db-', '-db', '1db', 'db_x', 'ä', 'x'.repeat(64)];
const ALL = [...LAYOUT, ...OBJECTS, ...DEVICES, ...SHAPES];

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'names-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

function drWith(part: 'component' | 'store' | 'name', name: string): string {
  const key = (what: typeof part, usual: string): string => JSON.stringify(part === what ? name : usual);
  return [
    'version: 1',
    `name: ${key('name', 'shop')}`,
    'stores:',
    `  ${key('store', 'primary')}: { kind: folder, path: /b }`,
    'components:',
    `  ${key('component', 'db')}: { kind: mongodb, source: { uri: "\${env:URI}" } }`,
  ].join('\n');
}

function problemsOf(content: string): string[] {
  try {
    parseDr(content, 'dr.yml');
  } catch (thrown) {
    if (!(thrown instanceof ConfigError)) throw thrown;
    return thrown.problems.map(({ line, message }) => `${line}: ${message}`);
  }
  return [];
}

/** Exit code and message of a step. */
async function told(step: string, inputs: Record<string, string>): Promise<[number, string]> {
  const given = { store: folder, name: 'shop', ...inputs };
  const definition = findStep(step);
  if (!definition) throw new Error(step);
  const { exitCode, error } = await runStep(definition, new MemoryHost({ inputs: given }));
  return [exitCode, error?.message ?? ''];
}

describe.each(ALL)('the name %j', (name) => {
  test('is no component in dr.yml, told with its line', () => {
    expect(problemsOf(drWith('component', name))[0]).toMatch(/^6: /);
  });

  test('is no component in a store', () => {
    expect(() => checkComponent(name)).toThrow(/cannot be used/);
  });

  test.each(['list-backups', 'mongodb-restore', 'mongodb-backup', 'apply-retention'])('is no component for %s', async (step) => {
    const [exitCode, message] = await told(step, { component: name, mongodbUri: 'mongodb://x', vault: folder, confirm: 'x' });
    expect([exitCode, message]).toEqual([2, expect.stringContaining(`component is ${JSON.stringify(name)}: `)]);
  });
});

test.each([...OBJECTS, ...DEVICES, 'db.', 'a/db.', 'a/nul/b', '..', 'a//b', '.lifeboat'])(
  '%j is no name of an installation',
  async (name) => {
    expect(problemsOf(drWith('name', name))[0]).toMatch(/^2: /);
    expect(() => checkPrefix(name)).toThrow(/cannot be used/);
    expect(await told('list-backups', { name })).toEqual([2, expect.stringContaining(`name is ${JSON.stringify(name)}: `)]);
  },
);

test.each(['constructor', '__proto__', 'nul', 'prototype'])('%s is no store in dr.yml', (name) => {
  expect(problemsOf(drWith('store', name))[0]).toMatch(/^4: .*(reserved|Windows)/);
});

test.each(['notify: { __proto__: 1 }', 'objectives: { phases: { __proto__: 30m } }', 'vault: { kind: folder, path: /k, __proto__: 1 }'])(
  'a key __proto__ is nowhere dropped without a word: %s',
  (line) => {
    expect(problemsOf(`${drWith('name', 'shop')}\n${line}`).join()).toContain('7: "__proto__" is reserved: choose another name');
  },
);

describe('a name that ends with -safety', () => {
  test('is no component of its own: a rollback of the other one would take its backups', async () => {
    expect(problemsOf(drWith('component', 'road-safety'))).toEqual([
      '6: names that end with -safety are reserved: below road-safety a restore of "road" keeps what it replaces, and a rollback takes it from there. Choose another name',
    ]);
    for (const step of ['mongodb-backup', 'import-backup']) {
      const inputs = { component: 'road-safety', mongodbUri: 'mongodb://x', vault: folder, file: 'x' };
      expect(await told(step, inputs)).toEqual([2, expect.stringContaining('component is "road-safety": names that end with -safety')]);
    }
  });

  test('is looked up, listed and held as what a restore has kept', async () => {
    expect(checkComponent('road-safety')).toBe('road-safety');
    expect(await told('list-backups', { component: 'road-safety' })).toEqual([0, '']);
  });

  test('fits beside a component of any length', () => {
    expect(checkComponent(safetyComponent('x'.repeat(63)))).toHaveLength(70);
  });
});

test.each(['db', 'contact', 'nulls', 'com10', 'auxiliary', 'lock', 'run-2', 'safety'])('%s is a name like any other', (name) => {
  expect([problemsOf(drWith('component', name)), problemsOf(drWith('store', name)), problemsOf(drWith('name', name))]).toEqual([
    [],
    [],
    [],
  ]);
  expect([checkComponent(name), checkPrefix(`${name}/eu`)]).toEqual([name, `${name}/eu`]);
});
