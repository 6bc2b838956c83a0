// Copies of backups in another store, on stores in memory that fail, lie and die.
import { expect, test } from '@jest/globals';
import { verifyBackup } from '../../shared/backup/read.ts';
import { copyBackups, type CopyRequest, type CopyResult } from '../../shared/catalog/copy.ts';
import { listBackups } from '../../shared/catalog/list.ts';
import type { Timestamp } from '../../shared/step/timestamp.ts';
import { countingInspector, noise, timestamp, world, type World } from '../backup/support.ts';
import { MemoryStore } from '../support/memory-store.ts';

const [FIRST, SECOND, THIRD] = ['20241201_120000', '20241202_120000', '20241203_120000'].map(timestamp) as [
  Timestamp,
  Timestamp,
  Timestamp,
];
const NOW = new Date('2024-12-03T13:00:00Z');

async function worldWith(...timestamps: Timestamp[]): Promise<World & { offsite: MemoryStore }> {
  const made = world();
  for (const one of timestamps) await made.write(noise(300_000, one), { timestamp: one });
  return { ...made, offsite: new MemoryStore() };
}

function copy({ store, vault, offsite }: World & { offsite: MemoryStore }, overrides: Partial<CopyRequest> = {}): Promise<CopyResult> {
  return copyBackups({
    from: { store, prefix: 'prod' },
    to: { store: offsite, prefix: 'prod' },
    component: 'mongodb',
    recipients: [vault],
    owner: 'run 2',
    now: NOW,
    signal: new AbortController().signal,
    ...overrides,
  });
}

const states = async (store: MemoryStore): Promise<string[]> =>
  (await listBackups(store, 'prod')).map(({ timestamp: one, state }) => `${one} ${state}`);

test('copies the bytes as they are, so that a copy is proved from its own bytes and opens alone', async () => {
  const made = await worldWith(FIRST, SECOND);
  const result = await copy(made);
  expect(result).toMatchObject({ copied: [{ timestamp: FIRST }, { timestamp: SECOND }], failed: [], lagMs: 0 });
  for (const [name, { bytes, info }] of made.store.objects) {
    const there = made.offsite.objects.get(name);
    expect(there?.bytes.equals(bytes)).toBe(true);
    expect(there?.info.metadata).toEqual({ ...info.metadata, origin: 'copy' });
  }
  made.store.objects.clear();
  const place = { store: made.offsite, prefix: 'prod', component: 'mongodb', timestamp: FIRST, recipients: [made.vault] };
  await expect(verifyBackup({ ...place, newInspector: () => countingInspector() })).resolves.toMatchObject({ level: 'full' });
});

test('a second run copies nothing, a later one what is new', async () => {
  const made = await worldWith(FIRST);
  await copy(made);
  const puts = (): number => made.offsite.calls.filter(({ method }) => method === 'put').length;
  expect(await copy(made)).toEqual({ copied: [], failed: [], skipped: [], lagMs: 0 });
  expect(puts()).toBe(1);
  await made.write(noise(1000), { timestamp: SECOND });
  expect((await copy(made)).copied.map((one) => one.timestamp)).toEqual([SECOND]);
});

test('does not bring back what the retention of the copies has removed, but fills a gap of the last days', async () => {
  const made = await worldWith(FIRST, SECOND, THIRD);
  await copy(made);
  for (const name of [...made.offsite.objects.keys()]) if (!name.includes(THIRD)) made.offsite.objects.delete(name);
  expect((await copy(made, { since: new Date('2024-12-02T00:00:00Z') })).copied.map((one) => one.timestamp)).toEqual([SECOND]);
  expect((await copy(made)).copied.map((one) => one.timestamp)).toEqual([FIRST]);
});

test('does not bring back, night after night, what the retention of the copies removes again', async () => {
  const made = await worldWith(FIRST, SECOND, THIRD);
  const nightly = { since: new Date('2024-11-26T00:00:00Z'), rules: { monthly: 1 } };
  await copy(made, nightly);
  for (const name of [...made.offsite.objects.keys()]) if (!name.includes(THIRD)) made.offsite.objects.delete(name);
  expect((await copy(made, nightly)).copied).toEqual([]);
  // What rules keep is made up for, and who asks for everything gets it.
  expect((await copy(made, { ...nightly, rules: { daily: 2 } })).copied.map((one) => one.timestamp)).toEqual([SECOND]);
  expect((await copy(made, { rules: nightly.rules })).copied.map((one) => one.timestamp)).toEqual([FIRST]);
});

test('wherever it is killed, no half copy counts as a backup, and the next run makes it whole', async () => {
  for (let at = 1; at < 60; at += 1) {
    const made = await worldWith(FIRST);
    let calls = 0;
    made.offsite.faults.after = () => {
      calls += 1;
      if (calls >= at) throw new Error('killed');
    };
    const killed = await copy(made).catch(() => undefined);
    made.offsite.faults = {};
    made.offsite.locks.clear();
    for (const state of await states(made.offsite)) expect(state).toMatch(/verified|leftover/);
    await copy(made);
    expect(await states(made.offsite)).toEqual([`${FIRST} verified`]);
    expect(made.offsite.objects.size).toBe(2);
    if (killed?.failed.length === 0) return;
  }
  throw new Error('the copy never came to its end');
});

test('a damaged original, and a copy that is damaged on its way, are never committed; the others are copied, and the lag is told', async () => {
  const made = await worldWith(FIRST, SECOND, THIRD);
  const data = made.store.objects.get(`prod/mongodb/${FIRST}/data`);
  (data?.bytes as Buffer)[1000] = ((data?.bytes as Buffer)[1000] as number) ^ 1;
  let put = 0;
  made.offsite.faults.onPutChunk = (chunk, offset) => {
    if (offset === 0) put += 1;
    return put === 2 && offset === 0 ? Buffer.concat([Buffer.from([(chunk[0] as number) ^ 1]), chunk.subarray(1)]) : chunk;
  };
  const result = await copy(made);
  expect(result.copied.map((one) => one.timestamp)).toEqual([THIRD]);
  expect(result.failed).toEqual([
    { timestamp: FIRST, reason: expect.stringMatching(/data in memory: is damaged/) as unknown },
    { timestamp: SECOND, reason: expect.stringMatching(/^The copy .* is damaged: its SHA-256/) as unknown },
  ]);
  expect(result.lagMs).toBe(49 * 3_600_000);
  expect(await states(made.offsite)).toEqual([`${SECOND} leftover`, `${THIRD} verified`]);
  made.offsite.faults = {};
  expect((await copy(made)).copied.map((one) => one.timestamp)).toEqual([SECOND]);
});

test('replaces a copy that lost its data, and never what is not a copy', async () => {
  const made = await worldWith(FIRST);
  await copy(made);
  made.offsite.objects.delete(made.data);
  expect(await states(made.offsite)).toEqual([`${FIRST} damaged`]);
  expect((await copy(made)).copied).toHaveLength(1);
  made.offsite.objects.clear();
  await made.offsite.write(made.data, Buffer.from('a backup of somebody else'), { metadata: { origin: 'backup' } });
  expect((await copy(made)).failed[0]?.reason).toMatch(/is not a copy, and is not overwritten/);
  expect(made.offsite.objects.get(made.data)?.bytes.toString()).toBe('a backup of somebody else');
});

test('a forged manifest is not copied when a key is at hand; without any key the bytes are held against the manifest', async () => {
  const made = await worldWith(FIRST);
  expect((await copy(made, { recipients: [] })).copied).toHaveLength(1);
  made.offsite.objects.clear();
  const manifest = made.store.objects.get(made.manifest);
  if (manifest) manifest.bytes = Buffer.from(manifest.bytes.toString().replace('db.example.org', 'db.example.com'));
  expect((await copy(made)).failed).toHaveLength(1);
  expect(made.offsite.objects.size).toBe(0);
});

test('what a killed copy left goes a day later, also when its original is gone; what is not a copy stays', async () => {
  const made = await worldWith(FIRST, SECOND);
  made.offsite.faults.before = ({ method }) => {
    if (method === 'open') throw new Error('killed');
  };
  await copy(made).catch(() => undefined);
  made.offsite.faults = {};
  made.offsite.locks.clear();
  const foreign = made.data.replace(FIRST, THIRD);
  await made.offsite.write(foreign, Buffer.from('a run at work'), { metadata: { origin: 'backup' } });
  made.store.objects.clear();
  await copy(made, { now: new Date() });
  expect(await states(made.offsite)).toEqual([`${FIRST} leftover`, `${SECOND} leftover`, `${THIRD} leftover`]);
  await copy(made, { now: new Date(Date.now() + 25 * 3_600_000) });
  expect(await states(made.offsite)).toEqual([`${THIRD} leftover`]);
  expect(made.offsite.calls.filter(({ method }) => method === 'sweep')).not.toEqual([]);
});
