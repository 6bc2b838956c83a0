import { afterAll, describe, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { openRecipients, openVault, parseRecipient, vaultConfig } from '../../shared/vaults/open.ts';
import { failureOf } from './conformance.ts';

const folder = mkdtempSync(join(tmpdir(), 'lifeboat-open-'));
const credential = () => ({ getToken: async () => null });

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe('opening a vault', () => {
  test('an address says what kind it is', () => {
    expect(vaultConfig('https://kv-dr-prod.vault.azure.net/')).toEqual({
      kind: 'azure-key-vault',
      url: 'https://kv-dr-prod.vault.azure.net/',
    });
    expect(vaultConfig('/mnt/keys')).toEqual({ kind: 'folder', path: '/mnt/keys' });
    expect(vaultConfig('C:\\keys')).toEqual({ kind: 'folder', path: 'C:\\keys' });
    expect(vaultConfig(pathToFileURL(folder).href)).toEqual({ kind: 'folder', path: folder });
    expect(() => vaultConfig('s3://keys')).toThrow(/s3 addresses are not known/);
    expect(() => vaultConfig('file://nas/keys')).toThrow(/not the address of a folder on this machine/);
  });

  test('a location opens the same vault again', async () => {
    const key = await openVault('https://KV-dr-prod.vault.azure.net/', { credential });
    expect([key.kind, key.location]).toEqual(['azure-key-vault', 'https://kv-dr-prod.vault.azure.net']);
    const kept = await openVault({ kind: 'folder', path: 'keys' }, { baseFolder: folder });
    await kept.set('x', 'y');
    expect((await (await openVault(kept.location)).get('x'))?.value).toBe('y');
  });

  test('a Key Vault without an identity says how to sign in', async () => {
    expect((await failureOf(openVault('https://kv.vault.azure.net'))).fix).toContain('Sign in');
  });
});

describe('opening recipients', () => {
  test('without any, the vault at hand keeps a key per backup', async () => {
    const kinds = async (vault: string): Promise<string[]> => {
      const opened = await openRecipients([], { vault: await openVault(vault, { credential }), credential });
      return opened.map(({ kind }) => kind);
    };
    expect(await kinds(folder)).toEqual(['folder']);
    expect(await kinds('https://kv.vault.azure.net')).toEqual(['key-vault-secret']);
  });

  test('a key is named with its vault, or by its address', async () => {
    const vault = await openVault('https://kv.vault.azure.net', { credential });
    const [named, addressed] = await openRecipients(
      [
        { kind: 'key-vault-key', key: 'backups' },
        { kind: 'key-vault-key', key: 'https://other.vault.azure.net/keys/backups/0123456789abcdef0123456789abcdef' },
      ],
      { vault, credential },
    );
    expect(named?.location).toBe('https://kv.vault.azure.net/keys/backups');
    expect(addressed?.location).toBe('https://other.vault.azure.net/keys/backups');
    expect((await failureOf(openRecipients([{ kind: 'key-vault-key', key: 'backups' }], { credential }))).message).toContain(
      'no Key Vault is set',
    );
  });

  test('a recipient that does not fit the vault says what is missing', async () => {
    expect((await failureOf(openRecipients([{ kind: 'key-vault-secret' }], { vault: await openVault(folder) }))).message).toContain(folder);
    expect((await failureOf(openRecipients([{ kind: 'folder' }]))).message).toContain('no vault is set');
    expect((await failureOf(openRecipients([{ kind: 'escrow' }]))).message).toContain('needs a key');
  });

  test('an input names recipients', () => {
    expect(parseRecipient('vault')).toEqual({ kind: 'vault' });
    expect(parseRecipient('escrow:keys/public.pem')).toEqual({ kind: 'escrow', publicKey: 'keys/public.pem' });
    expect(parseRecipient('key-vault-key:https://kv.vault.azure.net/keys/b')).toEqual({
      kind: 'key-vault-key',
      key: 'https://kv.vault.azure.net/keys/b',
    });
    for (const text of ['', 'key-vault-key', 'vault:x', 'pgp:x']) expect(() => parseRecipient(text)).toThrow(/is not a key recipient/);
  });
});
