// `doctor` against real servers: all is well, and one thing after the other is not.
import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { BlobServiceClient, StorageSharedKeyCredential } from '@azure/storage-blob';
import type { CheckResult } from '../../shared/doctor/check.ts';
import { startAzurite, type Azurite } from '../backends/azurite.ts';
import { canBuildFerretDb } from '../backends/ferretdb.ts';
import { startKeyVault, type KeyVault } from '../backends/key-vault.ts';
import { selfSignedCertificate } from '../backends/support.ts';
import { startRefusingMongo } from '../backends/refusing-mongo.ts';
import { describeIf } from '../support/needs.ts';
import { fill, run, startBench, type Bench, type Ran } from './bench.ts';

interface Result {
  checks: CheckResult[];
  encryption: { cipher: string; keys: { timestamp: string; recipients: { kind: string; algorithm: string }[] }[] };
  role?: unknown;
}

function resultOf({ finish }: Ran): Result {
  return finish.result as Result;
}

function check(ran: Ran, name: string): CheckResult | undefined {
  return resultOf(ran).checks.find((one) => one.name === name);
}

describeIf(await canBuildFerretDb(), 'needs Go 1.24 to build FerretDB')('doctor', () => {
  let bench: Bench;
  beforeAll(async () => {
    bench = await startBench();
    await fill(bench.client, 'shop');
  });
  afterAll(() => bench.stop());

  test('finds everything well after a backup, and names the ciphers', async () => {
    const place = bench.place();
    expect((await run('mongodb-backup', place.inputs)).outcome).toBe('succeeded');
    const ran = await run('doctor', place.inputs);
    const statuses = Object.fromEntries(resultOf(ran).checks.map(({ name, status }) => [name, status]));
    expect(statuses).toMatchObject({
      'mongodb-connection': 'ok',
      'mongodb-login': 'ok',
      'mongodb-permissions': 'ok',
      tools: 'ok',
      'store-access': 'ok',
      clock: 'ok',
      'vault-access': 'ok',
      'key-access': 'ok',
      encryption: 'ok',
      freshness: 'ok',
      'azure-sign-in': 'skipped',
      // No cluster is named: one that a login happens to reach is not looked at.
      'cluster-access': 'skipped',
    });
    expect(ran.outputs['failed']).toBe('0');
    expect(resultOf(ran).encryption).toMatchObject({
      cipher: 'AES-256-GCM',
      keys: [{ recipients: [{ kind: 'folder', algorithm: 'A256KW' }] }],
    });
    expect(place.keys()).toHaveLength(1);
    expect(await place.listed()).toMatchObject({ leftovers: 0 });
  });

  test('tells a server that is away from a login that is wrong', async () => {
    const place = bench.place();
    const away = await run('doctor', { ...place.inputs, mongodbUri: 'mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=200' });
    expect([away.outcome, away.exitCode]).toEqual(['failed', 1]);
    expect(check(away, 'mongodb-connection')).toMatchObject({ status: 'failed', fix: expect.stringContaining('Check host and port') });
    expect(check(away, 'mongodb-login')?.status).toBe('skipped');

    const wrong = await run('doctor', { ...place.inputs, mongodbUri: bench.mongo.uri.replace(/:[^:@]+@/, ':wrong-password@') });
    expect(check(wrong, 'mongodb-connection')?.status).toBe('ok');
    expect(check(wrong, 'mongodb-login')).toMatchObject({ status: 'failed', seen: expect.stringContaining('user or password is wrong') });
    expect(JSON.stringify([wrong.finish, wrong.log, wrong.summary])).not.toContain('wrong-password');
  });

  test('finds a login that may not read or list, and hands out the roles', async () => {
    const place = bench.place();
    const guarded = await startRefusingMongo(bench.mongo.uri);
    try {
      for (const [command, seen] of [
        ['find', /^The login may not read /],
        ['listCollections', /^The login may not list what is there: .*not authorized/],
      ] as const) {
        guarded.forbidden.clear();
        guarded.forbidden.add(command);
        const ran = await run('doctor', { ...place.inputs, mongodbUri: guarded.uri, only: 'mongodb-connection,mongodb-permissions' });
        expect(ran.exitCode).toBe(1);
        expect(check(ran, 'mongodb-connection')?.status).toBe('ok');
        expect(check(ran, 'mongodb-permissions')).toMatchObject({
          status: 'failed',
          seen: expect.stringMatching(seen),
          fix: expect.stringMatching(/^Give it the roles, in mongosh: db\.getSiblingDB\(.*\)\.grantRolesToUser\(/),
        });
      }
      // The backup itself says the same, with what to do.
      const backedUp = await run('mongodb-backup', { ...place.inputs, mongodbUri: guarded.uri });
      expect([backedUp.outcome, backedUp.said]).toEqual(['failed', expect.stringMatching(/not allowed to do this.*\n.*role "backup"/)]);
    } finally {
      await guarded.stop();
    }
  });

  test('finds a key that is gone, and does not stop at what cannot even be opened', async () => {
    const place = bench.place();
    await run('mongodb-backup', place.inputs);
    const elsewhere = await run('doctor', { ...place.inputs, vault: join(bench.root, 'other-keys') });
    expect(check(elsewhere, 'key-access')).toMatchObject({ status: 'failed', fix: expect.any(String) });
    const none = await run('doctor', Object.fromEntries(Object.entries(place.inputs).filter(([name]) => name !== 'vault')));
    expect(check(none, 'vault-access')?.status).toBe('skipped');
    expect(check(none, 'key-recipients')).toMatchObject({ status: 'failed', seen: expect.stringContaining('no key recipient is set') });
    expect(check(none, 'store-access')?.status).toBe('ok');
  });

  test('tries an escrow key that has only its public half here', async () => {
    const place = bench.place();
    const { publicKey } = generateKeyPairSync('rsa', {
      modulusLength: 3072,
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    });
    const file = join(bench.root, 'escrow-public.pem');
    writeFileSync(file, publicKey);
    const given = { ...place.inputs, recipients: `vault,escrow:${file}`, only: 'key-recipients,key-access' };
    expect(check(await run('doctor', given), 'key-recipients')).toMatchObject({ status: 'ok', seen: expect.stringContaining('escrow') });
    await run('mongodb-backup', { ...place.inputs, recipients: given.recipients });
    expect(check(await run('doctor', given), 'key-access')).toMatchObject({ status: 'ok', seen: expect.stringContaining(place.vault) });
    writeFileSync(file, 'no key');
    expect(check(await run('doctor', given), 'key-recipients')?.status).toBe('failed');
  });

  test('takes a variable of dr.yml that is not set for a finding, and goes on', async () => {
    const place = bench.place();
    const config = join(place.store, '..', 'dr.yml');
    const lines = [
      'version: 1',
      'name: shop',
      `stores: { near: { kind: folder, path: ${place.store} } }`,
      `vault: { kind: folder, path: ${place.vault} }`,
      'components: { mongodb: { kind: mongodb, source: { uri: "${env:DOCTOR_TEST_URI}" }, schedule: "17 2 * * *" } }',
    ];
    writeFileSync(config, lines.join('\n'));
    const ran = await run('doctor', { config });
    expect(check(ran, 'mongodb-connection')).toMatchObject({ status: 'failed', seen: expect.stringContaining('DOCTOR_TEST_URI') });
    expect([check(ran, 'store-access')?.status, check(ran, 'schedule')?.status]).toEqual(['ok', 'ok']);
    process.env['DOCTOR_TEST_URI'] = bench.mongo.uri;
    try {
      expect(check(await run('doctor', { config }), 'mongodb-permissions')?.status).toBe('ok');
    } finally {
      delete process.env['DOCTOR_TEST_URI'];
    }
  });

  test('runs the checks that were asked for, and knows their names', async () => {
    const place = bench.place();
    const some = await run('doctor', { ...place.inputs, only: 'store-access,clock' });
    expect([some.outcome, resultOf(some).checks.map(({ name }) => name)]).toEqual(['succeeded', ['store-access', 'clock']]);
    expect((await run('doctor', { ...place.inputs, only: 'weather' })).exitCode).toBe(2);
  });

  test('with nothing to check says so, instead of blaming keys', async () => {
    const ran = await run('doctor', {});
    expect([ran.exitCode, ran.finish.error?.message]).toEqual([2, expect.stringMatching(/^There is no dr\.yml here.*nothing to check/)]);
  });

  describe('in Azure', () => {
    let azurite: Azurite;
    let vault: KeyVault;
    let guarded: KeyVault;
    let store: string;
    beforeAll(async () => {
      const certificate = await selfSignedCertificate(bench.root);
      const blobs = join(bench.root, 'blobs');
      mkdirSync(blobs);
      [azurite, vault, guarded] = await Promise.all([
        startAzurite({ folder: blobs, certificate }),
        startKeyVault({ certificate }),
        startKeyVault({ certificate, purgeProtection: true }),
      ]);
      store = await azurite.createContainer('backups');
    });
    afterAll(async () => {
      await Promise.all([azurite.stop(), vault.stop(), guarded.stop()]);
    });

    function inputs(from: KeyVault, roles?: string[]): Record<string, string> {
      const app = from.issuer.registerApp();
      if (roles) from.access.assign(app.clientId, roles);
      return {
        store,
        vault: from.url,
        name: 'shop',
        only: 'store-access,clock,vault-access,azure-sign-in,oidc-claims',
        azureTenantId: from.tenantId,
        azureClientId: app.clientId,
        azureClientSecret: app.clientSecret,
        azureAuthority: from.issuer.authorityHost,
      };
    }

    async function blobs(): Promise<string[]> {
      const client = new BlobServiceClient(azurite.accountUrl, new StorageSharedKeyCredential(azurite.accountName, azurite.accountKey));
      const names: string[] = [];
      for await (const { name } of client.getContainerClient('backups').listBlobsFlat()) names.push(name);
      return names;
    }

    /** Names in the vault, the softly deleted ones too. */
    async function secrets(from: KeyVault): Promise<string[]> {
      const { SecretClient } = await import('@azure/keyvault-secrets');
      const client = new SecretClient(from.url, await from.issuer.credential(), { disableChallengeResourceVerification: true });
      const names: string[] = [];
      for await (const { name } of client.listPropertiesOfSecrets()) names.push(name);
      for await (const { name } of client.listDeletedSecrets()) names.push(`deleted ${name}`);
      return names;
    }

    test('finds all rights there, shows the claims of the token, and leaves nothing behind', async () => {
      const claims = {
        iss: 'https://token.actions.example',
        sub: 'repo:shop/infra:ref:refs/heads/main',
        aud: 'api://AzureADTokenExchange',
      };
      const token = `x.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.y`;
      const given = inputs(vault);
      const ran = await run('doctor', given, { oidcToken: async () => token });
      expect([ran.outcome, ran.said]).toEqual(['succeeded', '']);
      expect(check(ran, 'azure-sign-in')?.seen).toContain(given['azureClientId']);
      expect(check(ran, 'oidc-claims')).toMatchObject({
        seen: expect.stringContaining('subject repo:shop/infra:ref:refs/heads/main'),
        fix: expect.stringContaining(`federated-credential create --id ${given['azureClientId'] ?? ''}`),
      });
      expect([await blobs(), await secrets(vault)]).toEqual([[], []]);
    });

    test('says what is kept where purge protection keeps it, and works again after that', async () => {
      for (let times = 0; times < 2; times += 1) {
        const ran = await run('doctor', { ...inputs(guarded), only: 'vault-access' });
        expect(check(ran, 'vault-access')).toMatchObject({ status: 'ok', seen: expect.stringContaining('purge protection') });
      }
      expect(await secrets(guarded)).toEqual(['deleted lifeboat-doctor-probe']);
    });

    test('hands out the command that gives the missing right, and the smallest role', async () => {
      const ran = await run('doctor', { ...inputs(vault, ['Key Vault Secrets User']), only: 'vault-access' });
      expect([ran.outcome, ran.exitCode]).toEqual(['failed', 1]);
      expect(check(ran, 'vault-access')?.fix).toMatch(
        /\naz role assignment create --assignee\S* \S+ .*--role "Key Vault Secrets Officer" --scope /,
      );
      expect(resultOf(ran).role).toMatchObject({ Name: 'Lifeboat backup' });
      expect(ran.summary).toContain('az role assignment create');
    });

    test('does the same for the store', async () => {
      const given = inputs(vault);
      const [address, storeSas] = azurite.sasUrl('backups', 'rl').split('?') as [string, string];
      const ran = await run('doctor', { ...given, store: address, storeSas, only: 'store-access,clock' });
      expect(check(ran, 'store-access')).toMatchObject({ status: 'failed', seen: expect.stringContaining('A probe could not be written') });
      expect(check(ran, 'clock')?.status).toBe('skipped');
    });
  });
});
