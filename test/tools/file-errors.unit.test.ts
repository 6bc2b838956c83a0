// File errors are told in words, whatever the operating system calls them.
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { FolderStore } from '../../shared/stores/folder/index.ts';
import { fileReason } from '../../shared/tools/file-errors.ts';
import { FolderVault } from '../../shared/vaults/folder/index.ts';

const root = mkdtempSync(join(tmpdir(), 'lifeboat-file-errors-'));
afterAll(() => {
  rmSync(root, { recursive: true });
});

test('links that lead round in a circle, in a store and in a vault', async () => {
  const circle = join(root, 'circle');
  symlinkSync(circle, circle);
  const says = /its symbolic links lead round in a circle, or there are too many of them\.$/;
  await expect(new FolderStore(join(circle, 'store')).write('a', Buffer.from('x'))).rejects.toThrow(says);
  await expect(new FolderStore(circle).list('')[Symbol.asyncIterator]().next()).rejects.toThrow(says);
  await expect(new FolderVault(join(circle, 'vault')).set('a', 'b')).rejects.toThrow(says);
});

test.each(['ENOSPC', 'EROFS', 'ENOTCONN', 'EUCLEAN', 'ETIMEDOUT', 'EBUSY'])('%s has a reason and a fix', (code) => {
  const { reason, fix } = fileReason(Object.assign(new Error('x'), { code })) ?? {};
  expect(reason).not.toContain(code);
  expect(fix).toMatch(/^[A-Z].*\.$/);
});

test('a code without an explanation has the words of the system', () => {
  expect(fileReason(Object.assign(new Error('x'), { code: 'EPROTO' }))?.reason).toBe('protocol error (EPROTO)');
  expect(fileReason(new Error('x'))).toBeUndefined();
});
