// Whether a backup is due: the CI system's cron may come more often than the schedule, late, twice or a little early; the schedule decides.
import { lastRun, nextRuns } from './schedule.ts';

/** A machine whose clock is behind must not skip a month. */
const MOST_EARLY_MS = 5 * 60_000;

/**
 * True when no backup was made since the schedule last came due; one that was missed, or failed, stays due until it is made.
 * @param last when the last backup was made; undefined: there is none yet, which is due at once
 */
export function isDue(schedule: string, last: Date | undefined, now: Date): boolean {
  if (last === undefined) return true;
  const early = earliness(schedule, now);
  const due = lastRun(schedule, new Date(now.getTime() + early));
  return due !== undefined && last.getTime() < due.getTime() - early;
}

/** How much before its time a run counts as on time: a few minutes, but little against the time between two runs. */
export function earliness(schedule: string, now: Date): number {
  const [first, second] = nextRuns(schedule, now, 2);
  const gap = first && second ? second.getTime() - first.getTime() : Infinity;
  return Math.min(MOST_EARLY_MS, gap / 4);
}
