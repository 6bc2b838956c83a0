// Azure says no: store and vault unreachable, missing, forbidden, or the sign-in fails. Each with its sentence, its fix and nothing left behind.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startAzurite, type Azurite } from '../backends/azurite.ts';
import { canBuildFerretDb } from '../backends/ferretdb.ts';
import { startKeyVault, type KeyVault } from '../backends/key-vault.ts';
import { freePort, selfSignedCertificate } from '../backends/support.ts';
import { describeIf } from '../support/needs.ts';
import { fill, run, startBench, type Bench, type Ran } from './bench.ts';

describeIf(await canBuildFerretDb(), 'needs Go 1.24 to build FerretDB')('in Azure', () => {
  let bench: Bench;
  let azurite: Azurite;
  let vault: KeyVault;
  let inputs: Record<string, string>;
  let containers = 0;
  beforeAll(async () => {
    bench = await startBench();
    const certificate = await selfSignedCertificate(bench.root);
    const blobs = join(bench.root, 'blobs');
    mkdirSync(blobs);
    [azurite, vault] = await Promise.all([startAzurite({ folder: blobs, certificate }), startKeyVault({ certificate })]);
    await fill(bench.client, 'shop');
  });
  afterAll(async () => {
    await Promise.all([azurite.stop(), vault.stop()]);
    await bench.stop();
  });

  /** A fresh container and a fresh identity that may do everything. */
  async function prepare(): Promise<{ clientId: string }> {
    const app = vault.issuer.registerApp();
    inputs = {
      store: await azurite.createContainer(`case-${(containers += 1)}`),
      vault: vault.url,
      name: 'shop',
      component: 'mongodb',
      mongodbUri: bench.mongo.uri,
      engine: 'driver',
      include: 'shop',
      azureTenantId: vault.tenantId,
      azureClientId: app.clientId,
      azureClientSecret: app.clientSecret,
      azureAuthority: vault.issuer.authorityHost,
    };
    return app;
  }
  const backUp = (more: Record<string, string> = {}): Promise<Ran> => run('mongodb-backup', { ...inputs, ...more });
  const restore = (more: Record<string, string> = {}): Promise<Ran> =>
    run('mongodb-restore', { ...inputs, confirm: 'shop', dryRun: 'true', replace: 'true', ...more });
  async function listed(): Promise<unknown> {
    const ofBackup = new Set(['mongodbUri', 'engine', 'include', 'vault']);
    const reading = Object.fromEntries(Object.entries(inputs).filter(([name]) => !ofBackup.has(name)));
    const { count, leftovers } = (await run('list-backups', reading)).finish.result as { count: number; leftovers: number };
    return { count, leftovers };
  }

  describe('the store', () => {
    test('that is not there is named', async () => {
      const { azureTenantId, azureClientId, azureClientSecret, azureAuthority } = (await prepare(), inputs);
      const port = await freePort();
      const { outcome, exitCode, said } = await run('list-backups', {
        ...({ azureTenantId, azureClientId, azureClientSecret, azureAuthority } as Record<string, string>),
        store: `https://127.0.0.1:${port}/devstore1/backups`,
      });
      expect([outcome, exitCode]).toEqual(['failed', 1]);
      expect(said).toMatch(
        new RegExp(`127\\.0\\.0\\.1:${port} cannot be reached \\(ECONNREFUSED\\)\\.\\nCheck the network, the proxy and the firewall`),
      );
    });

    test('without the container says how to create it', async () => {
      await prepare();
      const { outcome, exitCode, said } = await backUp({ store: `${azurite.accountUrl}/nobody-made-me` });
      expect([outcome, exitCode]).toEqual(['failed', 1]);
      expect(said).toMatch(
        /storage account devstore1 has no container "nobody-made-me"\.\nCreate it: az storage container create --account-name devstore1/,
      );
    });

    test('that permits only reading says which permissions a SAS needs', async () => {
      await prepare();
      const [store, storeSas] = azurite.sasUrl(`case-${containers}`, 'rl').split('?') as [string, string];
      const { outcome, exitCode, said } = await backUp({ store, storeSas });
      expect([outcome, exitCode]).toEqual(['failed', 1]);
      expect(said).toMatch(/the SAS does not permit this on container case-\d+\.\nMake one for the container with the permissions racwdl/);
      expect(said).not.toContain(new URLSearchParams(storeSas).get('sig') ?? 'no signature');
      expect(await listed()).toEqual({ count: 0, leftovers: 0 });
    });
  });

  describe('the vault', () => {
    test('that is not there stops the backup before anything is stored', async () => {
      await prepare();
      const { outcome, exitCode, said } = await backUp({ vault: 'https://kv-that-is-not-there.invalid' });
      expect([outcome, exitCode]).toEqual(['failed', 1]);
      expect(said).toMatch(
        /^Could not read the secret lifeboat-mongodb-\S+ in https:\/\/kv-that-is-not-there\.invalid: there is no host kv-that-is-not-there\.invalid\.\nCheck the vault's name/,
      );
      expect(await listed()).toEqual({ count: 0, leftovers: 0 });
    });

    test('that does not permit it names identity and role', async () => {
      const { clientId } = await prepare();
      vault.access.assign(clientId, ['Key Vault Secrets User']);
      const { outcome, exitCode, said } = await backUp();
      expect([outcome, exitCode]).toEqual(['failed', 1]);
      expect(said).toMatch(new RegExp(`the identity ${clientId} may not do that\\.\\nGive it the role "Key Vault Secrets Officer"`));
      expect(await listed()).toEqual({ count: 0, leftovers: 0 });
    });

    async function secretClient() {
      const { SecretClient } = await import('@azure/keyvault-secrets');
      return new SecretClient(vault.url, await vault.issuer.credential(), { disableChallengeResourceVerification: true });
    }

    /** Which key is a backup's is told by what is new: two backups of one second do not share a name. */
    async function secretNames(client: Awaited<ReturnType<typeof secretClient>>): Promise<string[]> {
      const names: string[] = [];
      for await (const { name } of client.listPropertiesOfSecrets()) names.push(name);
      return names;
    }

    test('that has the key soft-deleted says how to recover it; once recovered, the restore goes on', async () => {
      await prepare();
      const client = await secretClient();
      const before = await secretNames(client);
      const made = await backUp();
      expect(made.said).toBe('');
      const [name = ''] = (await secretNames(client)).filter((one) => !before.includes(one));
      await (await client.beginDeleteSecret(name)).pollUntilDone();
      const { outcome, exitCode, said } = await restore();
      expect([outcome, exitCode]).toEqual(['failed', 1]);
      expect(said).toMatch(
        new RegExp(
          `^The key of backup mongodb \\S+ was deleted from .* \\(secret ${name}\\), but can be recovered until .*\\.\\nRun: az keyvault secret recover .*${name}`,
        ),
      );
      await (await client.beginRecoverDeletedSecret(name)).pollUntilDone();
      expect((await restore()).outcome).toBe('succeeded');
    });

    test('that lost the key for good sends to another recipient', async () => {
      await prepare();
      const client = await secretClient();
      const before = await secretNames(client);
      await backUp();
      const [name = ''] = (await secretNames(client)).filter((one) => !before.includes(one));
      await (await client.beginDeleteSecret(name)).pollUntilDone();
      await client.purgeDeletedSecret(name);
      const { exitCode, said } = await restore();
      expect(exitCode).toBe(1);
      expect(said).toMatch(
        new RegExp(`^The key of backup mongodb \\S+ is not in .*: there is no secret ${name}\\.\\nOpen the backup with another recipient`),
      );
    });
  });

  describe('the sign-in', () => {
    test('with a wrong client secret says so and does not repeat it', async () => {
      await prepare();
      const { outcome, exitCode, said, log } = await backUp({ azureClientSecret: 'not-the-client-secret' });
      expect([outcome, exitCode]).toEqual(['failed', 1]);
      expect(said).toMatch(/^Sign-in to Azure by .* failed: .*client secret of \S+ is wrong\.\nUse the value of the secret, not its id\./);
      expect(said + log.join('\n')).not.toContain('not-the-client-secret');
    });

    test('that cannot be reached is told without waiting for it again; one line says that there is no record', async () => {
      await prepare();
      const port = await freePort();
      const { outcome, exitCode, said, log } = await backUp({ azureAuthority: `https://127.0.0.1:${port}` });
      expect([outcome, exitCode]).toEqual(['failed', 1]);
      expect(said).toMatch(/^Sign-in to Azure by .* failed: the sign-in service cannot be reached\.\nCheck the network/);
      const warnings = log.filter((line) => line.startsWith('warning: '));
      expect(warnings).toEqual([
        expect.stringMatching(/^warning: The record of this run could not be written: https:.*case-\d+ does not take it\.$/),
      ]);
    });
  });
});
