import fc from 'fast-check';
import { describe, expect, test } from '@jest/globals';
import { applyRules, type RetentionRules } from '../../shared/catalog/retention.ts';
import { parsePeriod } from '../../shared/step/period.ts';

const NOW = new Date('2024-06-30T12:00:00Z');
const at = (iso: string) => ({ time: new Date(`${iso}Z`) });
const kept = (times: readonly string[], rules: RetentionRules, now = NOW): string[] =>
  applyRules(times.map(at), rules, now)
    .filter(({ keep }) => keep)
    .map(({ item, reasons }) => `${item.time.toISOString().slice(0, 16)} ${reasons.join(', ')}`);

describe('retention rules', () => {
  test.each<[string, RetentionRules, string[], string[]]>([
    [
      'last keeps the newest',
      { last: 2 },
      ['2024-06-01T02:00', '2024-06-02T02:00', '2024-06-03T02:00'],
      ['2024-06-03T02:00 last', '2024-06-02T02:00 last'],
    ],
    [
      'daily keeps the last of each day that has one, and the oldest while there is room',
      { daily: 3 },
      ['2024-06-01T02:00', '2024-06-01T14:00', '2024-06-20T02:00'],
      ['2024-06-20T02:00 daily', '2024-06-01T14:00 daily', '2024-06-01T02:00 oldest daily'],
    ],
    [
      'weeks are those of ISO: 30 December 2019 belongs to the first week of 2020',
      { weekly: 1 },
      ['2019-12-29T02:00', '2019-12-30T02:00', '2020-01-05T02:00'],
      ['2020-01-05T02:00 weekly'],
    ],
    [
      'rules are ORed and every reason is told',
      { daily: 1, monthly: 2 },
      ['2024-05-31T02:00', '2024-06-01T02:00'],
      ['2024-06-01T02:00 daily, monthly', '2024-05-31T02:00 monthly'],
    ],
    [
      'within is measured from the newest backup, not from today: when backups stop nothing ages away',
      { within: parsePeriod('2d') },
      ['2023-01-01T02:00', '2023-01-02T02:00', '2023-01-03T02:00'],
      ['2023-01-03T02:00 within 2d', '2023-01-02T02:00 within 2d'],
    ],
    [
      'a month before 31 March is 3 March, as Go counts it',
      { within: parsePeriod('1mo') },
      ['2023-03-03T01:00', '2023-03-03T03:00', '2023-03-31T02:00'],
      ['2023-03-31T02:00 within 1mo', '2023-03-03T03:00 within 1mo'],
    ],
    [
      'what is dated in the future stays and does not count',
      { last: 1 },
      ['2024-06-01T02:00', '2024-06-02T02:00', '2031-01-01T00:00'],
      ['2031-01-01T00:00 dated in the future', '2024-06-02T02:00 last'],
    ],
    [
      'unlimited keeps one for ever',
      { yearly: 'unlimited' },
      ['2020-01-01T00:00', '2020-05-01T00:00', '2021-05-01T00:00'],
      ['2021-05-01T00:00 yearly', '2020-05-01T00:00 yearly', '2020-01-01T00:00 oldest yearly'],
    ],
  ])('%s', (_what, rules, times, expected) => {
    expect(kept(times, rules)).toEqual(expected);
  });

  test('an empty policy is refused instead of removing everything', () => {
    expect(() => applyRules([at('2024-06-01T02:00')], {}, NOW)).toThrow(RangeError);
    expect(() => applyRules([at('2024-06-01T02:00')], { last: 0 }, NOW)).toThrow(RangeError);
  });

  test('days are those of the clock that made the backup', () => {
    const late = { time: new Date('2024-06-01T23:30:00Z'), offsetMinutes: 0 };
    const early = { time: new Date('2024-06-01T22:30:00Z'), offsetMinutes: 120 };
    expect(applyRules([late, early], { daily: 2 }, NOW).map(({ reasons }) => reasons)).toEqual([['daily'], ['daily']]);
  });
});

const history = fc
  .uniqueArray(fc.integer({ min: 0, max: 400 * 24 }), { minLength: 1, maxLength: 60, size: 'max' })
  .map((hours) => hours.map((hour) => ({ time: new Date(Date.UTC(2023, 4, 1, hour)) })));
const count = fc.integer({ min: 1, max: 10 });
const names = ['last', 'hourly', 'daily', 'weekly', 'monthly', 'yearly'] as const;
const rules = fc
  .tuple(
    fc.record({ last: count, hourly: count, daily: count, weekly: count, monthly: count, yearly: count }),
    fc.subarray([...names], { minLength: 1 }),
  )
  .map(([all, chosen]): RetentionRules => Object.fromEntries(chosen.map((name) => [name, all[name]])));
const times = (items: readonly { time: Date }[], policy: RetentionRules): number[] =>
  applyRules(items, policy, NOW)
    .filter(({ keep }) => keep)
    .map(({ item }) => item.time.getTime());

describe('whatever the history and the rules', () => {
  test('the newest past one stays', () => {
    fc.assert(
      fc.property(history, rules, (items, policy) => {
        const past = items.map(({ time }) => time.getTime()).filter((time) => time <= NOW.getTime());
        if (past.length > 0) expect(times(items, policy)).toContain(Math.max(...past));
      }),
    );
  });

  test('what one run keeps the next keeps, also when an interrupted run removed only some of the rest', () => {
    fc.assert(
      fc.property(history, rules, fc.infiniteStream(fc.boolean()), (items, policy, coins) => {
        const first = times(items, policy);
        const left = items.filter(({ time }) => first.includes(time.getTime()) || coins.next().value);
        expect(times(left, policy)).toEqual(first);
      }),
    );
  });

  test('a rule that keeps more, or a rule more, never removes what was kept', () => {
    fc.assert(
      fc.property(history, rules, fc.constantFrom(...names), count, (items, policy, name, more) => {
        const larger = { ...policy, [name]: (typeof policy[name] === 'number' ? policy[name] : 0) + more };
        expect(times(items, larger)).toEqual(expect.arrayContaining(times(items, policy)));
      }),
    );
  });

  test('the order in which backups are listed makes no difference', () => {
    fc.assert(
      fc.property(history, rules, (items, policy) => {
        expect(times(items.toReversed(), policy)).toEqual(times(items, policy));
      }),
    );
  });
});

test('a plan over 100,000 timestamps takes less than a second', () => {
  const items = Array.from({ length: 100_000 }, (_, hour) => ({ time: new Date(Date.UTC(2012, 0, 1, hour)) }));
  let fastest = Infinity;
  // The fastest of several: what it takes, not what else the machine is doing.
  for (let round = 0; round < 20 && fastest >= 1000; round += 1) {
    const started = performance.now();
    const decisions = applyRules(items, { hourly: 24, daily: 7, weekly: 4, monthly: 6, yearly: 3, within: parsePeriod('14d') }, NOW);
    fastest = Math.min(fastest, performance.now() - started);
    expect(decisions.filter(({ keep }) => keep).length).toBeGreaterThan(300);
  }
  expect(fastest).toBeLessThan(1000);
});
