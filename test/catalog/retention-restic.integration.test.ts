import fc from 'fast-check';
import { expect, test } from '@jest/globals';
import { applyRules, type RetentionRules } from '../../shared/catalog/retention.ts';
import { restic } from '../backends/restic.ts';
import { describeIf } from '../support/needs.ts';
import { resticKeeps, type Kept, type OracleMoment } from './restic-oracle.ts';

const oracle = await restic();
const seed = Number(process.env['LIFEBOAT_SEED'] ?? Date.now() % 2 ** 31);
/** Histories in all; as many as one likes by LIFEBOAT_HISTORIES. */
const HISTORIES = Number(process.env['LIFEBOAT_HISTORIES'] ?? 1000);
const PER_REPOSITORY = 100;
/** Rules by which each history is judged. */
const POLICIES = 3;
const HOUR = 3_600_000;

const offset = fc.oneof(
  { weight: 4, arbitrary: fc.constant(0) },
  { weight: 2, arbitrary: fc.constantFrom(-720, -570, -210, 60, 120, 330, 345, 765, 840) },
  { weight: 1, arbitrary: fc.integer({ min: -14 * 60, max: 14 * 60 }) },
);
/** From one backup to the next, in seconds: bursts, hours, days, long gaps, and clocks that jump back. */
const gap = fc.oneof(
  fc.integer({ min: 1, max: 3600 }),
  fc.integer({ min: 1800, max: 7200 }),
  fc.constantFrom(3600, 21_600, 86_400, 604_800),
  fc.integer({ min: 80_000, max: 92_000 }),
  fc.integer({ min: 86_400, max: 86_400 * 120 }),
  fc.integer({ min: -86_400 * 3, max: -1 }),
);
/** Starts near the edges of calendars as often as anywhere. */
const start = fc.oneof(
  fc.integer({ min: Date.UTC(1996, 0, 1) / 1000, max: Date.UTC(2026, 0, 1) / 1000 }),
  fc
    .constantFrom('2015-12-27', '2016-02-28', '2020-02-27', '2020-12-26', '2024-12-28', '2021-01-01', '2023-03-24')
    .map((day) => Date.parse(`${day}T22:58:59Z`) / 1000),
);
const history = fc
  .tuple(start, fc.array(fc.tuple(gap, offset, fc.constantFrom(0, 0, 0, 1, 999)), { minLength: 1, maxLength: 80, size: 'max' }))
  .map(([first, steps]): OracleMoment[] => {
    let seconds = first;
    const latest = Date.now() - HOUR;
    const moments = new Map<number, OracleMoment>();
    for (const [gapSeconds, offsetMinutes, milliseconds] of steps) {
      seconds += gapSeconds;
      const at = Math.min(seconds * 1000 + milliseconds, latest);
      // Which of two of the very same instant comes first is not defined.
      moments.set(at, { time: new Date(at), offsetMinutes });
    }
    return [...moments.values()];
  });

const count = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: 1, max: 12 }) },
  { weight: 1, arbitrary: fc.integer({ min: 13, max: 60 }) },
  { weight: 1, arbitrary: fc.constant('unlimited' as const) },
);
const period = fc
  .record({
    years: fc.constantFrom(0, 0, 0, 1, 7),
    months: fc.constantFrom(0, 0, 1, 13),
    days: fc.constantFrom(0, 1, 14, 45),
    milliseconds: fc.integer({ min: 0, max: 60 }).map((hours) => hours * HOUR),
  })
  .filter((given) => Object.values(given).some((part) => part > 0));
const allRules = fc.record({
  ...{ last: count, hourly: count, daily: count, weekly: count, monthly: count, yearly: count, within: period },
  ...{ withinHourly: period, withinDaily: period, withinWeekly: period, withinMonthly: period, withinYearly: period },
});
const names = ['last', 'hourly', 'daily', 'weekly', 'monthly', 'yearly', 'within'] as const;
const namesWithin = ['withinHourly', 'withinDaily', 'withinWeekly', 'withinMonthly', 'withinYearly'] as const;
const rules = fc
  .tuple(allRules, fc.subarray([...names, ...namesWithin], { minLength: 1, maxLength: 4 }))
  .map(([all, chosen]): RetentionRules => Object.fromEntries(chosen.map((name) => [name, all[name]])));

/** `daily within 14d` of ours as restic says it. */
function inWordsOfRestic(reason: string): string {
  const [, oldest = '', rule = '', within] = /^(oldest )?(\w*?) ?(within.*)?$/.exec(reason) ?? [];
  if (within === undefined) return `${oldest}${rule} snapshot`;
  return rule === '' ? 'within' : `${oldest}${rule} within`;
}

function shown(entries: readonly [number, string[]][]): string[] {
  return entries.map(([at, why]) => `${new Date(at).toISOString()} ${why.join(', ')}`);
}

describeIf('program' in oracle, 'missing' in oracle ? oracle.missing : '')('retention, held against the real restic', () => {
  const program = (oracle as { program: string }).program;

  test(
    `keeps what restic keeps, for the same reasons: ${HISTORIES} generated histories, ${POLICIES} policies each (LIFEBOAT_SEED=${seed})`,
    async () => {
      const batches = fc.sample(
        fc.tuple(
          fc.array(rules, { minLength: POLICIES, maxLength: POLICIES }),
          fc.array(history, { minLength: PER_REPOSITORY, maxLength: PER_REPOSITORY }),
        ),
        { numRuns: Math.ceil(HISTORIES / PER_REPOSITORY), seed },
      );
      let judged = 0;
      let removed = 0;
      for (const [policies, histories] of batches) {
        const theirs = await resticKeeps(program, histories, policies);
        for (const [number, policy] of policies.entries()) {
          for (const [index, moments] of histories.entries()) {
            const decisions = applyRules(moments, policy, new Date());
            const ours = decisions.filter(({ keep }) => keep);
            expect({ policy, kept: shown(ours.map(({ item, reasons }) => [item.time.getTime(), reasons.map(inWordsOfRestic)])) }).toEqual({
              policy,
              kept: shown(
                [...(theirs[number]?.[index] as Kept)].map(([at, why]) => [at, why.map((reason) => reason.replace(/(within).*/, '$1'))]),
              ),
            });
            judged += moments.length;
            removed += decisions.length - ours.length;
          }
        }
      }
      // A run that removed nothing, or everything, would have proved nothing.
      expect(removed).toBeGreaterThan(judged / 20);
      expect(removed).toBeLessThan(judged);
    },
    Math.max(60_000, HISTORIES * 200),
  );

  test('differs from restic in one thing, on purpose: what is dated in the future does not count', async () => {
    const day = 24 * HOUR;
    const now = Date.now();
    const moments = [2 * day, 1 * day, -1 * day, -2 * day, -3 * day].map((ahead) => ({ time: new Date(now + ahead), offsetMinutes: 0 }));
    const [[theirs] = []] = await resticKeeps(program, [moments], [{ last: 2 }]);
    expect([...(theirs as Kept).keys()]).toEqual([now + 2 * day, now + day]);
    const ours = applyRules(moments, { last: 2 }, new Date(now)).filter(({ keep }) => keep);
    expect(ours.map(({ item, reasons }) => [(item.time.getTime() - now) / day, reasons])).toEqual([
      [2, ['dated in the future']],
      [1, ['dated in the future']],
      [-1, ['last']],
      [-2, ['last']],
    ]);
  });
});
