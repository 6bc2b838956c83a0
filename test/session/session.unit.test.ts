// One session per run: whatever a step does, dr.yml is read once, the sign-in is made once, and each store is opened once.
import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { MemoryHost } from '../../shared/hosts/memory.ts';
import { Session, drSource } from '../../shared/session/session.ts';
import { runStep } from '../../shared/step/run.ts';
import { steps } from '../../shared/steps/index.ts';

const folder = mkdtempSync(join(tmpdir(), 'lifeboat-session-'));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

const component = (name: string, more = ''): string =>
  `  ${name}: { kind: mongodb, source: { uri: "\${env:NO_MONGODB}" }, store: primary, copies: [offsite], retention: { last: 2 }${more} }\n`;

function drFile(): string {
  for (const name of ['store', 'keys']) mkdirSync(join(folder, name), { recursive: true, mode: 0o700 });
  const file = join(folder, 'dr.yml');
  writeFileSync(
    file,
    `version: 1\nname: shop\nstores: { primary: { kind: folder, path: ./store }, offsite: { kind: azure-blob, account: stdr, container: backups, endpoint: "http://127.0.0.1:1" } }\n` +
      `vault: { kind: folder, path: ./keys }\ncomponents:\n${component('orders')}${component('chat')}${component('wiki', ', schedule: "17 2 * * *"')}`,
  );
  return file;
}

/** Nothing listens there; the driver gives up at once. */
const NO_MONGODB = 'mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=200';

/** What a step needs besides dr.yml to get as far as it can. */
const INPUTS: Record<string, string> = { outcome: 'failed', reason: 'a test', confirm: 'shop', timeout: '5s', publish: 'false' };

/** No one answers there: opening needs a sign-in, and what is asked fails at once. */
const AZURE = {
  azureClientId: 'id',
  azureTenantId: 'tenant',
  azureClientSecret: 'a client secret',
  azureAuthority: 'https://127.0.0.1:1',
  storePatience: '0s',
};

/** Steps that reach for the copies in Azure. */
const SIGN_IN = new Set(['mongodb-restore', 'apply-retention', 'status', 'copy-backups']);

describe('with a dr.yml of three components', () => {
  test.each(steps.map((step) => [step.name, step] as const))(
    '%s reads it once, signs in at most once, and opens each store once',
    async (name, step) => {
      const file = drFile();
      const about = step.inputs['component'] === undefined || step.componentKind === undefined ? {} : { component: 'orders' };
      const old = step.inputs['file'] === undefined ? {} : { file: oldDump() };
      const given = Object.fromEntries(Object.entries(INPUTS).filter(([input]) => input in step.inputs));
      const host = new MemoryHost({ inputs: { config: file, ...about, ...old, ...given, ...AZURE } });
      const finish = await runStep(step, host, { openConfig: drSource({ env: { NO_MONGODB } }) });
      const lines = host.log.map((line) => line.replace(/^debug: /, ''));
      expect(lines.filter((line) => line.includes(`Reading ${file}`))).toHaveLength(1);
      const opened = lines.filter((line) => line.includes('Opened the store '));
      expect(opened).toEqual([...new Set(opened)]);
      expect(lines.filter((line) => line.includes('Preparing the sign-in'))).toHaveLength(SIGN_IN.has(name) ? 1 : 0);
      // A file that is refused would let every step pass.
      expect(finish.error?.message ?? '').not.toMatch(/dr\.yml:\d/);
    },
  );
});

function oldDump(): string {
  const file = join(folder, 'mongodb_20241201_120000.archive');
  writeFileSync(file, 'no dump');
  return file;
}

describe('the session', () => {
  const azure = { kind: 'azure-blob', account: 'stdr', container: 'backups', endpoint: 'https://stdr.blob.core.windows.net' } as const;
  const inputs = { azureClientId: 'id', azureTenantId: 'tenant', azureClientSecret: 'a client secret' };

  test('signs in once for two stores and a vault', async () => {
    const host = new MemoryHost();
    const session = new Session((name) => inputs[name as 'azureClientId'], host);
    const [one, other] = await Promise.all([session.store(azure), session.store({ ...azure, container: 'copies' })]);
    await session.vault('https://kv-dr.vault.azure.net');
    expect(one).not.toBe(other);
    expect(host.log.filter((line) => line.includes('Preparing the sign-in'))).toHaveLength(1);
    expect(host.masked).toContain('a client secret');
  });

  test('has one object for a store, in whatever way it is written', async () => {
    const session = new Session(() => undefined, new MemoryHost());
    const store = await session.store({ kind: 'folder', path: join(folder, 'store') });
    expect(await session.store({ kind: 'folder', path: `${folder}/./store/` })).toBe(store);
    expect(await session.vault(join(folder, 'keys'))).toBe(await session.vault(join(folder, 'keys')));
  });

  test('tries again what failed', async () => {
    const session = new Session(() => undefined, new MemoryHost());
    await expect(session.store(azure).then(async (store) => store.stat('x'))).rejects.toThrow();
    const late = new Session((name) => inputs[name as 'azureClientId'], new MemoryHost());
    expect((await late.store(azure)).location).toContain('stdr');
  });
});

test('nothing else opens stores and vaults, signs in or loads dr.yml for a step', () => {
  const files = globSync('shared/steps/**/*.ts');
  expect(files.length).toBeGreaterThan(30);
  const calls = /(?<!function )\b(?:openStore|openVault|azureCredential|loadDr|parseDr)\(/;
  expect(files.filter((file) => calls.test(readFileSync(file, 'utf8')))).toEqual([]);
});
