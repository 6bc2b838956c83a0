// What tiers cost in days and hours: early deletions, and the time of a restore told before it begins.
import { describe, expect, test } from '@jest/globals';
import { earlyDeletion } from '../../shared/catalog/early-deletion.ts';
import { predictionText, predictRestore } from '../../shared/catalog/prediction.ts';
import { planSection } from '../../shared/catalog/retention-plan.ts';
import { writeRunRecord } from '../../shared/catalog/runs.ts';
import { listBackups } from '../../shared/catalog/list.ts';
import type { Outcome } from '../../shared/step/errors.ts';
import type { ObjectTier } from '../../shared/stores/store.ts';
import { tierOf } from '../../shared/stores/azure/tier.ts';
import { s3TierOf } from '../../shared/stores/s3/tier.ts';
import { noise, timestamp, world } from '../backup/support.ts';
import { MemoryStore } from '../support/memory-store.ts';

const NOW = new Date('2024-12-11T12:00:00Z');
const since = new Date('2024-12-01T12:00:00Z');

describe('an early deletion', () => {
  test.each<[string, number | undefined]>([
    ['hot', undefined],
    ['cool', 20],
    ['cold', 80],
    ['archive', 170],
    ['standard', undefined],
    ['standard_ia', 20],
    ['glacier_ir', 80],
    ['deep_archive', 170],
  ])('from the tier %s after ten days', (name, days) => {
    const expected = days === undefined ? undefined : `early deletion: ${days} more days of the ${name} tier are billed`;
    expect(earlyDeletion({ name, since }, NOW)).toBe(expected);
  });

  test('is over after the least days, and not told where the age of the tier is not known', () => {
    expect(earlyDeletion({ name: 'cool', since: new Date('2024-11-11T12:00:00Z') }, NOW)).toBeUndefined();
    expect(earlyDeletion({ name: 'cool', since: new Date('2024-11-12T11:00:00Z') }, NOW)).toMatch(/: 1 more day of/);
    expect(earlyDeletion({ name: 'cool' }, NOW)).toBeUndefined();
    expect(earlyDeletion(undefined, NOW)).toBeUndefined();
  });

  test('stands in the plan beside what goes, and only there', async () => {
    const made = world();
    for (const one of ['20241201_120000', '20241202_120000']) await made.write(noise(100), { timestamp: timestamp(one) });
    const backups = (await listBackups(made.store, 'prod')).map((backup) => ({ ...backup, tier: { name: 'cool', since } }));
    const facts = { component: 'mongodb', store: 'memory:', prefix: 'prod', backups, holds: [], failed: [] };
    const plan = planSection(facts, { rules: { last: 1 }, policy: 'last 1' }, NOW);
    expect(plan.backups.map(({ reasons }) => reasons)).toEqual([
      [expect.any(String) as unknown],
      ['no rule keeps it', 'early deletion: 20 more days of the cool tier are billed'],
    ]);
  });
});

describe('where an object lies', () => {
  test.each<[Parameters<typeof tierOf>[0], Partial<ObjectTier> | undefined]>([
    [{ accessTier: undefined, accessTierInferred: undefined, accessTierChangedOn: undefined, archiveStatus: undefined }, undefined],
    [
      { accessTier: 'Hot', accessTierInferred: true, accessTierChangedOn: undefined, archiveStatus: undefined },
      { name: 'hot', inferred: true },
    ],
    [
      { accessTier: 'Archive', accessTierInferred: undefined, accessTierChangedOn: since, archiveStatus: undefined },
      { name: 'archive', inferred: false, since, offline: 'archived' },
    ],
    [
      { accessTier: 'Archive', accessTierInferred: undefined, accessTierChangedOn: since, archiveStatus: 'rehydrate-pending-to-cool' },
      { name: 'archive', inferred: false, since, offline: 'rehydrating' },
    ],
  ])('in Azure: %j', (facts, expected) => {
    expect(tierOf(facts)).toEqual(expected);
  });

  test.each<[Parameters<typeof s3TierOf>[0], string, ObjectTier['offline']]>([
    [{}, 'standard', undefined],
    [{ StorageClass: 'STANDARD_IA' }, 'standard_ia', undefined],
    [{ StorageClass: 'GLACIER_IR' }, 'glacier_ir', undefined],
    [{ StorageClass: 'GLACIER' }, 'glacier', 'archived'],
    [{ StorageClass: 'DEEP_ARCHIVE', Restore: 'ongoing-request="true"' }, 'deep_archive', 'rehydrating'],
    [{ StorageClass: 'GLACIER', Restore: 'ongoing-request="false", expiry-date="Fri, 23 Dec 2026 00:00:00 GMT"' }, 'glacier', undefined],
    [{ StorageClass: 'INTELLIGENT_TIERING', ArchiveStatus: 'ARCHIVE_ACCESS' }, 'intelligent_tiering', 'archived'],
  ])('in S3: %j', (head, name, offline) => {
    const tier = s3TierOf(head);
    expect([tier.name, tier.offline]).toEqual([name, offline]);
  });
});

describe('the time of a restore', () => {
  const about = { step: 'mongodb-restore', component: 'mongodb', plainBytes: 400, durationMs: 90_000 };
  const at = async (store: MemoryStore, n: number, outcome: Outcome, result: object): Promise<void> => {
    const run = { step: 'mongodb-restore', outcome, component: 'mongodb', started: since, finished: NOW, run: { id: String(n) } };
    await writeRunRecord(store, 'prod', timestamp(`202412${String(n).padStart(2, '0')}_120000`), { ...run, result: result as never });
  };

  test('is told by the restores before it, not by those that failed, by rollbacks or by records of another form', async () => {
    const store = new MemoryStore();
    for (let n = 1; n <= 6; n += 1)
      await at(store, n, 'succeeded', { component: 'mongodb', plainBytes: 100, seconds: n === 1 ? 9999 : 10 });
    await at(store, 7, 'failed', { component: 'mongodb', plainBytes: 100, seconds: 9999 });
    await at(store, 8, 'succeeded', { component: 'mongodb-safety', plainBytes: 100, seconds: 9999 });
    const found = await predictRestore({ store, prefix: 'prod' }, about);
    expect(found.seconds).toBe(40);
    expect(predictionText(found, undefined)).toMatch(/^about 40s \(by the last \d restores, 10 B\/s\)$/);
    expect((await predictRestore({ store, prefix: 'prod' }, { ...about, plainBytes: 1 })).seconds).toBe(10);
  });

  test('is told in its parts, those that this restore has', async () => {
    const store = new MemoryStore();
    const phases = { proof: 2, safety: 4, writing: 3, readBack: 1 };
    await at(store, 1, 'succeeded', { component: 'mongodb', plainBytes: 100, seconds: 10, phases });
    await at(store, 2, 'succeeded', { component: 'mongodb', plainBytes: 100, seconds: 6, phases: { ...phases, safety: 0 } });
    const found = await predictRestore({ store, prefix: 'prod' }, about);
    expect(predictionText(found, undefined)).toBe(
      'about 40s (by the last 2 restores, 13 B/s): proof of the backup 8.0s, safety backup 16s, writing 12s, reading back 4.0s',
    );
    const beside = await predictRestore({ store, prefix: 'prod' }, { ...about, without: ['safety', 'proof'] });
    expect(predictionText(beside, undefined)).toMatch(/^about 16s .*: writing 12s, reading back 4\.0s$/);
  });

  test('is not made up while there was none; what the archive tier needs before is told', async () => {
    const found = await predictRestore({ store: new MemoryStore(), prefix: 'prod' }, about);
    expect(predictionText(found, { text: 'up to 15 hours' })).toBe(
      'up to 15 hours until the archive tier gives it back, then a time that is not known yet (there was no restore of it to go by; the backup took 1m 30s, and a restore takes longer)',
    );
  });
});
