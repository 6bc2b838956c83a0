// Run records: which ones a look at the last days reads, and what a listing tells of them.
import { describe, expect, test } from '@jest/globals';
import { failedAttempts } from '../../shared/catalog/pick.ts';
import { listBackups } from '../../shared/catalog/list.ts';
import { listRuns, listRunsSince, writeRunRecord, type RunRecord } from '../../shared/catalog/runs.ts';
import { formatTimestamp, parseTimestamp, timestampToDate, type Timestamp } from '../../shared/step/timestamp.ts';
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

test('failed attempts before the last verified backup are over; without a verified one all count', async () => {
  const store = new MemoryStore();
  const [before, after] = [await record(store, new Date('2024-11-01T00:00:00Z')), await record(store, new Date('2024-12-09T03:00:00Z'))];
  const attempts = async (): Promise<string[]> => {
    const backups = await listBackups(store, 'prod');
    return (await failedAttempts({ store, prefix: 'prod' }, { component: 'mongodb', backups, now: NOW })).map(({ timestamp }) => timestamp);
  };
  expect(await attempts()).toEqual([before, after]);
  const good = parseTimestamp('20241209_020000') as Timestamp;
  await store.write(`prod/mongodb/${good}/data`, Buffer.alloc(1));
  await store.write(`prod/mongodb/${good}/manifest.json`, Buffer.alloc(1), { metadata: { verified: 'full', storedbytes: '1' } });
  expect(await attempts()).toEqual([after]);
});

test('a listing tells which backups were found bad and good; lists that are too long for metadata are cut between two names', async () => {
  const store = new MemoryStore();
  const many = Array.from({ length: 500 }, (_, index) => `mongodb/2024${String(index).padStart(4, '0')}_000000`);
  await record(store, NOW, { badBackups: ['mongodb/20241201_000000'], goodBackups: many });
  const [listed] = await listRuns(store, 'prod');
  expect(listed?.badBackups).toEqual(['mongodb/20241201_000000']);
  expect(listed?.goodBackups).toEqual(many.slice(0, listed?.goodBackups.length));
  expect(listed?.goodBackups.length).toBeGreaterThan(100);
  const metadata = [...store.objects.values()][0]?.info.metadata ?? {};
  expect(JSON.stringify(metadata).length).toBeLessThan(8 * 1024);
});
