// Each kind of store has a folder of its own, and a new store, vault or channel is a room and one line in a registry.
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

/** Files that still name a kind of store, vault or channel besides its own and the registries. The list may only become shorter. */
const STILL_NAMED = [
  // What dr.yml says goes together: a region for S3, a vault for its recipients.
  'config/check.ts',
  'config/dr-config.ts',
  // What to do about each kind of store.
  'cli/init-run.ts',
  'steps/doctor/run.ts',
  // A heartbeat wants beats, and an e-mail a sender.
  'notify/notifications.ts',
  'steps/notify/index.ts',
  'steps/notify/inputs.ts',
  'steps/notify/run.ts',
  // An input with a SAS is for one kind only.
  'session/open.ts',
];
const KIND = /'(?:azure-blob|s3|sftp|azure-key-vault|slack|teams|rocketchat|webhook|email|heartbeat)'/;
const OWN =
  /^(?:stores\/(?:azure|folder|s3|sftp)\/|vaults\/|notify\/(?:slack|teams|rocketchat|webhook|email|heartbeat)[.-]|(?:stores|notify)\/open\.ts$)/;

test('a new store, vault or channel is a room and one line: no further file names the kinds', () => {
  const naming = globSync('shared/**/*.ts')
    .filter((file) => !file.startsWith('shared/mongodb/') && !OWN.test(file.slice('shared/'.length)))
    .filter((file) =>
      readFileSync(file, 'utf8')
        .split('\n')
        .some((line) => KIND.test(line) && !/\bexample\b/.test(line)),
    )
    .map((file) => file.slice('shared/'.length));
  expect(naming.sort()).toEqual(STILL_NAMED.toSorted());
});
