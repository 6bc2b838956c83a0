import { afterAll, describe, expect, test } from '@jest/globals';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FolderVault } from '../../shared/vaults/folder/index.ts';
import { SecretRecipient } from '../../shared/vaults/recipients/secret.ts';
import { describeVault, failureOf } from './conformance.ts';
import { describeRecipient } from './recipient-conformance.ts';

const scratch = mkdtempSync(join(tmpdir(), 'lifeboat-folder-vault-'));
let count = 0;
function fresh(): string {
  count += 1;
  return join(scratch, `vault-${count}`);
}

afterAll(() => {
  rmSync(scratch, { recursive: true, force: true });
});

describeVault('folder', async () => {
  const folder = fresh();
  return { open: async () => new FolderVault(folder), softDelete: false, stop: async () => undefined };
});

describeRecipient('folder', { perBackup: true, asksVault: true, recoverable: false }, async () => {
  const folder = fresh();
  const vault = new FolderVault(folder);
  return {
    recipient: new SecretRecipient(vault),
    reopen: async () => new SecretRecipient(new FolderVault(folder)),
    stranger: new SecretRecipient(new FolderVault(fresh())),
    loseKey: async ({ keyId }) => {
      await vault.delete(keyId.split('/')[0] ?? '');
    },
    bringBack: async () => undefined,
    stop: async () => undefined,
  };
});

describe('a folder vault on disk', () => {
  test('its folders are 0700 and its files 0600, and no temporary file is left', async () => {
    const folder = fresh();
    await new FolderVault(folder).set('modes', 'x');
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    const files = readdirSync(join(folder, 'modes'));
    expect(files).toHaveLength(1);
    expect(statSync(join(folder, 'modes', files[0] ?? '')).mode & 0o777).toBe(0o600);
  });

  test('a folder that others can read is refused with the command that closes it', async () => {
    const folder = fresh();
    mkdirSync(folder);
    chmodSync(folder, 0o755);
    const vault = new FolderVault(folder);
    for (const work of [() => vault.set('x', 'y'), () => vault.get('x'), () => vault.delete('x')]) {
      const error = await failureOf(work());
      expect(error.message).toContain('can be read by other users');
      expect(error.fix).toContain(`chmod 700 ${folder}`);
    }
    expect(readdirSync(folder)).toEqual([]);
  });

  test('a file that others can read is refused, too', async () => {
    const folder = fresh();
    const vault = new FolderVault(folder);
    const { version } = await vault.set('x', 'y');
    chmodSync(join(folder, 'x', `${version}.json`), 0o644);
    expect((await failureOf(vault.get('x'))).fix).toContain('chmod 600');
  });

  test('a damaged file is named without showing what is in it', async () => {
    const folder = fresh();
    const vault = new FolderVault(folder);
    const { version } = await vault.set('broken', 'planted-secret');
    const file = join(folder, 'broken', `${version}.json`);
    writeFileSync(file, readFileSync(file, 'utf8').slice(0, -10));
    const error = await failureOf(vault.get('broken'));
    expect(error.message).toContain('broken');
    expect(`${error.message}${String(error.cause)}`).not.toContain('planted');
  });

  test('what a killed writer left behind is not a version', async () => {
    const folder = fresh();
    const vault = new FolderVault(folder);
    await vault.set('whole', 'x');
    writeFileSync(join(folder, 'whole', '.new-0011'), '{"value":"half');
    expect((await vault.get('whole'))?.value).toBe('x');
  });

  test('a path that is a file is an error that names it', async () => {
    const folder = fresh();
    writeFileSync(folder, '', { mode: 0o600 });
    expect((await failureOf(new FolderVault(folder).set('x', 'y'))).message).toContain(folder);
  });
});

test('a key that got a newer version by hand is not deleted: both versions would go', async () => {
  const vault = new FolderVault(fresh());
  const recipient = new SecretRecipient(vault);
  const wrapped = await recipient.wrap(Buffer.alloc(40, 1), { component: 'mongodb', timestamp: '20241201_120000' });
  await vault.set('lifeboat-mongodb-20241201-120000', 'changed by somebody');
  await expect(recipient.forget(wrapped)).rejects.toThrow(/newer version/);
  expect(await vault.get('lifeboat-mongodb-20241201-120000')).toBeDefined();
});
