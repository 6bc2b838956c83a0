// One check per cause of the seeds' troubleshooting list, each shown failing, with its fix. Those that need a MongoDB, an Azure or a vault
// stand in test/steps/doctor.integration.test.ts.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { type Check } from '../../shared/backup/finding.ts';
import { runChecks, type CheckResult } from '../../shared/doctor/check.ts';
import { encryptionCheck, keyOverview, type KeyFacts } from '../../shared/doctor/keys.ts';
import { mongoChecks } from '../../shared/mongodb/checks.ts';
import { scheduleChecks } from '../../shared/doctor/schedule.ts';
import { signInChecks } from '../../shared/doctor/sign-in.ts';
import { storeChecks } from '../../shared/doctor/store.ts';
import { UserError } from '../../shared/step/errors.ts';
import { FolderStore } from '../../shared/stores/folder/index.ts';
import type { Store } from '../../shared/stores/store.ts';
import { systemClock } from '../../shared/tools/clock.ts';
import { MemoryStore } from '../support/memory-store.ts';

const NOW = new Date('2024-12-05T12:00:00Z');
const PATH = process.env['PATH'];
afterEach(() => {
  process.env['PATH'] = PATH;
});

async function found(checks: readonly Check[], name: string): Promise<CheckResult | undefined> {
  const options = { timeout: 5000, signal: new AbortController().signal, monotonic: () => 0 };
  const [result] = await runChecks(
    checks.filter((check) => check.name === name),
    options,
  );
  return result;
}

const GIB = 2 ** 30;
async function space(store: Store, estimate?: number): Promise<CheckResult | undefined> {
  return found(
    storeChecks({ store, prefix: 'shop', clock: systemClock, estimate: async () => estimate, grant: async () => undefined }),
    'space',
  );
}
const withSpace = (free: number): Store => Object.assign(new MemoryStore(), { space: async () => ({ total: 100 * GIB, free }) });

test('space: less than the next backup needs fails, less than a fifth is a warning', async () => {
  expect(await space(withSpace(30 * GIB), 31 * GIB)).toMatchObject({
    status: 'failed',
    seen: '30 GiB free (30 %) at memory:; the next backup is about 31 GiB before compression.',
    fix: expect.stringContaining('apply-retention --dry-run'),
  });
  expect(await space(withSpace(19 * GIB), GIB)).toMatchObject({ status: 'warning', fix: expect.stringContaining('Free space') });
  expect(await space(withSpace(20 * GIB))).toMatchObject({ status: 'ok', seen: '20 GiB free (20 %) at memory:.' });
  expect(await space(new MemoryStore())).toMatchObject({ status: 'skipped' });
});

test('space: a folder that is not there yet is judged by the disk it will lie on', async () => {
  const root = mkdtempSync(join(tmpdir(), 'lifeboat-space-'));
  try {
    expect((await space(new FolderStore(join(root, 'not', 'yet')), Number.MAX_SAFE_INTEGER))?.status).toBe('failed');
  } finally {
    rmSync(root, { recursive: true });
  }
});

test('tools: asked for by name and not there', async () => {
  process.env['PATH'] = '/nonexistent';
  const { checks } = mongoChecks({ uri: undefined, engine: 'tools' });
  expect(await found(checks, 'tools')).toMatchObject({
    status: 'failed',
    seen: 'engine is tools, but there is no mongodump, no mongorestore on PATH.',
    fix: expect.stringContaining('engine: driver'),
  });
});

test('freshness: backups that stopped', async () => {
  const store = new MemoryStore();
  const metadata = { kind: 'mongodb', storedbytes: '1', plainbytes: '1', verified: 'full', suspect: '0', durationms: '1' };
  await store.write('shop/mongodb/20241203_021700/data', Buffer.alloc(1), { metadata });
  await store.write('shop/mongodb/20241203_021700/manifest.json', Buffer.from('{}'), { metadata });
  const checks = (now: Date) => scheduleChecks({ store, prefix: 'shop', component: 'mongodb', schedule: '17 2 * * *', now });
  expect(await found(checks(NOW), 'freshness')).toMatchObject({
    status: 'failed',
    seen: 'The latest verified backup is 20241203_021700, 2 days ago; the schedule says at least every 24h 00m.',
    fix: expect.stringContaining('gh workflow enable'),
  });
  expect((await found(checks(new Date('2024-12-03T12:00:00Z')), 'freshness'))?.status).toBe('ok');
  // One that a wrong clock has dated ahead is not fresh.
  await store.write('shop/mongodb/20251203_021700/data', Buffer.alloc(1), { metadata });
  await store.write('shop/mongodb/20251203_021700/manifest.json', Buffer.from('{}'), { metadata });
  expect((await found(checks(NOW), 'freshness'))?.status).toBe('failed');
});

test('encryption: a Key Vault key that wraps for more than a quarter of a year', async () => {
  const key = (ageDays: number): KeyFacts => ({
    ...{ component: 'mongodb', timestamp: '20241201_021700', created: '2024-12-01T02:17:00Z', ageDays, cipher: 'AES-256-GCM' as const },
    recipients: [{ kind: 'key-vault-key', algorithm: 'RSA-OAEP-256', keyId: 'https://kv.vault.azure.net/keys/backup/v1' }],
  });
  const look = async (age: number) => found([encryptionCheck(async () => [key(age), key(0)])], 'encryption');
  expect((await look(90))?.status).toBe('ok');
  expect(await look(91)).toMatchObject({
    status: 'warning',
    seen: expect.stringContaining('has been in use for 91 days'),
    fix: expect.stringContaining('az keyvault key rotate --id https://kv.vault.azure.net/keys/backup.'),
  });
});

test('the key overview takes the age from the manifest: an imported dump is named after a moment years ago', async () => {
  const store = new MemoryStore();
  const keyId = 'https://kv.vault.azure.net/keys/backup/v1';
  const wrapped = [{ kind: 'key-vault-key', keyId, algorithm: 'RSA-OAEP-256', encryptedKey: 'AAAA' }];
  const backUp = async (time: string, created: string | undefined, lifeboatkeys = JSON.stringify(wrapped)): Promise<void> => {
    await store.write(`shop/mongodb/${time}/data`, Buffer.alloc(1), { metadata: { lifeboatkeys } });
    const metadata = { verified: 'full', storedbytes: '1', ...(created === undefined ? {} : { created }) };
    await store.write(`shop/mongodb/${time}/manifest.json`, Buffer.from('{}'), { metadata });
  };
  const overview = () => keyOverview(store, 'shop', NOW, new AbortController().signal);
  const status = async () => (await found([encryptionCheck(overview)], 'encryption'))?.status;
  await backUp('20220101_020000', '2024-12-04T12:00:00Z');
  await backUp('20241203_021700', undefined);
  await backUp('20241205_021700', '2024-12-05T02:17:00Z', '[{');
  expect(await overview()).toMatchObject([
    { timestamp: '20220101_020000', created: '2024-12-04T12:00:00.000Z', ageDays: 1, recipients: [{ keyId }] },
    { timestamp: '20241203_021700', created: '2024-12-03T02:17:00.000Z', ageDays: 2 },
    { timestamp: '20241205_021700', ageDays: 0, recipients: [] },
  ]);
  await backUp('20241205_021700', '2024-12-05T02:17:00Z');
  expect(await status()).toBe('ok');
  // The one that has used the key for longest is not the first by its timestamp.
  await backUp('20240101_021700', '2024-01-01T02:17:00Z');
  expect(await status()).toBe('warning');
});

test('azure-sign-in and oidc-claims: nobody can be signed in, and the job has no token', async () => {
  const refused = async (): Promise<never> => {
    throw new UserError('Azure refused the sign-in.', { fix: 'Check the federated credential.' });
  };
  const noToken = async (): Promise<never> => {
    throw new UserError('This job has no OIDC token.', { fix: 'Add permissions: id-token: write.' });
  };
  const host = { kind: 'github' as const, spell: (name: string) => name, oidcToken: noToken };
  const checks = signInChecks({ host, azure: true, credential: refused, clientId: 'c', audience: 'a' });
  expect(await found(checks, 'azure-sign-in')).toMatchObject({ status: 'failed', fix: 'Check the federated credential.' });
  expect(await found(checks, 'oidc-claims')).toMatchObject({ status: 'failed', fix: 'Add permissions: id-token: write.' });
});
