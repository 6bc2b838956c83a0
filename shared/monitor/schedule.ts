// When the next backup is due and from when on it is missing.
import { longestGap, nextRuns } from '../config/schedule.ts';

const MINUTE_MS = 60_000;
const SHORTEST_GRACE_MS = 15 * MINUTE_MS;
/** Hosted CI starts scheduled runs up to hours late at busy times (jdubois/boot-ui#323: 95 minutes). */
const LONGEST_GRACE_MS = 3 * 60 * MINUTE_MS;

/** What a schedule says about the time after the last good backup. */
export interface Due {
  /** The longest time between two backups, in milliseconds. */
  intervalMs: number;
  /** The first run that must have given a newer backup. */
  due: Date;
  /** From here on it is missing. */
  missingFrom: Date;
}

/**
 * @param last time of the last good backup
 * @param graceMs default: a quarter of the interval, at least 15 minutes, at most 3 hours
 */
export function dueAfter(schedule: string, last: Date, graceMs?: number): Due {
  const [first, second] = nextRuns(schedule, last, 2) as [Date, Date];
  const intervalMs = longestGap(schedule, last);
  // A backup by hand shortly before the time counts for the run that follows: its data is as good.
  const early = first.getTime() - last.getTime() < (second.getTime() - first.getTime()) / 4;
  const due = early ? second : first;
  const grace = graceMs ?? Math.min(LONGEST_GRACE_MS, Math.max(SHORTEST_GRACE_MS, intervalMs / 4));
  return { intervalMs, due, missingFrom: new Date(due.getTime() + grace) };
}
