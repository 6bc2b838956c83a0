// Each kind of store has a folder of its own: it knows what all stores share, and no other kind.
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { expect, test } from '@jest/globals';

const STORES = ['azure', 'folder', 's3', 'sftp'];

/** What every file of a room imports from the same room. */
const arrows = globSync('shared/stores/**/*.ts').flatMap((from) =>
  [...readFileSync(from, 'utf8').matchAll(/(?:\bfrom|\bimport\(|^import)\s*'(\.[^']+)'/gm)].map((match) => ({
    from: from.slice('shared/stores/'.length),
    to: normalize(join(dirname(from), match[1] as string)).slice('shared/stores/'.length),
  })),
);
const kindOf = (file: string): string | undefined => STORES.find((kind) => file.startsWith(`${kind}/`));

test('no kind of store imports another', () => {
  expect(arrows.length).toBeGreaterThan(100);
  const strays = arrows.filter(({ from, to }) => kindOf(from) !== undefined && kindOf(to) !== undefined && kindOf(from) !== kindOf(to));
  expect(strays).toEqual([]);
});

test('of what stores share, only the registry imports the kinds, and of each only its kind.ts', () => {
  const upwards = arrows.filter(({ from, to }) => kindOf(from) === undefined && kindOf(to) !== undefined);
  expect(upwards).toEqual(STORES.map((kind) => ({ from: 'open.ts', to: `${kind}/kind.ts` })));
});

test('every folder of stores/ is a kind in that list', () => {
  const folders = globSync('shared/stores/*/').map((folder) => folder.split('/')[2]);
  expect(folders.sort()).toEqual(STORES);
});
