import { describe, expect, test } from '@jest/globals';
import { formatAge, formatBytes, formatCount, formatRate, formatSeconds, plural } from '../../shared/step/format.ts';

describe('numbers as people read them', () => {
  test.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1 KiB'],
    [1536, '1.5 KiB'],
    [1024 * 1024 - 1, '1 MiB'],
    [209_715_200, '200 MiB'],
    [5.25 * 2 ** 40, '5.25 TiB'],
  ])('%d bytes reads as %s', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });

  test.each([
    [0.04, '0.0s'],
    [9.94, '9.9s'],
    [59.6, '1m 00s'],
    [83.4, '1m 23s'],
    [3600, '1h 00m'],
    [7384, '2h 03m'],
  ])('%d seconds reads as %s', (seconds, text) => {
    expect(formatSeconds(seconds)).toBe(text);
  });

  test('counts, rates, plurals and ages', () => {
    expect(formatCount(1_234_567)).toBe('1,234,567');
    expect(formatRate(10 * 2 ** 20, 2)).toBe('5 MiB/s');
    expect(formatRate(1, 0)).toBe('-');
    expect(plural(1, 'backup')).toBe('1 backup');
    expect(plural(0, 'backup')).toBe('0 backups');
    const now = new Date('2026-01-10T00:00:00Z');
    expect(formatAge(new Date('2026-01-09T23:55:00Z'), now)).toBe('5 minutes ago');
    expect(formatAge(new Date('2026-01-07T00:00:00Z'), now)).toBe('3 days ago');
    expect(formatAge(new Date('2026-01-10T00:00:01Z'), now)).toBe('in the future');
  });
});
