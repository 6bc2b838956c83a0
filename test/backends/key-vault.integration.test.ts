import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { generateKeyPairSync } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TokenCredential } from '@azure/identity';
import { BlobServiceClient } from '@azure/storage-blob';
import { CryptographyClient, KeyClient } from '@azure/keyvault-keys';
import { SecretClient } from '@azure/keyvault-secrets';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { describeWithReference } from '../support/needs.ts';
import { startAzurite } from './azurite.ts';
import { startKeyVault, type KeyVault, type KeyVaultOptions } from './key-vault.ts';
import { KEY_VAULT_SPECIFICATION, OpenApiCheck } from './key-vault/openapi.ts';

const started: KeyVault[] = [];

async function start(options: KeyVaultOptions = {}): Promise<KeyVault> {
  const vault = await startKeyVault(options);
  started.push(vault);
  return vault;
}

afterAll(async () => {
  for (const vault of started) await vault.stop();
});

function clientOptions(vault: KeyVault) {
  return { disableChallengeResourceVerification: true, tlsOptions: { ca: vault.ca }, retryOptions: { maxRetries: 0 } };
}

async function secrets(vault: KeyVault, credential?: TokenCredential): Promise<SecretClient> {
  return new SecretClient(vault.url, credential ?? (await vault.issuer.credential()), clientOptions(vault));
}

/** What the service said: status, code and inner code. */
async function refusal(
  work: Promise<unknown>,
): Promise<{ status: number | undefined; code: string | undefined; inner: string | undefined; message: string }> {
  try {
    await work;
  } catch (thrown) {
    const error = thrown as Error & { statusCode?: number; code?: string; details?: { error?: { innerError?: { code?: string } } } };
    return { status: error.statusCode, code: error.code, inner: error.details?.error?.innerError?.code, message: error.message };
  }
  throw new Error('nothing was refused');
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

describe('secrets through the real SDK', () => {
  let vault: KeyVault;
  let client: SecretClient;
  beforeAll(async () => {
    vault = await start();
    client = await secrets(vault);
  });

  test('a set secret has versions, and the latest is given without a version', async () => {
    const first = await client.setSecret('versions', 'one');
    const second = await client.setSecret('versions', 'two', { contentType: 'text/plain', tags: { a: 'b' } });
    expect((await client.getSecret('versions')).value).toBe('two');
    expect((await client.getSecret('VERSIONS', { version: first.properties.version ?? '' })).value).toBe('one');
    const listed = await collect(client.listPropertiesOfSecretVersions('versions'));
    expect(listed.map(({ version }) => version).sort()).toEqual([first.properties.version, second.properties.version].sort());
  });

  test('lists come in pages of 25', async () => {
    for (let index = 0; index < 30; index += 1) await client.setSecret(`page-${index}`, 'x');
    const before = vault.seen.length;
    const names = (await collect(client.listPropertiesOfSecrets())).map(({ name }) => name);
    expect(names.filter((name) => name.startsWith('page-'))).toHaveLength(30);
    expect(vault.seen.slice(before).map(({ operation }) => operation)).toEqual(['secrets/list', 'secrets/list']);
  });

  test('25,600 bytes fit and one more does not', async () => {
    expect((await client.setSecret('large', 'ä'.repeat(12_800))).value).toHaveLength(12_800);
    expect(await refusal(client.setSecret('large', 'x'.repeat(25_601)))).toMatchObject({ status: 400, code: 'BadParameter' });
  });

  test('names, tags and content types have limits', async () => {
    expect(await refusal(client.setSecret('under_score', 'x'))).toMatchObject({ status: 400, code: 'BadParameter' });
    const tags = Object.fromEntries(Array.from({ length: 16 }, (_, index) => [`t${index}`, '']));
    expect(await refusal(client.setSecret('tags', 'x', { tags }))).toMatchObject({ status: 400 });
    expect(await refusal(client.setSecret('tags', 'x', { tags: { t: 'x'.repeat(513) } }))).toMatchObject({ status: 400 });
    expect(await refusal(client.setSecret('tags', 'x', { contentType: 'x'.repeat(256) }))).toMatchObject({ status: 400 });
  });

  test('a disabled secret is refused, an expired one is still readable', async () => {
    const { properties } = await client.setSecret('states', 'x', { expiresOn: new Date(Date.now() - 1000) });
    expect((await client.getSecret('states')).value).toBe('x');
    await client.updateSecretProperties('states', properties.version ?? '', { enabled: false });
    expect(await refusal(client.getSecret('states'))).toMatchObject({ status: 403, inner: 'SecretDisabled' });
  });

  test('a deleted secret blocks its name until it is recovered or purged', async () => {
    await client.setSecret('gone', 'x');
    await (await client.beginDeleteSecret('gone')).pollUntilDone();
    expect(await refusal(client.getSecret('gone'))).toMatchObject({ status: 404, code: 'SecretNotFound' });
    expect(await refusal(client.setSecret('gone', 'y'))).toMatchObject({ status: 409, inner: 'ObjectIsDeletedButRecoverable' });
    expect((await collect(client.listDeletedSecrets())).map(({ name }) => name)).toEqual(['gone']);
    await (await client.beginRecoverDeletedSecret('gone')).pollUntilDone();
    expect((await client.getSecret('gone')).value).toBe('x');
    await (await client.beginDeleteSecret('gone')).pollUntilDone();
    await client.purgeDeletedSecret('gone');
    expect((await client.setSecret('gone', 'z')).value).toBe('z');
  });
});

describe('slow deletes and recoveries', () => {
  test('the states in between refuse with their own codes, and reading works before writing does', async () => {
    let now = Date.now();
    const vault = await start({ deleteDelayMs: 1000, recoverDelayMs: 1000, settleDelayMs: 1000, now: () => now });
    const client = await secrets(vault);
    await client.setSecret('slow', 'x');
    await client.beginDeleteSecret('slow');
    expect(await refusal(client.setSecret('slow', 'y'))).toMatchObject({ inner: 'ObjectIsBeingDeleted' });
    expect(await refusal(client.getDeletedSecret('slow'))).toMatchObject({ status: 404 });
    now += 1001;
    await client.beginRecoverDeletedSecret('slow');
    expect(await refusal(client.getSecret('slow'))).toMatchObject({ status: 404 });
    now += 1001;
    expect((await client.getSecret('slow')).value).toBe('x');
    expect(await refusal(client.setSecret('slow', 'y'))).toMatchObject({ inner: 'ObjectIsBeingRecovered' });
    now += 1001;
    expect((await client.setSecret('slow', 'y')).value).toBe('y');
  });

  test('what was deleted goes for good after the retention', async () => {
    let now = Date.now();
    const vault = await start({ retentionDays: 7, now: () => now });
    vault.issuer.tokenLifetime = 30 * 86_400;
    const client = await secrets(vault);
    await client.setSecret('old', 'x');
    await client.beginDeleteSecret('old');
    now += 7 * 86_400_000;
    expect(await refusal(client.getDeletedSecret('old'))).toMatchObject({ status: 404 });
  });

  test('purge protection refuses a purge', async () => {
    const vault = await start({ purgeProtection: true });
    const client = await secrets(vault);
    await client.setSecret('kept', 'x');
    await client.beginDeleteSecret('kept');
    expect(await refusal(client.purgeDeletedSecret('kept'))).toMatchObject({
      status: 403,
      message: expect.stringContaining('purge protection'),
    });
  });
});

describe('keys through the real SDK', () => {
  test('an RSA key wraps and unwraps', async () => {
    const vault = await start();
    const credential = await vault.issuer.credential();
    const key = await new KeyClient(vault.url, credential, clientOptions(vault)).createRsaKey('wrapper', { keySize: 2048 });
    const cryptography = new CryptographyClient(key.id ?? '', credential, clientOptions(vault));
    const secret = Buffer.alloc(40, 7);
    for (const algorithm of ['RSA-OAEP-256', 'RSA-OAEP'] as const) {
      const { result } = await cryptography.wrapKey(algorithm, secret);
      expect(Buffer.from((await cryptography.unwrapKey(algorithm, result)).result)).toEqual(secret);
      result[5] = (result[5] ?? 0) ^ 1;
      expect(await refusal(cryptography.unwrapKey(algorithm, result))).toMatchObject({ status: 400, code: 'BadParameter' });
    }
  });

  test('an imported key is the same key, and never shows its private half', async () => {
    const vault = await start();
    const keys = new KeyClient(vault.url, await vault.issuer.credential(), clientOptions(vault));
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const jwk = privateKey.export({ format: 'jwk' });
    const bytes = Object.fromEntries(
      Object.entries(jwk).map(([name, text]) => [name, name === 'kty' ? text : Buffer.from(String(text), 'base64url')]),
    );
    const imported = await keys.importKey('mine', bytes);
    expect(Buffer.from(imported.key?.n ?? []).toString('base64url')).toBe(jwk.n);
    expect(imported.key?.d).toBeUndefined();
  });
});

describe('tokens', () => {
  let vault: KeyVault;
  beforeAll(async () => {
    vault = await start();
  });

  /** A credential that hands out whatever token it is told to. */
  const fixed = (token: string): TokenCredential => ({ getToken: async () => ({ token, expiresOnTimestamp: Date.now() + 3_600_000 }) });
  const claims = () => {
    const now = Math.floor(Date.now() / 1000);
    return { aud: 'https://vault.azure.net', iss: vault.issuer.issuer, nbf: now - 5, exp: now + 60, sub: 'someone' };
  };

  test.each([
    ['for another resource', () => ({ ...claims(), aud: 'https://storage.azure.com' }), /AKV10022/],
    ['of an issuer that is not trusted', () => ({ ...claims(), iss: 'https://sts.windows.net/other/' }), /AKV10032/],
    ['that has expired', () => ({ ...claims(), exp: Math.floor(Date.now() / 1000) - 1 }), /expired/],
    ['that is not valid yet', () => ({ ...claims(), nbf: Math.floor(Date.now() / 1000) + 60 }), /nbf/],
  ])('a token %s is refused', async (_what, make, message) => {
    const client = await secrets(vault, fixed(await vault.issuer.sign(make())));
    expect(await refusal(client.getSecret('x'))).toMatchObject({ status: 401, message: expect.stringMatching(message) });
  });

  test('a token signed by somebody else is refused', async () => {
    const { privateKey } = await generateKeyPair('RS256');
    const client = await secrets(vault, fixed(await vault.issuer.sign(claims(), privateKey)));
    expect(await refusal(client.getSecret('x'))).toMatchObject({ status: 401, message: expect.stringContaining('AKV10046') });
  });

  test('a wrong client secret gets no token', async () => {
    const app = vault.issuer.registerApp();
    const client = await secrets(vault, await vault.issuer.credential({ ...app, clientSecret: 'wrong' }));
    expect((await refusal(client.getSecret('x'))).message).toContain('AADSTS7000215');
  });

  test('a revoked token makes the client sign in again', async () => {
    const client = await secrets(vault);
    await client.setSecret('revoked', 'x');
    const before = vault.issuer.issued;
    vault.faults.add({ operation: 'secrets/get', effect: { kind: 'revoked' } });
    expect((await client.getSecret('revoked')).value).toBe('x');
    expect(vault.issuer.issued).toBe(before + 1);
  });

  test('tokens of a further issuer are taken when it is trusted', async () => {
    const { privateKey, publicKey } = await generateKeyPair('RS256');
    const { server, url } = await serveJwks(await exportJWK(publicKey));
    try {
      const trusting = await start({ trust: [{ issuer: 'https://realm.example/tenant', jwksUri: `${url}/jwks` }] });
      const token = await new SignJWT({ ...claims(), iss: 'https://realm.example/tenant' })
        .setProtectedHeader({ alg: 'RS256', kid: 'k' })
        .sign(privateKey);
      const client = await secrets(trusting, fixed(token));
      expect((await client.setSecret('foreign', 'x')).value).toBe('x');
    } finally {
      server.close();
    }
  });
});

async function serveJwks(jwk: object): Promise<{ server: Server; url: string }> {
  const server: Server = createServer((request, response) => {
    const { port } = server.address() as AddressInfo;
    const body = request.url?.endsWith('/jwks')
      ? { keys: [{ ...jwk, kid: 'k', alg: 'RS256' }] }
      : { jwks_uri: `http://127.0.0.1:${port}/jwks` };
    response.end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

describe('federated assertions', () => {
  test('only the registered issuer, subject and audience get a token, and only while the assertion lives', async () => {
    const { privateKey, publicKey } = await generateKeyPair('RS256');
    const { server, url: issuer } = await serveJwks(await exportJWK(publicKey));
    try {
      const vault = await start();
      const subject = 'repo:octo/shop:ref:refs/heads/main';
      const app = vault.issuer.registerApp({ federated: [{ issuer, subject }] });
      const attempt = async (
        change: { sub?: string; aud?: string; iss?: string; exp?: number } = {},
        key = privateKey,
      ): Promise<string | undefined> => {
        const seconds = Math.floor(Date.now() / 1000);
        const payload = { iss: issuer, sub: subject, aud: 'api://AzureADTokenExchange', iat: seconds, exp: seconds + 60, ...change };
        const assertion = await new SignJWT(payload).setProtectedHeader({ alg: 'RS256', kid: 'k' }).sign(key);
        const credential = await vault.issuer.assertionCredential(app, async () => assertion);
        return (await secrets(vault, credential)).setSecret('federated', 'x').then(
          ({ value }) => value,
          (thrown: unknown) => (thrown as Error).message,
        );
      };
      expect(await attempt()).toBe('x');
      expect(await attempt({ sub: 'repo:octo/fork:ref:refs/heads/main' })).toContain('AADSTS700213');
      expect(await attempt({ aud: 'https://example.org' })).toContain('AADSTS700212');
      expect(await attempt({ iss: 'https://elsewhere.example' })).toContain('AADSTS700211');
      expect(await attempt({ exp: Math.floor(Date.now() / 1000) - 10 })).toContain('AADSTS700024');
      expect(await attempt({}, (await generateKeyPair('RS256')).privateKey)).toContain('AADSTS700027');
    } finally {
      server.close();
    }
  });
});

describe('permissions', () => {
  test.each([
    ['rbac', 'ForbiddenByRbac', /Caller is not authorized to perform action on resource/],
    ['access-policy', 'ForbiddenByPolicy', /does not have secrets set permission on key vault/],
  ] as const)('with %s, a principal does only what its roles allow', async (permissionModel, inner, message) => {
    const vault = await start({ permissionModel });
    await (await secrets(vault)).setSecret('shared', 'x');
    const app = vault.issuer.registerApp();
    vault.access.assign(app.clientId, ['Key Vault Secrets User']);
    const client = await secrets(vault, await vault.issuer.credential(app));
    expect((await client.getSecret('shared')).value).toBe('x');
    expect(await refusal(client.setSecret('shared', 'y'))).toMatchObject({ status: 403, inner, message: expect.stringMatching(message) });
  });
});

test('one sign-in serves the vault and Azurite', async () => {
  const azurite = await startAzurite();
  const vault = await start({ certificate: azurite.certificate });
  try {
    const credential = await vault.issuer.credential();
    await azurite.createContainer('backups');
    const blobs = new BlobServiceClient(azurite.accountUrl, credential).getContainerClient('backups');
    await blobs.getBlockBlobClient('x').upload('y', 1);
    expect((await blobs.getBlockBlobClient('x').getProperties()).contentLength).toBe(1);
    expect((await (await secrets(vault, credential)).setSecret('both', 'x')).value).toBe('x');
  } finally {
    await azurite.stop();
  }
});

test('a vault with a folder keeps its contents over a restart', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'lifeboat-key-vault-'));
  try {
    const first = await startKeyVault({ folder });
    await (await secrets(first)).setSecret('kept', 'x');
    await first.stop();
    const second = await start({ folder });
    expect((await (await secrets(second)).getSecret('kept')).value).toBe('x');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

describeWithReference(KEY_VAULT_SPECIFICATION)("Microsoft's OpenAPI description of Key Vault", () => {
  test('every request and answer of a tour through secrets and keys is valid by it', async () => {
    const check = await OpenApiCheck.create();
    const vault = await start({ onExchange: check.record });
    const credential = await vault.issuer.credential();
    const client = await secrets(vault, credential);
    const { properties } = await client.setSecret('tour', 'x', {
      tags: { a: 'b' },
      contentType: 'text/plain',
      expiresOn: new Date(Date.now() + 60_000),
    });
    await client.setSecret('second', 'y');
    await client.getSecret('tour');
    await client.getSecret('tour', { version: properties.version ?? '' });
    await client.updateSecretProperties('tour', properties.version ?? '', { tags: { c: 'd' } });
    await collect(client.listPropertiesOfSecrets());
    await collect(client.listPropertiesOfSecretVersions('tour'));
    await (await client.beginDeleteSecret('tour')).pollUntilDone();
    await refusal(client.setSecret('tour', 'z'));
    await collect(client.listDeletedSecrets());
    await (await client.beginRecoverDeletedSecret('tour')).pollUntilDone();
    await client.beginDeleteSecret('second');
    await client.purgeDeletedSecret('second');
    vault.faults.add({ effect: { kind: 'throttle', retryAfter: 1 } });
    await refusal(client.getSecret('tour'));

    const keys = new KeyClient(vault.url, credential, clientOptions(vault));
    const key = await keys.createRsaKey('tour', { keySize: 2048, keyOps: ['wrapKey', 'unwrapKey'] });
    const cryptography = new CryptographyClient(key.id ?? '', credential, clientOptions(vault));
    const { result } = await cryptography.wrapKey('RSA-OAEP-256', Buffer.alloc(32));
    await cryptography.unwrapKey('RSA-OAEP-256', result);
    await keys.updateKeyProperties('tour', key.properties.version ?? '', { tags: { a: 'b' } });
    await collect(keys.listPropertiesOfKeys());
    await collect(keys.listPropertiesOfKeyVersions('tour'));
    await (await keys.beginDeleteKey('tour')).pollUntilDone();
    await collect(keys.listDeletedKeys());
    await (await keys.beginRecoverDeletedKey('tour')).pollUntilDone();
    await (await keys.beginDeleteKey('tour')).pollUntilDone();
    await keys.purgeDeletedKey('tour');

    const operations = new Set(check.exchanges.map(({ operation }) => operation));
    expect(operations.size).toBeGreaterThanOrEqual(20);
    expect(await check.problems()).toEqual([]);
  });

  test('the check notices a wrong answer', async () => {
    const check = await OpenApiCheck.create();
    const vault = await start({ onExchange: check.record });
    await (await secrets(vault)).setSecret('x', 'y');
    for (const exchange of check.exchanges)
      if (exchange.status === 200) exchange.responseBody = { ...(exchange.responseBody as object), id: 5 };
    expect((await check.problems()).join()).toContain('INVALID_TYPE');
  });
});
