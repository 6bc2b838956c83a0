// Run records: which ones a look at the last days reads, and what a listing tells of them.
import { describe, expect, test } from '@jest/globals';
import { failedAttempts } from '../../shared/catalog/pick.ts';
import { listRuns, listRunsSince, writeRunRecord, type RunRecord } from '../../shared/catalog/runs.ts';
import { formatTimestamp, timestampToDate, type Timestamp } from '../../shared/step/timestamp.ts';
import { MemoryStore } from '../support/memory-store.ts';

const DAY = 86_400_000;
const NOW = new Date('2024-12-10T12:00:00Z');

async function record(store: MemoryStore, time: Date, changes: Partial<RunRecord> = {}): Promise<Timestamp> {
  const timestamp = formatTimestamp(time);
  const run = { step: 'mongodb-backup', outcome: 'failed' as const, component: 'mongodb', backup: timestamp, run: { id: '1' } };
  await writeRunRecord(store, 'prod', timestamp, { ...run, started: time, finished: time, ...changes });
  return timestamp;
}

const ALL_DAYS = Array.from({ length: 800 }, (_, day) => formatTimestamp(new Date(Date.UTC(2023, 0, 1) + day * DAY)).slice(0, 8));
const months = (...names: string[]): string[] => ALL_DAYS.filter((day) => names.some((name) => day.startsWith(name)));

describe('listRunsSince', () => {
  test.each([
    ['one day before to one day after', '2024-12-09T23:59:59Z', ['20241208', '20241209', '20241210', '20241211']],
    ['whole months when it is more than a few days', '2024-11-01T12:00:00Z', months('202410', '202411', '202412')],
    ['everything when it is more than a few months', '2024-06-01T00:00:00Z', undefined],
    ['from a moment that is still to come', '2024-12-12T00:00:00Z', ['20241211', '20241212', '20241213']],
  ])('%s', async (_what, since, days) => {
    const store = new MemoryStore();
    for (let day = 0; day < 800; day += 1) await record(store, new Date(Date.UTC(2023, 0, 1) + day * DAY + 43_200_000));
    const found = await listRunsSince(store, 'prod', { since: new Date(since), now: NOW });
    expect(found.map(({ timestamp }) => timestamp.slice(0, 8))).toEqual(days ?? ALL_DAYS);
  });

  test('at every distance it finds what a listing of all records finds', async () => {
    const store = new MemoryStore();
    const all: Timestamp[] = [];
    for (let hours = 0; hours < 24 * 200; hours += 5) all.push(await record(store, new Date(NOW.getTime() - hours * 3_600_000)));
    for (let days = 0; days < 200; days += 1) {
      const since = new Date(NOW.getTime() - days * DAY - 1000);
      const found = new Set((await listRunsSince(store, 'prod', { since, now: NOW })).map(({ timestamp }) => timestamp));
      expect(all.filter((timestamp) => timestampToDate(timestamp) >= since && !found.has(timestamp))).toEqual([]);
    }
  });
});

test('attempts that failed or were cancelled are told by their records; an input that was wrong is no attempt', async () => {
  const store = new MemoryStore();
  const failed = await record(store, new Date('2024-11-01T00:00:00Z'));
  const cancelled = await record(store, new Date('2024-12-09T03:00:00Z'), { outcome: 'cancelled' });
  await record(store, new Date('2024-12-09T04:00:00Z'), { errorKind: 'usage' });
  await record(store, new Date('2024-12-09T05:00:00Z'), { component: 'other' });
  await record(store, new Date('2024-12-09T06:00:00Z'), { outcome: 'succeeded' });
  expect(failedAttempts(await listRuns(store, 'prod'), 'mongodb')).toEqual([
    { timestamp: failed, what: 'failed' },
    { timestamp: cancelled, what: 'was cancelled' },
  ]);
});

test('records of one second are listed in the order in which they were written, twelve of them, too', async () => {
  const store = new MemoryStore();
  for (let n = 1; n <= 12; n += 1) await record(store, NOW, { badBackups: [`mongodb/202412${String(n).padStart(2, '0')}_000000`] });
  const days = (await listRuns(store, 'prod')).map(({ badBackups }) => badBackups[0]?.slice(14, 16));
  expect(days).toEqual(Array.from({ length: 12 }, (_, index) => String(index + 1).padStart(2, '0')));
});

test('a record whose metadata is lost is read, so that what it found is not forgotten', async () => {
  const store = new MemoryStore();
  await record(store, NOW, { badBackups: ['mongodb/20241201_000000'], errorKind: 'verification' });
  const [name] = store.objects.keys();
  await store.write(name as string, store.bytes(name as string));
  expect(await listRuns(store, 'prod')).toMatchObject([
    { outcome: 'failed', component: 'mongodb', errorKind: 'verification', badBackups: ['mongodb/20241201_000000'] },
  ]);
});

test('a listing tells all backups that were found bad and good, also those that do not fit into metadata', async () => {
  const store = new MemoryStore();
  const many = Array.from({ length: 500 }, (_, index) => `mongodb/2024${String(index).padStart(4, '0')}_000000`);
  await record(store, NOW, { badBackups: ['mongodb/20241201_000000'], goodBackups: many });
  const [listed] = await listRuns(store, 'prod');
  expect(listed?.badBackups).toEqual(['mongodb/20241201_000000']);
  expect(listed?.goodBackups).toEqual(many);
  const metadata = [...store.objects.values()][0]?.info.metadata ?? {};
  expect(JSON.stringify(metadata).length).toBeLessThan(8 * 1024);
});
