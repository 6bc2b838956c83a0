// Which backups rules keep: restic's `forget` semantics as one pure function.
// Source: restic 0.19.1, internal/data/snapshot_policy.go; a differential test holds this file to the real program.
import { before, formatPeriod, isEmptyPeriod, type Period } from '../step/period.ts';

/** How many; `unlimited` keeps one per bucket for ever. */
export type Count = number | 'unlimited';

/** A backup stays as long as one of the rules keeps it. */
export interface RetentionRules {
  /** The last so many. */
  last?: Count | undefined;
  /** The last one of each of the last so many hours that have one; the same for the others. */
  hourly?: Count | undefined;
  daily?: Count | undefined;
  /** ISO weeks. */
  weekly?: Count | undefined;
  monthly?: Count | undefined;
  yearly?: Count | undefined;
  /** Everything younger than this. Measured from the newest one, not from today: when backups stop, nothing ages away. */
  within?: Period | undefined;
  /** One per hour of those younger than this; the same for the others. */
  withinHourly?: Period | undefined;
  withinDaily?: Period | undefined;
  withinWeekly?: Period | undefined;
  withinMonthly?: Period | undefined;
  withinYearly?: Period | undefined;
}

/** Something with a time, as its own clock wrote it. */
export interface Moment {
  time: Date;
  /** Minutes east of UTC of the calendar whose days and weeks count; 0 when absent. */
  offsetMinutes?: number;
}

export interface Decision<T> {
  item: T;
  keep: boolean;
  /** Why it is kept: every rule that keeps it. Empty when it goes. */
  reasons: string[];
}

type BucketOf = (local: Date, position: number) => number;

const hourOf: BucketOf = (local) => Math.floor(local.getTime() / 3_600_000);
const dayOf: BucketOf = (local) => Math.floor(local.getTime() / 86_400_000);
// 1 January 1970 was a Thursday; ISO weeks start on Monday.
const weekOf: BucketOf = (local) => Math.floor((Math.floor(local.getTime() / 86_400_000) + 3) / 7);
const monthOf: BucketOf = (local) => local.getUTCFullYear() * 12 + local.getUTCMonth();
const yearOf: BucketOf = (local) => local.getUTCFullYear();

const COUNTED = [
  ['last', 'last', (_local, position) => position],
  ['hourly', 'hourly', hourOf],
  ['daily', 'daily', dayOf],
  ['weekly', 'weekly', weekOf],
  ['monthly', 'monthly', monthOf],
  ['yearly', 'yearly', yearOf],
] as const satisfies [keyof RetentionRules, string, BucketOf][];

const WITHIN = [
  ['withinHourly', 'hourly', hourOf],
  ['withinDaily', 'daily', dayOf],
  ['withinWeekly', 'weekly', weekOf],
  ['withinMonthly', 'monthly', monthOf],
  ['withinYearly', 'yearly', yearOf],
] as const satisfies [keyof RetentionRules, string, BucketOf][];

/** One rule at work: judges items from the newest to the oldest. */
interface Rule {
  label: string;
  bucketOf: BucketOf;
  /** How many it may still keep. */
  left: number;
  /** Only what is younger than this; everything when absent. */
  after?: number;
  /** Added to the reason. */
  suffix: string;
  current?: number;
}

/** True when there is no rule that could keep anything. */
export function keepsNothing(rules: RetentionRules): boolean {
  return Object.values(rules).every((rule: Count | Period | undefined) =>
    typeof rule === 'object' ? isEmptyPeriod(rule) : rule === undefined || rule === 0,
  );
}

/**
 * Judges items by rules. One dated after `now` is kept and does not count: otherwise a clock that once ran ahead would push good
 * backups out. (restic lets it count; everything else is as restic does it.)
 * @returns one decision per item, newest first
 * @throws RangeError when no rule could keep anything
 */
export function applyRules<T extends Moment>(items: readonly T[], rules: RetentionRules, now: Date): Decision<T>[] {
  if (keepsNothing(rules)) throw new RangeError('retention rules that keep nothing');
  const sorted = items.toSorted((a, b) => b.time.getTime() - a.time.getTime());
  const firstPast = sorted.findIndex(({ time }) => time.getTime() <= now.getTime());
  const past = firstPast === -1 ? [] : sorted.slice(firstPast);
  const future = firstPast === -1 ? sorted : sorted.slice(0, firstPast);
  const newest = past[0];
  const active = newest === undefined ? [] : rulesAtWork(rules, newest);
  return [
    ...future.map((item) => ({ item, keep: true, reasons: ['dated in the future'] })),
    ...past.map((item, position) => {
      const reasons = reasonsToKeep(item, position, position === past.length - 1, active);
      return { item, keep: reasons.length > 0, reasons };
    }),
  ];
}

function rulesAtWork(rules: RetentionRules, newest: Moment): Rule[] {
  const after = (period: Period): number => before(newest.time, period, newest.offsetMinutes).getTime();
  const active: Rule[] = [];
  const { within } = rules;
  if (within !== undefined && !isEmptyPeriod(within)) {
    // Every item is a bucket of its own.
    active.push({
      label: '',
      bucketOf: (_local, position) => position,
      left: Infinity,
      after: after(within),
      suffix: `within ${formatPeriod(within)}`,
    });
  }
  for (const [name, label, bucketOf] of COUNTED) {
    const count = rules[name];
    if (count !== undefined && count !== 0) active.push({ label, bucketOf, left: count === 'unlimited' ? Infinity : count, suffix: '' });
  }
  for (const [name, label, bucketOf] of WITHIN) {
    const period = rules[name];
    if (period === undefined || isEmptyPeriod(period)) continue;
    active.push({ label, bucketOf, left: Infinity, after: after(period), suffix: `within ${formatPeriod(period)}` });
  }
  return active;
}

function reasonsToKeep({ time, offsetMinutes = 0 }: Moment, position: number, oldest: boolean, active: readonly Rule[]): string[] {
  const reasons: string[] = [];
  const local = new Date(time.getTime() + offsetMinutes * 60_000);
  for (const rule of active) {
    if (rule.left === 0 || (rule.after !== undefined && time.getTime() <= rule.after)) continue;
    const bucket = rule.bucketOf(local, position);
    const newBucket = bucket !== rule.current;
    // The oldest one stays while a rule has room left: that makes the history as long as it can be.
    if (!newBucket && !oldest) continue;
    rule.current = bucket;
    rule.left -= 1;
    reasons.push([newBucket ? '' : 'oldest', rule.label, rule.suffix].filter((word) => word !== '').join(' '));
  }
  return reasons;
}
