// The rooms beside the product: what scripts/ starts and what tests stand on. They, too, import downwards only, and no files import in a circle.
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { expect, test } from '@jest/globals';

/** Which rooms a room may import besides itself and the product. The rooms of tests that mirror shared/ may use every room of support. */
const BELOW: Readonly<Record<string, readonly string[]>> = {
  'test/testing': ['scripts'],
  'test/dataset': [],
  'test/support': ['test/testing'],
  'test/backends': ['test/support', 'test/dataset'],
  'test/benchmarks': ['test/backends', 'test/dataset', 'scripts'],
  'test/drill': ['test/backends', 'test/dataset', 'scripts'],
  'test/campaign': ['test/backends', 'test/dataset', 'test/mongodb', 'test/acceptance', 'scripts'],
  // Tests of what the campaign finds, and of what is built.
  'test/faults': ['test/campaign'],
  'test/acceptance': ['scripts/generators'],
  'scripts/generators': [],
  'scripts/builders': ['scripts/generators'],
  scripts: ['scripts/generators', 'scripts/builders'],
};
/** What tests stand on. */
const SUPPORT = ['test/testing', 'test/support', 'test/dataset', 'test/backends', 'test/acceptance'];
/** Generated facts of the project, which are no code. */
const FACTS = ['package.json', 'azure-tasks/guids.json'];

const files = globSync(['{shared,scripts,test}/**/*.ts']).filter(
  (file) => !file.endsWith('.d.ts') && !file.includes('/assembly/') && !file.endsWith('.test.ts'),
);

/** Every import of a file of this project: static, dynamic and type-only. */
function importsOf(file: string): string[] {
  const text = readFileSync(file, 'utf8');
  const specifiers = [...text.matchAll(/(?:\bfrom|\bimport\(|^import)\s*'(\.[^']+)'/gm)].map((match) => match[1] as string);
  return specifiers.map((specifier) => normalize(join(dirname(file), specifier)));
}

const imports = new Map(files.map((file) => [file, importsOf(file)]));

function roomOf(file: string): string {
  const [top = '', second = '', ...rest] = file.split('/');
  return rest.length === 0 || top === 'shared' ? top : `${top}/${second}`;
}

/** A room of tests about a room of the product has helpers of its own, such as test/mongodb/archives.ts. */
function mirrors(room: string): boolean {
  return room.startsWith('test/') && !(room in BELOW);
}

function allowed(from: string, to: string): boolean {
  const [room, target] = [roomOf(from), roomOf(to)];
  if (room === target || target === 'shared' || FACTS.includes(to)) return true;
  if (mirrors(room)) return SUPPORT.includes(target) || mirrors(target);
  return BELOW[room]?.includes(target) === true;
}

test('what scripts start and what tests stand on imports downwards only', () => {
  const outside = [...imports].filter(([file]) => !file.startsWith('shared/'));
  expect(outside.length).toBeGreaterThan(100);
  const wrong = outside.flatMap(([from, all]) => all.filter((to) => !allowed(from, to)).map((to) => `${from} -> ${to}`));
  expect(wrong).toEqual([]);
});

test.each([
  ['test/backends/azurite.ts', 'test/drill/stack.ts'],
  ['test/dataset/dataset.ts', 'test/backends/support.ts'],
  ['test/mongodb/archives.ts', 'test/campaign/part.ts'],
  ['scripts/generators/readmes.ts', 'scripts/builders/bundle.ts'],
])('%s -> %s is an arrow that is refused', (from, to) => {
  expect(allowed(from, to)).toBe(false);
});

test('scripts/ keeps entries, and the rooms that build and generate', () => {
  const rooms = new Set(files.filter((file) => file.startsWith('scripts/')).map(roomOf));
  expect([...rooms].sort()).toEqual(['scripts', 'scripts/builders', 'scripts/generators']);
});

test('no files of scripts/ and of the code that tests stand on import in a circle', () => {
  expect(circles().filter((circle) => circle.some((file) => !file.startsWith('shared/')))).toEqual([]);
});

/** Files that import each other, directly or not (Tarjan's strongly connected components). */
function circles(): string[][] {
  const found: string[][] = [];
  const order = new Map<string, { index: number; low: number }>();
  const stack: string[] = [];
  const visit = (file: string): { index: number; low: number } => {
    const own = { index: order.size, low: order.size };
    order.set(file, own);
    stack.push(file);
    for (const next of imports.get(file) ?? []) {
      const seen = order.get(next);
      if (!seen) own.low = Math.min(own.low, visit(next).low);
      else if (stack.includes(next)) own.low = Math.min(own.low, seen.index);
    }
    if (own.low === own.index) {
      const circle = stack.splice(stack.indexOf(file));
      if (circle.length > 1) found.push(circle.sort());
    }
    return own;
  };
  for (const file of imports.keys()) if (!order.has(file)) visit(file);
  return found;
}
