import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { loadDr } from '../../shared/config/load.ts';
import { collision, crowdedMinute, longestGap, nextRuns, scheduleSchema } from '../../shared/config/schedule.ts';

const FROM = new Date('2024-12-20T12:00:00Z');
const next = (schedule: string, count = 3): string[] => nextRuns(schedule, FROM, count).map((run) => run.toISOString().slice(0, 16));

describe('a schedule', () => {
  test.each([
    ['17 2 * * *', ['2024-12-21T02:17', '2024-12-22T02:17', '2024-12-23T02:17']],
    ['daily at 02:17', ['2024-12-21T02:17', '2024-12-22T02:17', '2024-12-23T02:17']],
    ['sunday at 01:17', ['2024-12-22T01:17', '2024-12-29T01:17', '2025-01-05T01:17']],
    ['first sunday at 00:17', ['2025-01-05T00:17', '2025-02-02T00:17', '2025-03-02T00:17']],
    ['last friday at 22:17', ['2024-12-27T22:17', '2025-01-31T22:17', '2025-02-28T22:17']],
    ['day 15 at 02:17', ['2025-01-15T02:17', '2025-02-15T02:17', '2025-03-15T02:17']],
    ['last day at 23:17', ['2024-12-31T23:17', '2025-01-31T23:17', '2025-02-28T23:17']],
    ['17 2 * * * Europe/Berlin', ['2024-12-21T01:17', '2024-12-22T01:17', '2024-12-23T01:17']],
    ['sunday at 01:17; first sunday at 00:17', ['2024-12-22T01:17', '2024-12-29T01:17', '2025-01-05T00:17']],
    ['17 2 * * * ; 17 2 * * 0', ['2024-12-21T02:17', '2024-12-22T02:17', '2024-12-23T02:17']],
  ])('%s', (schedule, expected) => {
    expect(scheduleSchema.safeParse(schedule).error).toBeUndefined();
    expect(next(schedule)).toEqual(expected);
  });

  test('follows summer time in its zone', () => {
    const spring = nextRuns('daily at 03:17 Europe/Berlin', new Date('2025-03-29T00:00:00Z'), 2).map((run) =>
      run.toISOString().slice(0, 16),
    );
    expect(spring).toEqual(['2025-03-29T02:17', '2025-03-30T01:17']);
    // 02:17 does not exist in that night; the run is not lost.
    expect(nextRuns('daily at 02:17 Europe/Berlin', new Date('2025-03-29T12:00:00Z'), 1)[0]?.toISOString().slice(0, 10)).toBe('2025-03-30');
  });

  test.each([
    'soon',
    'first sunday',
    'fifth sunday at 00:17',
    'daily at 25:17',
    'day 30 at 1:17',
    '17 2 * * * Europe/Nowhere',
    '61 2 * * *',
    '0 0 30 2 *',
    '17 2 * * *;',
    'day 0 at 02:17',
  ])('is refused when it says %j', (schedule) => {
    expect(scheduleSchema.safeParse(schedule).success).toBe(false);
  });

  test('knows its longest gap: a month between two first Sundays is five weeks', () => {
    expect(longestGap('first sunday at 00:17', FROM) / 86_400_000).toBe(35);
  });

  test('meets another one in the minute in which both are due, or never', () => {
    expect(collision('17 2 * * *', 'first sunday at 02:17', FROM)?.toISOString()).toBe('2025-01-05T02:17:00.000Z');
    expect(collision('17 2 * * *', 'daily at 03:17 Europe/Berlin', FROM)?.toISOString()).toBe('2024-12-21T02:17:00.000Z');
    expect(collision('17 2 * * *', '18 2 * * *', FROM)).toBeUndefined();
  });

  test('is told to keep off full and half hours', () => {
    expect([crowdedMinute('0 2 * * *', FROM), crowdedMinute('30 2 * * *', FROM), crowdedMinute('17 2 * * *', FROM)]).toEqual([
      0,
      30,
      undefined,
    ]);
  });
});

describe('config validate', () => {
  const notices = async (mongodb: string, orders: string): Promise<string[]> => {
    const folder = mkdtempSync(join(tmpdir(), 'lifeboat-schedule-'));
    try {
      const file = join(folder, 'dr.yml');
      const component = (name: string, schedule: string, store: string): string =>
        `  ${name}: { kind: mongodb, source: { uri: "mongodb://localhost" }, store: ${store}, schedule: "${schedule}" }\n`;
      writeFileSync(
        file,
        `version: 1\nname: prod\nstores: { a: { kind: folder, path: a }, b: { kind: folder, path: b } }\nvault: { kind: folder, path: k }\ncomponents:\n` +
          component('mongodb', mongodb, 'a') +
          component('orders', orders, 'a') +
          component('elsewhere', mongodb, 'b'),
      );
      return (await loadDr(file)).notices.map(({ path, message }) => `${path}: ${message}`);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  };

  test('tells components that are due in the same minute into the same store, once', async () => {
    expect(await notices('17 2 * * *', 'sunday at 02:17')).toEqual([
      expect.stringMatching(
        /^components\.orders\.schedule: is due in the same minute as mongodb \(\d{4}-\d\d-\d\d 02:17 UTC\), into the same store/,
      ),
    ]);
    expect(await notices('17 2 * * *', 'sunday at 02:18')).toEqual([]);
  });

  test('advises against full and half hours', async () => {
    expect(await notices('17 2 * * *', '0 3 * * *')).toEqual([
      expect.stringContaining('components.orders.schedule: comes due at a full hour'),
    ]);
  });
});
