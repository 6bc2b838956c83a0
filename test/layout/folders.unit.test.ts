// Each kind of store has a folder of its own, and a new store, vault or channel is a room and one line in a registry.
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, test } from '@jest/globals';

/** What each kind of store and of vault has a folder for; recipients are shared by all vaults. */
const ROOMS = [
  ['stores', ['azure', 'folder', 's3', 'sftp'], []],
  ['vaults', ['azure-key-vault', 'folder'], ['recipients']],
] as const;

describe.each(ROOMS)('shared/%s', (room, kinds, others) => {
  /** What every file of the room imports from the same room. */
  const arrows = globSync(`shared/${room}/**/*.ts`).flatMap((from) =>
    [...readFileSync(from, 'utf8').matchAll(/(?:\bfrom|\bimport\(|^import)\s*'(\.[^']+)'/gm)].map((match) => ({
      from: from.slice(`shared/${room}/`.length),
      to: normalize(join(dirname(from), match[1] as string)).slice(`shared/${room}/`.length),
    })),
  );
  const kindOf = (file: string): string | undefined => kinds.find((kind) => file.startsWith(`${kind}/`));

  test('no kind imports another', () => {
    expect(arrows.length).toBeGreaterThan(30);
    const strays = arrows.filter(({ from, to }) => kindOf(from) !== undefined && kindOf(to) !== undefined && kindOf(from) !== kindOf(to));
    expect(strays).toEqual([]);
  });

  test('of what they share, only the registry imports the kinds, and of each only its kind.ts', () => {
    const upwards = arrows.filter(({ from, to }) => !from.includes('/') && kindOf(to) !== undefined);
    expect(upwards).toEqual(kinds.map((kind) => ({ from: 'open.ts', to: `${kind}/kind.ts` })));
  });

  test('every folder is a kind in that list', () => {
    const folders = globSync(`shared/${room}/*/`).map((folder) => folder.split('/')[2]);
    expect(folders.sort()).toEqual([...kinds, ...others].sort());
  });
});

/** Files that still name a kind of store, vault or channel besides its own and the registries. The list may only become shorter. */
const STILL_NAMED = [
  // What `init` asks about each kind of store.
  'cli/init-run.ts',
];
const KIND = /'(?:azure-blob|s3|sftp|azure-key-vault|slack|teams|rocketchat|webhook|email|heartbeat)'/;
const OWN =
  /^(?:stores\/(?:azure|folder|s3|sftp)\/|vaults\/|notify\/(?:slack|teams|rocketchat|webhook|email|heartbeat)[.-]|(?:stores|notify)\/open\.ts$)/;

test('a new store, vault or channel is a room and one line: no further file names the kinds', () => {
  const naming = globSync('shared/**/*.ts')
    // A database is called rocketchat, and a cluster has webhooks of its own.
    .filter((file) => !/^shared\/(?:mongodb|cluster-state)\//.test(file) && !OWN.test(file.slice('shared/'.length)))
    .filter((file) =>
      readFileSync(file, 'utf8')
        .split('\n')
        .some((line) => KIND.test(line) && !/\bexample\b/.test(line)),
    )
    .map((file) => file.slice('shared/'.length));
  expect(naming.sort()).toEqual(STILL_NAMED.toSorted());
});
