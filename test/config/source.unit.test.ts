// dr.yml as a step sees it: which file, which component, which value, and what is masked.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { loadDr } from '../../shared/config/load.ts';
import { findDrFile } from '../../shared/config/source.ts';
import { drSource } from '../../shared/session/session.ts';
import { MemoryHost } from '../../shared/hosts/memory.ts';
import { defineStep } from '../../shared/step/define.ts';
import { input } from '../../shared/step/input.ts';
import { runStep } from '../../shared/step/run.ts';
import type { StoreConfig as OpensStore } from '../../shared/stores/open.ts';
import type { RecipientConfig as OpensRecipient, VaultConfig as OpensVault } from '../../shared/vaults/open.ts';

const FILE = `version: 1
name: shop-production
stores:
  primary: { kind: azure-blob, account: "\${env:ACCOUNT}", container: backups, prefix: team, sas: "\${vault:store-sas}" }
  local: { kind: folder, path: backups }
vault: { kind: azure-key-vault, url: https://kv.vault.azure.net/ }
keys:
  - kind: key-vault-secret
  - { kind: key-vault-key, key: backups }
  - { kind: escrow, publicKey: keys/escrow.pem }
components:
  orders:
    kind: mongodb
    source: { uri: "mongodb://app:\${env:PASSWORD}@db/" }
    store: primary
    include: [orders, "audit.*"]
    compression: { level: 5 }
`;
const SECOND = '  users: { kind: mongodb, source: { uri: "${env:USERS_URI}" }, store: primary }\n';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'lifeboat-config-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

function write(content: string, name = 'dr.yml'): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

interface Seen {
  [name: string]: unknown;
}

/** Runs a step that takes everything from dr.yml and tells what it got. */
async function run(
  content: string,
  inputs: Record<string, string> = {},
  env: Record<string, string> = {},
  componentKind: 'mongodb' | 'any' = 'mongodb',
) {
  const seen: Seen = {};
  const step = defineStep({
    name: 'probe',
    title: 'Probe',
    summary: 'Tells its inputs.',
    description: '',
    effects: 'reads',
    ...(componentKind === 'any' ? {} : { componentKind }),
    inputs: {
      config: input.path({ summary: 'The file.' }),
      component: input.string({ summary: 'The component.', config: '.' }),
      name: input.string({ summary: 'The name.', config: '/name' }),
      uri: input.secret({ summary: 'The address.', config: 'source.uri', required: true }),
      store: input.string({ summary: 'The store.', config: 'store' }),
      vault: input.string({ summary: 'The vault.', config: '/vault' }),
      recipients: input.list({ summary: 'The recipients.', config: '/keys' }),
      include: input.list({ summary: 'The databases.', config: 'include' }),
      level: input.integer({ summary: 'The level.', config: 'compression.level', default: '3' }),
      verify: input.choice(['full', 'none'], { summary: 'How much.', config: 'verify', default: 'full' }),
    },
    outputs: {},
    examples: [],
    run: async (context) => {
      for (const name of Object.keys(context.inputs)) seen[name] = context.inputs[name as 'level'];
      seen['uri'] = context.inputs.uri.reveal();
      seen['origins'] = [context.origin('level'), context.origin('verify'), context.origin('store')];
      return undefined;
    },
  });
  const host = new MemoryHost({ inputs: { config: write(content), ...inputs } });
  const vaultSecret = async (vault: unknown, name: string): Promise<string> => `${JSON.stringify(vault)}/${name}`;
  const finish = await runStep(step, host, { openConfig: drSource({ env, vaultSecret }) });
  return { host, finish, seen, error: finish.error?.message, fix: finish.error?.fix };
}

describe('lookups', () => {
  test('every value comes as the input would be written, references resolved, relative paths from the folder of the file', async () => {
    const { finish, seen } = await run(FILE, {}, { PASSWORD: 'pw' });
    expect(finish.error).toBeUndefined();
    expect(seen).toMatchObject({
      component: 'orders',
      name: 'shop-production',
      uri: 'mongodb://app:pw@db/',
      store: 'primary',
      vault: 'https://kv.vault.azure.net',
      recipients: ['vault', 'key-vault-key:https://kv.vault.azure.net/keys/backups', `escrow:${join(folder, 'keys/escrow.pem')}`],
      include: ['orders', 'audit.*'],
      level: 5,
      verify: 'full',
      origins: ['dr.yml', 'default', 'dr.yml'],
    });
  });

  test('an input wins over dr.yml, and what it replaces is not even resolved', async () => {
    const { seen, error } = await run(FILE, { uri: 'mongodb://other', level: '9' });
    expect(error).toBeUndefined();
    expect(seen).toMatchObject({ uri: 'mongodb://other', level: 9, origins: ['input', 'default', 'dr.yml'] });
  });

  test('the password from the environment is masked, and so is the address it became part of', async () => {
    const { host } = await run(FILE, {}, { PASSWORD: 'hunter2hunter2' });
    expect(host.masked).toEqual(expect.arrayContaining(['hunter2hunter2', 'mongodb://app:hunter2hunter2@db/']));
  });

  test('a secret of the vault is read with the address of the vault, and masked', async () => {
    const { seen, host } = await run(FILE.replace('${env:PASSWORD}', '${vault:db-password}'));
    expect(seen['uri']).toBe('mongodb://app:{"kind":"azure-key-vault","url":"https://kv.vault.azure.net"}/db-password@db/');
    expect(host.masked.some((secret) => secret.endsWith('/db-password'))).toBe(true);
  });

  test.each([
    ['not set', {}],
    ['empty', { PASSWORD: '' }],
  ])('a variable that is %s is named with its line, together with other problems', async (state, env: Record<string, string>) => {
    const { finish, error } = await run(FILE, { level: 'high' }, env);
    expect(finish.exitCode).toBe(2);
    expect(error).toBe(
      `2 problems with the inputs:\n- ${join(folder, 'dr.yml')}:14:20 components.orders.source.uri refers to \${env:PASSWORD}, ` +
        `but that environment variable is ${state}. Set PASSWORD; in a pipeline, map the secret to it with env: on the step.\n` +
        '- level is "high": expected a whole number, such as 7.',
    );
  });
});

describe('the component', () => {
  test('is named by the input where there are several', async () => {
    const { seen } = await run(FILE + SECOND, { component: 'users' }, { USERS_URI: 'mongodb://users' });
    expect(seen).toMatchObject({ component: 'users', uri: 'mongodb://users', level: 3 });
  });

  test('must be named where there are several of the kind', async () => {
    const { finish, error, fix } = await run(FILE + SECOND);
    expect(finish.exitCode).toBe(2);
    expect(error).toBe(`${join(folder, 'dr.yml')} has 2 components of kind mongodb: orders, users.`);
    expect(fix).toBe('Say which one: set component.');
  });

  test('that is not there is refused with the near spelling', async () => {
    const { error, fix } = await run(FILE, { component: 'order' });
    expect(error).toBe(`${join(folder, 'dr.yml')} has no component "order".`);
    expect(fix).toBe('Did you mean orders?');
  });

  test('named like a property of every object is not there', async () => {
    expect((await run(FILE, { component: 'constructor' })).error).toMatch(/has no component "constructor"\.$/);
  });

  test('is left open for a step about all of them: what they agree on is answered', async () => {
    const { seen } = await run(FILE + SECOND, { uri: 'mongodb://x' }, {}, 'any');
    expect(seen).toMatchObject({ store: 'primary', level: 3, name: 'shop-production' });
    expect(seen['component']).toBeUndefined();
  });

  test('a step about all of them does not need what is theirs alone', async () => {
    const { seen, error } = await run(FILE + SECOND.replace('primary', 'local'), { uri: 'mongodb://x' }, {}, 'any');
    expect(error).toBeUndefined();
    expect(seen['store']).toBeUndefined();
  });
});

describe('the file', () => {
  test('given by input wins; else dr.yml of the working folder; else none', () => {
    write(FILE);
    expect(findDrFile('other.yml', folder)).toBe('other.yml');
    expect(findDrFile('', folder)).toBe('dr.yml');
    expect(findDrFile(undefined, folder)).toBe('dr.yml');
    expect(findDrFile(undefined, join(folder, 'nowhere'))).toBeUndefined();
  });

  test('that is not there is a usage error', async () => {
    const { finish, error } = await run(FILE, { config: join(folder, 'nope.yml') });
    expect(finish.exitCode).toBe(2);
    expect(error).toBe(`${join(folder, 'nope.yml')}: there is no such file.`);
  });
});

describe('typed access', () => {
  const sources = { env: { ACCOUNT: 'stdrprod' }, vaultSecret: async () => 'sv=1&sig=x' };

  test('stores, vault and recipients have the shapes that open them', async () => {
    const config = await loadDr(write(FILE), sources);
    const primary: OpensStore = await config.store('primary');
    expect(primary).toEqual({ kind: 'azure-blob', account: 'stdrprod', container: 'backups', prefix: 'team', sas: 'sv=1&sig=x' });
    const local: OpensStore = await config.store('local');
    expect(local).toEqual({ kind: 'folder', path: join(folder, 'backups') });
    const vault: OpensVault | undefined = await config.vault();
    expect(vault).toEqual({ kind: 'azure-key-vault', url: 'https://kv.vault.azure.net' });
    const recipients: OpensRecipient[] = await config.recipients();
    expect(recipients).toEqual([
      { kind: 'key-vault-secret' },
      { kind: 'key-vault-key', key: 'https://kv.vault.azure.net/keys/backups' },
      { kind: 'escrow', publicKey: join(folder, 'keys/escrow.pem') },
    ]);
  });

  test('without keys, the vault decides who can open a backup', async () => {
    const withVault = (vault: string): string =>
      FILE.replace(/vault: \{.*\}\n/, vault)
        .replace(/keys:\n(?: {2}- .*\n)+/, '')
        .replace('${vault:store-sas}', '${env:SAS}');
    const recipients = async (vault: string) => (await loadDr(write(withVault(vault)), sources)).recipients();
    expect(await recipients('vault: { kind: azure-key-vault, url: https://kv.vault.azure.net }\n')).toEqual([{ kind: 'key-vault-secret' }]);
    expect(await recipients('vault: { kind: folder, path: keys }\n')).toEqual([{ kind: 'folder' }]);
    expect(await recipients('')).toEqual([]);
  });

  test('an unknown store is named with those there are', async () => {
    const config = await loadDr(write(FILE), sources);
    await expect(config.store('archive')).rejects.toMatchObject({ fix: 'It has: primary, local.' });
    expect(config.hasStore('archive')).toBe(false);
    expect(config.hasStore('toString')).toBe(false);
  });

  test('a vault secret that is not there is named', async () => {
    const config = await loadDr(write(FILE), { ...sources, vaultSecret: async () => undefined });
    await expect(config.store('primary')).rejects.toThrow(
      /:4:\d+ stores\.primary\.sas refers to \$\{vault:store-sas\}, but the vault has no secret "store-sas"\.$/,
    );
  });
});
