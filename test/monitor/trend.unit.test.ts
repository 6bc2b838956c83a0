import { describe, expect, test } from '@jest/globals';
import { changeText, sparkline, TREND_BACKUPS, trendOf } from '../../shared/monitor/trend.ts';
import { backup, DAILY, DAY, GIB } from './worlds.ts';

describe('trendOf', () => {
  test('compares the newest backup with the last one and with the average of those before', () => {
    const newest = backup(0, { dataBytes: 3 * GIB, durationMs: 1_200_000 });
    const trend = trendOf(
      [backup(3 * DAY), backup(2 * DAY, { dataBytes: 2 * GIB }), backup(DAY, { dataBytes: 3 * GIB }), newest],
      newest.timestamp,
    );
    expect(trend).toMatchObject({
      stored: {
        values: [GIB, 2 * GIB, 3 * GIB, 3 * GIB],
        newest: 3 * GIB,
        last: 3 * GIB,
        average: 2 * GIB,
        againstLast: 0,
        againstAverage: 50,
      },
      duration: { newest: 1_200_000, againstLast: 100, againstAverage: 100 },
    });
  });

  test('looks at ten backups at most, and never at those after it, damaged ones or leftovers', () => {
    const many = Array.from({ length: 15 }, (_, day) => backup((15 - day) * DAY));
    const odd = [backup(9 * 3_600_000, { state: 'damaged' }), backup(8 * 3_600_000, { state: 'leftover' })];
    const newest = backup(0);
    const trend = trendOf([...many, ...odd, newest, backup(-DAY)], newest.timestamp);
    expect(trend?.backups).toHaveLength(TREND_BACKUPS);
    expect(trend?.backups.every(({ state }) => state === 'verified')).toBe(true);
    expect(trend?.backups.at(-1)).toBe(newest);
  });

  test('a first backup, and one that the listing does not show, have nothing to be compared with', () => {
    const only = backup(0);
    expect(trendOf([only], only.timestamp)).toBeUndefined();
    expect(trendOf(DAILY, '20300101_000000')).toBeUndefined();
  });

  test('backups of versions that did not tell their duration leave it out', () => {
    const trend = trendOf([backup(DAY), backup(0, { durationMs: undefined })], backup(0).timestamp);
    expect(trend?.stored.againstLast).toBe(0);
    expect(trend?.duration).toBeUndefined();
  });
});

describe('sparkline', () => {
  test('shows growth from the lowest to the highest', () => {
    expect(sparkline([10, 20, 40, 80])).toBe('▁▂▄█');
  });
  test('a wobble of a few per cent stays a wobble', () => {
    expect(sparkline([100, 101, 99, 100])).toBe('▅▅▄▅');
  });
  test('nothing but zeros, and nothing at all', () => {
    expect(sparkline([0, 0])).toBe('▁▁');
    expect(sparkline([])).toBe('');
  });
});

test('changes are told in whole per cent, leaps as a multiple', () => {
  expect([0.2, -0.4, 12.4, -3.6, 700, undefined].map(changeText)).toEqual(['±0 %', '±0 %', '+12 %', '-4 %', '8 times as much', '-']);
});
