import { describe, expect, test } from '@jest/globals';
import { ProgressText } from '../../shared/hosts/progress.ts';

const MIB = 2 ** 20;

describe('ProgressText', () => {
  test('shows amount, share, rate and time left', () => {
    const text = new ProgressText();
    const at = (done: number) => ({ phase: 'Dumping', done, total: 100 * MIB, unit: 'bytes' as const, detail: 'shop.orders' });
    text.update(at(0), 0);
    text.update(at(20 * MIB), 2000);
    expect(text.line(at(20 * MIB))).toBe('Dumping  20 MiB of 100 MiB (20%)  10 MiB/s  8.0s left  shop.orders');
  });

  test('the rate follows the last seconds only', () => {
    const text = new ProgressText();
    for (let second = 0; second <= 20; second += 1) {
      const done = second <= 10 ? second * 100 : 1000 + (second - 10);
      text.update({ phase: 'Reading', done, unit: 'documents' }, second * 1000);
    }
    expect(text.rate()).toBeCloseTo(1, 5);
  });

  test('an estimate that was too low shows no share instead of 104%', () => {
    const text = new ProgressText();
    expect(text.line({ phase: 'Dumping', done: 104, total: 100, unit: 'documents' })).toBe('Dumping  104 documents');
  });

  test('a new phase starts its rate anew', () => {
    const text = new ProgressText();
    expect(text.update({ phase: 'a', done: 0, unit: 'bytes' }, 0)).toBe(true);
    expect(text.update({ phase: 'a', done: 9, unit: 'bytes' }, 1000)).toBe(false);
    expect(text.update({ phase: 'b', done: 0, unit: 'bytes' }, 2000)).toBe(true);
    expect(text.rate()).toBeUndefined();
  });

  test('a plain log gets a line every 30 seconds of a phase', () => {
    const text = new ProgressText();
    text.update({ phase: 'a', done: 0, unit: 'bytes' }, 0);
    expect([10_000, 30_000, 40_000, 60_000].map((now) => text.plainLineDue(now))).toEqual([false, true, false, true]);
  });

  test('on a narrow terminal the detail goes first, then the rate, then the amounts; the time left stays', () => {
    const text = new ProgressText();
    const at = (done: number) => ({ phase: 'Dumping', done, total: 100 * MIB, unit: 'bytes' as const, detail: 'shop.orders_of_last_year' });
    text.update(at(0), 0);
    text.update(at(20 * MIB), 2000);
    expect([90, 80, 58, 48, 30, 20, 10].map((width) => text.line(at(20 * MIB), width))).toEqual([
      'Dumping  20 MiB of 100 MiB (20%)  10 MiB/s  8.0s left  shop.orders_of_last_year',
      'Dumping  20 MiB of 100 MiB (20%)  10 MiB/s  8.0s left  shop.orders_of_last_year',
      'Dumping  20 MiB of 100 MiB (20%)  10 MiB/s  8.0s left',
      'Dumping  20 MiB of 100 MiB (20%)  8.0s left',
      'Dumping  20%  8.0s left',
      'Dumping  20%',
      'Dumping  …',
    ]);
  });

  test('without an update the rate falls, and the time left grows', () => {
    const text = new ProgressText();
    const at = (done: number) => ({ phase: 'Dumping', done, total: 100 * MIB, unit: 'bytes' as const });
    text.update(at(0), 0);
    text.update(at(20 * MIB), 2000);
    expect(text.line(at(20 * MIB), 80, 3000)).toContain('8.0s left');
    expect(text.line(at(20 * MIB), 80, 10_000)).toBe('Dumping  20 MiB of 100 MiB (20%)  2 MiB/s  40s left');
  });
});
