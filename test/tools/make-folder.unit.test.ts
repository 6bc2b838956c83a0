import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { FolderStore } from '../../shared/stores/folder/index.ts';
import { makeFolder } from '../../shared/tools/make-folder.ts';
import { FolderVault } from '../../shared/vaults/folder/index.ts';
import { describeIf } from '../support/needs.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'lifeboat-make-folder-'));
});
afterEach(() => {
  rmSync(root, { recursive: true });
});

test('makes a folder with its parents, for this user only, and finds one that is there', async () => {
  const folder = join(root, 'a', 'b', 'c');
  await makeFolder(folder);
  await makeFolder(folder);
  expect(statSync(folder).mode & 0o777).toBe(0o700);
});

test('says so when a file is in the place of the folder or of a parent', async () => {
  writeFileSync(join(root, 'file'), '');
  await expect(makeFolder(join(root, 'file'))).rejects.toMatchObject({ code: 'ENOTDIR' });
  await expect(makeFolder(join(root, 'file', 'below'))).rejects.toMatchObject({ code: 'ENOTDIR' });
});

describeIf(existsSync('/proc/self'), 'needs /proc')(
  'a file system that takes no folders, and says of a parent that is there that it is not',
  () => {
    const nowhere = '/proc/lifeboat/backups';

    test('ends with its error', async () => {
      await expect(makeFolder(nowhere)).rejects.toMatchObject({ code: 'ENOENT' });
    });

    test('as a store or a vault, too, in plain words', async () => {
      await expect(new FolderStore(nowhere).write('a', Buffer.alloc(1))).rejects.toThrow(/failed: the folder cannot be made there\./);
      await expect(new FolderVault(nowhere).set('a', 'b')).rejects.toThrow(/Could not store the secret a/);
    });
  },
);
