// The one truth about a backup: what a listing shows, corrected by the newest finding, for everybody who asks.
import { globSync, readFileSync } from 'node:fs';
import { beforeEach, describe, expect, test } from '@jest/globals';
import { gatherFacts as retentionFacts } from '../../shared/catalog/apply-retention.ts';
import { knownBackups } from '../../shared/catalog/known.ts';
import { pickBackup } from '../../shared/catalog/pick.ts';
import { planSection, removals } from '../../shared/catalog/retention-plan.ts';
import { writeRunRecord, type RunRecord } from '../../shared/catalog/runs.ts';
import { gatherFacts } from '../../shared/monitor/facts.ts';
import { judge } from '../../shared/monitor/rules.ts';
import { statusDocument } from '../../shared/monitor/status.ts';
import { timestamp } from '../backup/support.ts';
import { MemoryStore } from '../support/memory-store.ts';

const at = (day: number) => timestamp(`2024120${day}_120000`);
const name = (day: number): string => `mongodb/${at(day)}`;
const NOW = new Date('2024-12-05T12:00:00Z');

let store: MemoryStore;
beforeEach(async () => {
  store = new MemoryStore();
  for (const day of [1, 2, 3]) await backup(day);
});

async function backup(day: number, metadata: Record<string, string> = {}): Promise<void> {
  await store.write(`prod/${name(day)}/data`, Buffer.alloc(1));
  const listed = { verified: 'full', suspect: '0', storedbytes: '1', created: `2024-12-0${day}T12:05:00.000Z`, ...metadata };
  await store.write(`prod/${name(day)}/manifest.json`, Buffer.from('{}'), { metadata: listed });
}

/** A run of 4 December. */
async function found(changes: Partial<RunRecord>, hour = '04_080000'): Promise<void> {
  const moment = new Date('2024-12-04T08:00:00Z');
  const run = { step: 'backup-validation', outcome: 'failed' as const, started: moment, finished: moment, run: { id: '1' } };
  await writeRunRecord(store, 'prod', timestamp(`202412${hour}`), { ...run, ...changes });
}

async function states(): Promise<string[]> {
  return (await knownBackups(store, 'prod')).map(({ state }) => state);
}

async function findings(): Promise<string[]> {
  const expectations = [{ component: 'mongodb', store: 'primary' }];
  const facts = await gatherFacts({ stores: [{ name: 'primary', store }], prefix: 'prod', expectations, now: NOW });
  return judge(facts, NOW).map(({ message }) => message);
}

describe('a backup that a validation found damaged', () => {
  beforeEach(() => found({ badBackups: [name(3)], goodBackups: [name(2)], errorKind: 'verification' }));

  test('is damaged in the listing, with the moment when it was found', async () => {
    expect(await knownBackups(store, 'prod', { component: 'mongodb' })).toMatchObject([
      { state: 'verified' },
      { state: 'verified' },
      { state: 'damaged', found: new Date('2024-12-04T08:00:00Z') },
    ]);
  });

  test('is damaged also when it was made in the second in which the finding is dated', async () => {
    await backup(4, { created: '2024-12-04T08:00:00.900Z' });
    await found({ badBackups: [name(4)] });
    expect((await knownBackups(store, 'prod')).at(-1)).toMatchObject({ state: 'damaged' });
    await backup(4, { created: '2024-12-04T08:00:01.000Z' });
    expect((await knownBackups(store, 'prod')).at(-1)).toMatchObject({ state: 'verified' });
  });

  test('is passed over by a restore, which names the last good one', async () => {
    const pick = { store, prefix: 'prod', component: 'mongodb' };
    const skipped = `The newest backup of mongodb, ${at(3)}, was found damaged on 2024-12-04 08:00 UTC: ${at(2)}, the last good one, is taken instead.`;
    await expect(pickBackup(pick)).resolves.toMatchObject({ backup: { timestamp: at(2) }, notices: [], skipped });
    await expect(pickBackup({ ...pick, timestamp: at(3) })).resolves.toMatchObject({
      notices: [`The backup of mongodb at ${at(3)} was found damaged on 2024-12-04 08:00 UTC; the last good one is ${at(2)}.`],
    });
  });

  test('does not count for retention, and pushes no good one out', async () => {
    const facts = await retentionFacts({ component: 'mongodb', place: { store, prefix: 'prod' }, others: [] });
    const section = planSection(facts, { rules: { last: 1 }, policy: 'last 1' }, NOW);
    expect(section.backups.find(({ timestamp: which }) => which === at(2))).toMatchObject({ keep: true, state: 'verified' });
    expect(removals(section)).toEqual([]);
    expect(section.blocked).toMatch(/was found damaged on 2024-12-04 08:00 UTC: nothing is removed/);
  });

  test('is a finding of status, counts as no verified one, and its advice helps', async () => {
    expect(await findings()).toEqual([`1 backup of mongodb is damaged: ${at(3)}; the last good one is ${at(2)}.`]);
    const facts = await gatherFacts({ stores: [{ name: 'primary', store }], prefix: 'prod', expectations: [], now: NOW });
    const status = statusDocument({ name: 'prod', facts, findings: judge(facts, NOW), now: NOW });
    expect(status.components).toMatchObject([{ backups: 3, verified_backups: 2, last_verified: '2024-12-02T12:00:00.000Z' }]);
  });

  test('stays so when another one is found good, and when a later run fails for another reason', async () => {
    await found({ outcome: 'succeeded', goodBackups: [name(1)] }, '04_090000');
    await found({ step: 'mongodb-restore', component: 'mongodb', errorKind: 'failed' }, '04_100000');
    expect((await states())[2]).toBe('damaged');
  });

  test('is good again once it is found good, and not before that of the same second', async () => {
    await found({ outcome: 'succeeded', goodBackups: [name(3)] });
    expect((await states())[2]).toBe('verified');
    await found({ badBackups: [name(3)] });
    expect((await states())[2]).toBe('damaged');
  });

  test('is another one when it was made anew under the same timestamp', async () => {
    await backup(3, { created: '2024-12-04T09:00:00.000Z' });
    expect((await states())[2]).toBe('verified');
  });
});

test('a backup without a key is no good one: not for status, restore or retention', async () => {
  await found({ keylessBackups: [name(3)] });
  expect(await states()).toEqual(['verified', 'verified', 'keyless']);
  expect(await findings()).toEqual([`1 backup of mongodb is without a key: ${at(3)}; the last good one is ${at(2)}.`]);
  await expect(pickBackup({ store, prefix: 'prod', component: 'mongodb' })).resolves.toMatchObject({
    backup: { timestamp: at(2) },
    skipped: `The newest backup of mongodb, ${at(3)}, is without a key, as found on 2024-12-04 08:00 UTC: ${at(2)}, the last good one, is taken instead.`,
  });
});

test('a backup that was not read back when it was made is verified once a validation has read it', async () => {
  await backup(3, { verified: 'none' });
  await found({ step: 'copy-backups', outcome: 'succeeded', goodBackups: [name(3)] });
  expect((await states())[2]).toBe('committed');
  await found({ outcome: 'succeeded', goodBackups: [name(3)] });
  expect((await states())[2]).toBe('verified');
  await found({ step: 'copy-backups', outcome: 'succeeded', goodBackups: [name(3)] }, '04_090000');
  expect((await states())[2]).toBe('verified');
});

test('beside a whole backup a fresh mark of retention means the same to all, and an old one nothing', async () => {
  const mark = `prod/${name(3)}/prune.json`;
  await store.write(mark, Buffer.from('{}'));
  expect(await knownBackups(store, 'prod')).toMatchObject([{}, {}, { state: 'pruning', whole: true }]);
  await expect(pickBackup({ store, prefix: 'prod', component: 'mongodb', timestamp: at(3) })).rejects.toMatchObject({
    message: expect.stringContaining('is being removed by retention'),
    fix: expect.stringMatching(/If this one is still whole 15 minutes after .*Near it: /),
  });
  await expect(pickBackup({ store, prefix: 'prod', component: 'mongodb' })).resolves.toMatchObject({ backup: { timestamp: at(2) } });
  const facts = await retentionFacts({ component: 'mongodb', place: { store, prefix: 'prod' }, others: [] });
  const section = planSection(facts, { rules: { last: 3 }, policy: 'last 3' }, NOW);
  expect(section.unfinished).toEqual([]);
  expect(section.backups[0]).toMatchObject({ timestamp: at(3), state: 'pruning', keep: true });

  const object = store.objects.get(mark);
  if (object) object.info = { ...object.info, modified: new Date(Date.now() - 16 * 60_000) };
  expect(await states()).toEqual(['verified', 'verified', 'verified']);
});

test('who shows or uses the state of a backup asks known.ts; only who asks what lies there reads the bare listing', () => {
  const bare = [
    // The truth itself, and retention, which reads the records of many components once.
    ...['catalog/known.ts', 'catalog/apply-retention.ts'],
    // What lies there, whatever its state: timestamps that are taken, components, points of which nothing is left, keys.
    ...['catalog/tidy.ts', 'doctor/keys.ts', 'steps/backup-all/run.ts', 'session/components.ts', 'runs/safety-backup.ts'],
    ...['steps/apply-retention/work.ts', 'steps/backup-validation/run.ts', 'runs/recovery-point.ts'],
  ];
  const users = globSync('**/*.ts', { cwd: 'shared' }).filter((file) => /\blistBackups\(/.test(readFileSync(`shared/${file}`, 'utf8')));
  expect(users.filter((file) => !bare.includes(file) && file !== 'catalog/list.ts')).toEqual([]);
});
