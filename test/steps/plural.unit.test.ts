// Three components in two stores, and no component named: every step works on all of them, or says which there are.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { pointName } from '../../shared/backup/layout.ts';
import { writeBackup } from '../../shared/backup/write.ts';
import { writePoint } from '../../shared/catalog/points.ts';
import { FolderStore } from '../../shared/stores/folder/index.ts';
import { FolderVault } from '../../shared/vaults/folder/index.ts';
import { SecretRecipient } from '../../shared/vaults/recipients/secret.ts';
import { countingInspector, inPieces, TIME } from '../backup/support.ts';
import { run, type Ran } from './bench.ts';

const HOMES = { shop: 'primary', chat: 'primary', wiki: 'second' } as const;
type Component = keyof typeof HOMES;

let root: string;
const at = (folder: string): string => join(root, folder);
/** A step with dr.yml and whatever else is given. */
const step = (name: string, inputs: Record<string, string> = {}): Promise<Ran> => run(name, { config: at('dr.yml'), ...inputs });

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'lifeboat-plural-'));
  const components = Object.entries(HOMES).map(
    ([name, store]) =>
      `  ${name}: { kind: mongodb, source: { uri: "mongodb://127.0.0.1:1" }, store: ${store}, copies: [offsite], schedule: "17 2 * * *" }`,
  );
  const stores = ['primary', 'second', 'offsite'].map((name) => `  ${name}: { kind: folder, path: ${at(name)} }`);
  writeFileSync(
    at('dr.yml'),
    [
      'version: 1',
      'name: prod',
      'stores:',
      ...stores,
      `vault: { kind: folder, path: ${at('vault')} }`,
      'components:',
      ...components,
      '',
    ].join('\n'),
  );
  for (const component of Object.keys(HOMES) as Component[]) await backUp(component);
});

afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

async function backUp(component: Component): Promise<void> {
  await writeBackup({
    ...{ store: new FolderStore(at(HOMES[component])), prefix: 'prod', component, timestamp: TIME, kind: 'mongodb', owner: 'a test' },
    ...{ recipients: [new SecretRecipient(new FolderVault(at('vault')))], source: inPieces(Buffer.from(`content of ${component}`)) },
    ...{ newInspector: () => countingInspector(), facts: { source: {}, consistency: 'point-in-time' }, tools: {} },
  });
}

async function point(): Promise<void> {
  const components = Object.entries(HOMES).map(([component, store]) => ({
    component,
    kind: 'mongodb',
    outcome: 'succeeded' as const,
    store: at(store),
  }));
  for (const store of ['primary', 'second'])
    await writePoint(new FolderStore(at(store)), 'prod', {
      timestamp: TIME,
      name: 'prod',
      created: new Date(),
      complete: true,
      run: { id: '1' },
      components,
    });
}

test('list-backups and audit look into every store', async () => {
  const listed = await step('list-backups');
  expect(listed.outputs).toMatchObject({ count: '3' });
  expect(JSON.parse(listed.outputs['backups'] ?? '[]')).toEqual(
    expect.arrayContaining(
      Object.entries(HOMES).map(([component, store]) => expect.objectContaining({ component, store: at(store), state: 'verified' })),
    ),
  );
  expect((await step('audit')).exitCode).toBe(0);
});

test('backup-validation reads all of them, and a recovery point must be whole', async () => {
  await point();
  const stored = { depth: 'stored', timestamp: TIME };
  const whole = await step('backup-validation', stored);
  expect([whole.said, whole.outputs['checked']]).toEqual(['', '3']);
  expect((await step('backup-validation', { depth: 'stored' })).outputs['checked']).toBe('3');

  rmSync(at(`second/prod/wiki/${TIME}`), { recursive: true });
  const missing = await step('backup-validation', stored);
  expect(missing.exitCode).toBe(4);
  expect(missing.said).toContain(`The recovery point ${TIME} names a backup of wiki in ${at('second')}, which does not have it.`);
});

test.each(['null', '{}', ''])('a recovery point of %j is damaged', async (text) => {
  await point();
  writeFileSync(at(`primary/${pointName('prod', TIME)}`), text);
  const { exitCode, said } = await step('backup-validation', { depth: 'stored', timestamp: TIME });
  expect([exitCode, said]).toEqual([
    4,
    expect.stringContaining(`The recovery point ${pointName('prod', TIME)} in ${at('primary')} is damaged`),
  ]);
});

test('copy-backups copies all of them; a copy that was found damaged is made anew and counts again', async () => {
  expect((await step('copy-backups', { days: '0' })).outputs).toMatchObject({ copied: '3', failed: '0' });
  expect((await step('copy-backups', { days: '0' })).outputs).toMatchObject({ copied: '0' });
  const data = at(`offsite/prod/chat/${TIME}/data`);
  const bytes = Buffer.alloc(100);
  writeFileSync(data, bytes, { flag: 'r+' });
  const offsite = { store: 'offsite', component: 'chat' };
  expect((await step('backup-validation', { ...offsite, depth: 'stored' })).exitCode).toBe(4);
  const state = async (): Promise<unknown> =>
    (JSON.parse((await step('list-backups', offsite)).outputs['backups'] ?? '[]') as { state: string }[])[0]?.state;
  expect(await state()).toBe('damaged');
  expect((await step('copy-backups', { days: '0' })).outputs).toMatchObject({ copied: '1', failed: '0' });
  expect(await state()).toBe('verified');
});

test('copying from what is not there is no success, and makes nothing', async () => {
  const far = { store: at('primary'), copies: at('far'), name: 'prod', days: '0' };
  const tried = [
    { ...far, component: 'shopp' },
    { ...far, name: 'prodd' },
    { ...far, store: at('nowhere') },
  ];
  const ended = await Promise.all(tried.map((inputs) => run('copy-backups', inputs)));
  expect(ended.map(({ exitCode, said }) => [exitCode, said])).toEqual([
    [2, expect.stringContaining('Did you mean shop?')],
    [2, expect.stringContaining('Did you mean prod?')],
    [1, expect.stringContaining('nowhere')],
  ]);
  expect([existsSync(at('far')), existsSync(at('nowhere'))]).toEqual([false, false]);
  const all = await run('copy-backups', far);
  expect(all.outputs).toMatchObject({ copied: '2' });
});

test('doctor checks each of them, and says once what is the same', async () => {
  const { outputs } = await step('doctor', { only: 'store-access,vault-access' });
  const names = (JSON.parse(outputs['checks'] ?? '[]') as { name: string }[]).map(({ name }) => name).sort();
  expect(names).toEqual(['chat: store-access', 'shop: store-access', 'vault-access', 'wiki: store-access']);
});

test.each(['mongodb-backup', 'mongodb-restore', 'backup-integrity-check', 'hold-backup'])(
  '%s asks which one, and lists them',
  async (name) => {
    const { exitCode, said } = await step(name, { reason: 'a test', confirm: 'prod', mongodbUri: 'mongodb://127.0.0.1:1' });
    expect(exitCode).toBe(2);
    expect(said).toMatch(/shop, chat(,| or) wiki|shop, chat, wiki/);
  },
);

test('a usage error is no failed backup', async () => {
  const { exitCode } = await step('mongodb-backup', {
    component: 'shop',
    mongodbUri: 'mongodb://127.0.0.1:1',
    recipients: 'key-vault-key:nonsense',
  });
  expect(exitCode).toBe(2);
  expect(existsSync(at('primary/prod/runs'))).toBe(false);
});
