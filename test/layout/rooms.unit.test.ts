import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, test } from '@jest/globals';

/** Which rooms of shared/ a room may import (besides itself). Arrows point downwards; what is not listed is forbidden. */
const BELOW = {
  step: [],
  tools: [],
  azure: ['step', 'tools'],
  stores: ['step', 'schema', 'tools', 'azure'],
  vaults: ['step', 'schema', 'tools', 'azure'],
  backup: ['step', 'tools', 'stores', 'vaults'],
  catalog: ['step', 'tools', 'stores', 'vaults', 'backup'],
  kubernetes: ['step', 'tools'],
  schema: ['step'],
  mongodb: ['step', 'tools', 'stores', 'vaults', 'backup', 'kubernetes', 'schema'],
  'cluster-state': ['step', 'tools', 'backup', 'kubernetes', 'schema'],
  kinds: ['step', 'backup', 'mongodb', 'cluster-state'],
  config: ['step', 'schema', 'stores', 'vaults', 'backup', 'notify', 'kinds'],
  hosts: ['step', 'tools'],
  notify: ['step', 'schema', 'tools', 'stores', 'backup', 'catalog'],
  monitor: ['step', 'tools', 'stores', 'backup', 'catalog', 'kinds', 'config'],
  doctor: ['step', 'tools', 'azure', 'stores', 'vaults', 'backup', 'catalog', 'kubernetes', 'config'],
  session: ['step', 'schema', 'azure', 'stores', 'vaults', 'backup', 'catalog', 'kinds', 'config'],
  pages: ['step', 'backup', 'catalog', 'kinds', 'monitor', 'session'],
  runs: [
    ...['step', 'tools', 'azure', 'stores', 'vaults', 'backup', 'catalog', 'kinds', 'config', 'notify', 'monitor'],
    ...['session', 'pages'],
  ],
  steps: [
    ...['step', 'schema', 'tools', 'stores', 'vaults', 'backup', 'catalog', 'mongodb', 'kinds', 'config', 'notify'],
    ...['monitor', 'doctor', 'session', 'pages', 'runs'],
  ],
  // Above all steps: the terminal program, and what the bundles of each host start with.
  cli: ['steps', 'hosts', 'session', 'step', 'tools', 'schema', 'backup', 'kinds', 'config', 'monitor'],
  entries: ['cli', 'steps', 'hosts', 'session', 'step', 'tools', 'schema', 'config'],
} satisfies Record<string, string[]>;

/** package.json, as seen from shared/. */
const PROJECT = '../package.json';

/**
 * Single files that may reach into a room the table does not open to them:
 * the clock is a port of the step kernel, and errors, timestamps and formats are words that every room may use.
 */
const ARROWS_OF_FILES: Record<string, string[]> = {
  'step/define.ts': ['tools/clock.ts'],
  'step/run.ts': ['tools/clock.ts'],
  // The version that goes into manifests.
  'runs/backup.ts': [PROJECT],
  // What --version shows, and what generated files are called.
  'cli/program.ts': [PROJECT],
  'cli/project.ts': [PROJECT],
};
const WORDS = new Set(['step/errors.ts', 'step/timestamp.ts', 'step/format.ts', 'step/input.ts']);

/** Packages that belong to one room. */
const PACKAGES: [pattern: RegExp, room: string][] = [[/^@actions\/core$|^azure-pipelines-task-lib/, 'hosts']];

interface Arrow {
  from: string;
  to: string;
}

/** Every import of a file: static, dynamic and type-only. */
function importsOf(file: string): string[] {
  const text = readFileSync(join('shared', file), 'utf8');
  return [...text.matchAll(/(?:\bfrom|\bimport\(|^import)\s*'([^']+)'/gm)].map((match) => match[1] as string);
}

const files = globSync('**/*.ts', { cwd: 'shared' }).filter((file) => !file.endsWith('.d.ts') && !file.includes('/assembly/'));
const arrows = files.flatMap((from) => importsOf(from).map((to): Arrow => ({ from, to })));
const inside = arrows.filter(({ to }) => to.startsWith('.')).map(({ from, to }) => ({ from, to: normalize(join(dirname(from), to)) }));
const room = (file: string): string => file.split('/')[0] as string;

function allowed({ from, to }: Arrow): boolean {
  if (room(from) === room(to) || WORDS.has(to) || ARROWS_OF_FILES[from]?.includes(to)) return true;
  return (BELOW as Record<string, string[]>)[room(from)]?.includes(room(to)) ?? false;
}

describe('the rooms of shared/', () => {
  test('are those of the table', () => {
    expect([...new Set(files.map(room))].filter((name) => !(name in BELOW))).toEqual([]);
  });

  test('import downwards only', () => {
    expect(inside.length).toBeGreaterThan(50);
    expect(inside.filter((arrow) => !allowed(arrow)).map(({ from, to }) => `${from} -> ${to}`)).toEqual([]);
  });

  test('the table itself has no circle', () => {
    const order: string[] = [];
    const visit = (name: string, path: string[]): void => {
      if (path.includes(name)) throw new Error(`circle: ${[...path, name].join(' -> ')}`);
      for (const below of (BELOW as Record<string, string[]>)[name] ?? []) visit(below, [...path, name]);
      order.push(name);
    };
    for (const name of Object.keys(BELOW)) visit(name, []);
    expect(order).toContain('steps');
  });

  test('only hosts/ knows the libraries of GitHub Actions and Azure Pipelines', () => {
    const strays = arrows.filter(({ from, to }) => PACKAGES.some(([pattern, owner]) => pattern.test(to) && room(from) !== owner));
    expect(strays).toEqual([]);
  });

  test('nothing in shared/ imports from outside of it', () => {
    expect(inside.filter(({ to }) => to.startsWith('..') && to !== PROJECT)).toEqual([]);
  });
});

/** Lines that show how something is written: examples, and comments. */
const SHOWN = /example|args:|such as|budget|phases|^\s*(?:\/\/|\*|\/\*)/i;
test('only its own room and the registry of kinds know MongoDB', () => {
  const naming = files.filter((file) => {
    if (room(file) === 'mongodb' || file === 'kinds/registry.ts') return false;
    const lines = readFileSync(join('shared', file), 'utf8').split('\n');
    return lines.some((line, index) => /mongo/i.test(line) && !SHOWN.test(line) && !SHOWN.test(lines[index - 1] ?? ''));
  });
  expect(naming.sort()).toEqual([]);
});

describe('the test itself', () => {
  test.each([
    ['stores/x.ts', 'backup/manifest.ts'],
    ['mongodb/x.ts', 'catalog/list.ts'],
    ['tools/x.ts', 'stores/store.ts'],
    ['backup/x.ts', 'hosts/github.ts'],
  ])('%s -> %s is an arrow that it refuses', (from, to) => {
    expect(allowed({ from, to })).toBe(false);
  });
});
