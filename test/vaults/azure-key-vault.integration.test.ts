import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { webcrypto } from 'node:crypto';
import { SecretClient } from '@azure/keyvault-secrets';
import { KeyClient } from '@azure/keyvault-keys';
import type { TokenCredential } from '@azure/identity';
import { CancelledError } from '../../shared/step/errors.ts';
import { AzureKeyVault } from '../../shared/vaults/azure-key-vault/index.ts';
import { VaultError } from '../../shared/vaults/errors.ts';
import { openRecipients, openVault } from '../../shared/vaults/open.ts';
import { SecretRecipient } from '../../shared/vaults/recipients/secret.ts';
import { VaultKeyRecipient } from '../../shared/vaults/recipients/vault-key.ts';
import { startKeyVault, type KeyVault, type KeyVaultOptions } from '../backends/key-vault.ts';
import { HurriedClock } from './clocks.ts';
import { describeVault, failureOf } from './conformance.ts';
import { describeRecipient } from './recipient-conformance.ts';

const DELAYS: KeyVaultOptions = { deleteDelayMs: 60, recoverDelayMs: 60, settleDelayMs: 60 };

async function access(server: KeyVault, clock = new HurriedClock(), credential?: TokenCredential) {
  return { credential: credential ?? (await server.issuer.credential()), tlsOptions: { ca: server.ca }, clock };
}

describeVault('azure-key-vault', async () => {
  const server = await startKeyVault(DELAYS);
  return {
    open: async () => openVault(server.url, { ...(await access(server)), credential: () => server.issuer.credential() }),
    softDelete: true,
    stop: () => server.stop(),
  };
});

describeRecipient('key-vault-secret', { perBackup: true, asksVault: true, recoverable: true }, async () => {
  const server = await startKeyVault(DELAYS);
  const other = await startKeyVault();
  const open = async (from: KeyVault) => new SecretRecipient(new AzureKeyVault(from.url, await access(from)));
  const client = new SecretClient(server.url, await server.issuer.credential(), {
    disableChallengeResourceVerification: true,
    tlsOptions: { ca: server.ca },
  });
  const nameOf = (keyId: string): string => new URL(keyId).pathname.split('/')[2] ?? '';
  return {
    recipient: await open(server),
    reopen: () => open(server),
    stranger: await open(other),
    loseKey: async ({ keyId }) => {
      await (await client.beginDeleteSecret(nameOf(keyId), { intervalInMs: 20 })).pollUntilDone();
    },
    bringBack: async ({ keyId }) => {
      await (await client.beginRecoverDeletedSecret(nameOf(keyId), { intervalInMs: 20 })).pollUntilDone();
    },
    stop: async () => {
      await server.stop();
      await other.stop();
    },
  };
});

describeRecipient('key-vault-key', { perBackup: false, asksVault: true, recoverable: true }, async () => {
  const server = await startKeyVault(DELAYS);
  const options = await access(server);
  const keys = new KeyClient(server.url, options.credential, { disableChallengeResourceVerification: true, tlsOptions: { ca: server.ca } });
  await keys.createRsaKey('backups', { keySize: 2048 });
  await keys.createRsaKey('others', { keySize: 2048 });
  const open = async () => new VaultKeyRecipient(`${server.url}/keys/backups`, await access(server));
  return {
    recipient: await open(),
    reopen: open,
    stranger: new VaultKeyRecipient(`${server.url}/keys/others`, options),
    loseKey: async () => {
      await (await keys.beginDeleteKey('backups', { intervalInMs: 20 })).pollUntilDone();
    },
    bringBack: async () => {
      await (await keys.beginRecoverDeletedKey('backups', { intervalInMs: 20 })).pollUntilDone();
    },
    stop: () => server.stop(),
  };
});

describe('a Key Vault on a bad day', () => {
  let server: KeyVault;
  let clock: HurriedClock;
  let vault: AzureKeyVault;
  beforeAll(async () => {
    server = await startKeyVault();
  });
  beforeEach(async () => {
    server.faults.clear();
    server.seen.length = 0;
    clock = new HurriedClock(1000);
    vault = new AzureKeyVault(server.url, await access(server, clock));
  });
  afterAll(async () => {
    await server.stop();
  });

  /** How many versions the vault has of a name. */
  async function versionsOf(name: string): Promise<number> {
    const client = new SecretClient(server.url, await server.issuer.credential(), {
      disableChallengeResourceVerification: true,
      tlsOptions: { ca: server.ca },
    });
    let count = 0;
    for await (const _ of client.listPropertiesOfSecretVersions(name)) count += _.version === undefined ? 0 : 1;
    return count;
  }

  test('waits as long as a throttling vault asks, then goes on', async () => {
    server.faults.add({ operation: 'secrets/set', times: 2, effect: { kind: 'throttle', retryAfter: 7 } });
    await vault.set('throttled', 'x');
    expect(clock.naps).toEqual([7000, 7000]);
    expect(await versionsOf('throttled')).toBe(1);
  });

  test('gives up on a vault that throttles for ever, within its patience', async () => {
    server.faults.add({ operation: 'secrets/get', times: Infinity, effect: { kind: 'throttle', retryAfter: 30 } });
    const error = await failureOf(vault.get('x'));
    expect(error).toBeInstanceOf(VaultError);
    expect(error.message).toMatch(/throttles requests and asks to wait 30 s; gave up after \d attempts/);
    expect(clock.naps.reduce((sum, nap) => sum + nap, 0)).toBeLessThanOrEqual(120_000);
  });

  test('does not wait an hour because a vault asks for it', async () => {
    server.faults.add({ operation: 'secrets/get', effect: { kind: 'throttle', retryAfter: 3600 } });
    expect((await failureOf(vault.get('x'))).message).toContain('asks to wait 3600 s; gave up after 1 attempt');
    expect(clock.naps).toEqual([]);
  });

  test.each([500, 502, 503, 504] as const)('tries again after %i, and gives up in the end', async (status) => {
    server.faults.add({ operation: 'secrets/set', times: 3, effect: { kind: 'unavailable', status } });
    await vault.set(`down-${status}`, 'x');
    expect(await versionsOf(`down-${status}`)).toBe(1);
    server.faults.add({ operation: 'secrets/get', times: Infinity, effect: { kind: 'unavailable', status } });
    const error = await failureOf(vault.get('x'));
    expect(error.message).toMatch(new RegExp(`it answered ${status}; gave up after \\d+ attempts`));
    expect(error.fix).toContain('status.azure.com');
  });

  test('a connection cut before the write, after it, or in the middle of the answer leaves one version', async () => {
    for (const kind of ['cut', 'answerLost', 'cutAnswer'] as const) {
      server.faults.add({ operation: 'secrets/set', effect: { kind } });
      const { version } = await vault.set(`lost-${kind}`, 'x', { tags: { a: 'b' } });
      expect((await vault.get(`lost-${kind}`))?.version).toBe(version);
      expect(await versionsOf(`lost-${kind}`)).toBe(1);
    }
  });

  test('half an answer to a read is asked for again', async () => {
    await vault.set('halved', 'x');
    server.faults.add({ operation: 'secrets/get', effect: { kind: 'cutAnswer' } });
    expect((await vault.get('halved'))?.value).toBe('x');
  });

  test('a lost answer to a delete still counts as deleted', async () => {
    await vault.set('lost-delete', 'x');
    server.faults.add({ operation: 'secrets/delete', effect: { kind: 'answerLost' } });
    expect(await vault.delete('lost-delete')).toBe(true);
  });

  test('a list that breaks in the middle is whole or fails', async () => {
    for (let index = 0; index < 30; index += 1) await vault.set(`many-${index}`, 'x');
    server.seen.length = 0;
    server.faults.add({ operation: 'secrets/list', effect: { kind: 'delay', ms: 1 } });
    server.faults.add({ operation: 'secrets/list', effect: { kind: 'cut' } });
    const names = new Set<string>();
    for await (const { name } of vault.list()) names.add(name);
    expect([...names].filter((name) => name.startsWith('many-'))).toHaveLength(30);
  });

  test('a token that expires midway is replaced', async () => {
    server.issuer.tokenLifetime = 2;
    try {
      const brief = new AzureKeyVault(server.url, await access(server));
      await brief.set('expiring', 'x');
      await new Promise((resolve) => setTimeout(resolve, 2100));
      expect((await brief.get('expiring'))?.value).toBe('x');
    } finally {
      server.issuer.tokenLifetime = 3600;
    }
  });

  test('cancelling ends the wait for a throttling vault', async () => {
    const controller = new AbortController();
    server.faults.add({ operation: 'secrets/set', times: Infinity, effect: { kind: 'throttle', retryAfter: 60 } });
    setTimeout(() => {
      controller.abort();
    }, 100);
    const options = { ...(await access(server)), patience: 3_600_000 };
    await expect(new AzureKeyVault(server.url, options).set('x', 'y', { signal: controller.signal })).rejects.toThrow(CancelledError);
  });

  test('a read-back that fails puts the key away, and wrap does not succeed', async () => {
    const recipient = new SecretRecipient(vault);
    server.faults.add({ operation: 'secrets/get', times: 1, effect: { kind: 'firewall' } });
    await expect(recipient.wrap(Buffer.alloc(40), { component: 'orphan', timestamp: '20241201_120000' })).rejects.toThrow(/firewall/);
    expect(await vault.get('lifeboat-orphan-20241201-120000')).toBeUndefined();
  });

  test('a lost answer while wrapping leaves one key, and it opens the backup', async () => {
    const recipient = new SecretRecipient(vault);
    server.faults.add({ operation: 'secrets/set', effect: { kind: 'answerLost' } });
    const context = { component: 'wrapped', timestamp: '20241201_120000' };
    const wrapped = await recipient.wrap(Buffer.alloc(40, 9), context);
    expect(await versionsOf('lifeboat-wrapped-20241201-120000')).toBe(1);
    expect(Buffer.from(await recipient.unwrap(wrapped, context))).toEqual(Buffer.alloc(40, 9));
  });
});

describe('what a Key Vault refuses', () => {
  test('no permission: names identity, role and the access policy', async () => {
    const server = await startKeyVault();
    try {
      const app = server.issuer.registerApp();
      server.access.assign(app.clientId, ['Key Vault Reader']);
      const options = await access(server, new HurriedClock(), await server.issuer.credential(app));
      const error = await failureOf(new AzureKeyVault(server.url, options).set('x', 'planted-value'));
      expect(error.message).toBe(`Could not store the secret x in ${server.url}: the identity ${app.clientId} may not do that.`);
      expect(error.fix).toContain('Key Vault Secrets Officer');
      expect(error.fix).toContain('--secret-permissions get list set delete recover');
      expect(JSON.stringify(error)).not.toContain('planted-value');
      const [recipient] = await openRecipients([{ kind: 'key-vault-key', key: `${server.url}/keys/none` }], {
        ...options,
        credential: () => options.credential,
      });
      expect(
        (await failureOf(recipient?.wrap(Buffer.alloc(40), { component: 'c', timestamp: 't' }) ?? Promise.resolve())).message,
      ).toContain('There is no key');
    } finally {
      await server.stop();
    }
  });

  test('its firewall: names the address', async () => {
    const server = await startKeyVault();
    try {
      server.faults.add({ effect: { kind: 'firewall' } });
      const error = await failureOf(new AzureKeyVault(server.url, await access(server)).get('x'));
      expect(error.message).toContain('firewall refuses this machine (203.0.113.7)');
      expect(error.fix).toContain('az keyvault network-rule add');
    } finally {
      await server.stop();
    }
  });

  test('nobody there, an unknown host, an untrusted certificate, a failed sign-in: each says so', async () => {
    const server = await startKeyVault();
    const options = await access(server);
    const reading = async (url: string, change: object = {}): Promise<Error & { fix?: string }> =>
      failureOf(new AzureKeyVault(url, { ...options, ...change, clock: new HurriedClock() }).get('x'));
    try {
      expect((await reading('https://localhost:1')).message).toContain('ECONNREFUSED');
      expect((await reading('https://no-such-vault.invalid')).message).toContain('there is no host no-such-vault.invalid');
      const untrusted = await reading(server.url, { tlsOptions: undefined });
      expect(untrusted.message).toContain('certificate is not trusted');
      expect(untrusted.fix).toContain('NODE_EXTRA_CA_CERTS');
      const app = server.issuer.registerApp();
      const wrong = await server.issuer.credential({ ...app, clientSecret: 'planted-secret' });
      const failed = await reading(server.url, { credential: wrong });
      expect(failed.message).toContain('AADSTS7000215');
      expect(failed.message).not.toContain('planted-secret');
    } finally {
      await server.stop();
    }
  });

  test.each(['http://kv.vault.azure.net', 'https://kv.vault.azure.net/secrets', 'https://user@kv.vault.azure.net', 'kv'])(
    '%s is not the address of a vault',
    (url) => {
      const credential = { getToken: async () => null };
      expect(() => new AzureKeyVault(url, { credential })).toThrow(/not the address of a Key Vault/);
    },
  );
});

describe('a key in a Key Vault', () => {
  test('that is expired still opens its backups, and wraps no new ones', async () => {
    const server = await startKeyVault();
    try {
      const options = await access(server);
      const keys = new KeyClient(server.url, options.credential, {
        disableChallengeResourceVerification: true,
        tlsOptions: { ca: server.ca },
      });
      const { properties } = await keys.createRsaKey('backups', { keySize: 2048 });
      const recipient = new VaultKeyRecipient(`${server.url}/keys/backups`, options);
      const context = { component: 'mongodb', timestamp: '20241201_120000' };
      const wrapped = await recipient.wrap(Buffer.alloc(40, 5), context);
      await keys.updateKeyProperties('backups', properties.version ?? '', { expiresOn: new Date(Date.now() - 1000) });
      expect(Buffer.from(await recipient.unwrap(wrapped, context))).toEqual(Buffer.alloc(40, 5));
      expect((await failureOf(recipient.wrap(Buffer.alloc(40), context))).message).toContain('expired');
      await keys.createRsaKey('backups', { keySize: 2048 });
      const renewed = await recipient.wrap(Buffer.alloc(40, 6), context);
      expect(renewed.keyId).not.toBe(wrapped.keyId);
      expect(Buffer.from(await recipient.unwrap(wrapped, context))).toEqual(Buffer.alloc(40, 5));
      await keys.createRsaKey('signing', { keySize: 2048, keyOps: ['sign', 'verify'] });
      const signing = new VaultKeyRecipient(`${server.url}/keys/signing`, options);
      expect((await failureOf(signing.wrap(Buffer.alloc(40), context))).message).toContain('does not allow wrapKey and unwrapKey');
    } finally {
      await server.stop();
    }
  });
});

test('a wrapped key opens with the secret and plain AES key wrap, without this project', async () => {
  const server = await startKeyVault();
  try {
    const vault = new AzureKeyVault(server.url, await access(server));
    const key = Buffer.alloc(40, 3);
    const wrapped = await new SecretRecipient(vault).wrap(key, { component: 'mongodb', timestamp: '20241201_120000' });
    expect(wrapped.keyId).toMatch(new RegExp(`^${server.url}/secrets/lifeboat-mongodb-20241201-120000/[0-9a-f]{32}$`));
    const secret = await vault.get('lifeboat-mongodb-20241201-120000');
    const kek = await webcrypto.subtle.importKey('raw', Buffer.from(secret?.value ?? '', 'base64'), 'AES-KW', false, ['unwrapKey']);
    const hmac = { name: 'HMAC', hash: 'SHA-256' };
    const opened = await webcrypto.subtle.unwrapKey('raw', Buffer.from(wrapped.encryptedKey, 'base64'), kek, 'AES-KW', hmac, true, [
      'sign',
    ]);
    expect(Buffer.from(await webcrypto.subtle.exportKey('raw', opened))).toEqual(key);
  } finally {
    await server.stop();
  }
});
