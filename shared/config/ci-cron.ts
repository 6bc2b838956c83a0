// A schedule as cron lines for a CI system, which knows UTC alone, no summer time and no "first sunday": lines that come at least as often;
// `backup-all --due` ends at once on the days that are too many.
import { runsBetween, utcCronOf } from './schedule.ts';

/** Enough for all that differs between years: leap days, the last day of February. */
const HORIZON_MS = 9 * 366 * 86_400_000;
const MOST_RUNS = 4000;
/** When so many runs take less than a year, not all of summer and winter have been seen. */
const YEAR_MS = 366 * 86_400_000;
/** A time of day that is rarer than this comes from the hour that is skipped in spring; the next line serves it. */
const RARE = 0.02;

interface Time {
  minute: number;
  hour: number;
  count: number;
  weekdays: Set<number>;
  days: Set<number>;
}

/** Cron expressions of five fields in UTC that come due whenever the schedule does, and perhaps more often. @param from the first moment that counts */
export function utcCrons(schedule: string, from: Date): string[] {
  const lines = schedule.split(/ *; */).flatMap((entry) => utcCronOf(entry) ?? computed(entry, from));
  return [...new Set(lines)];
}

/** True when every entry of the schedule is a cron line that a CI system understands as it is meant. */
export function isUtcCron(schedule: string): boolean {
  return schedule.split(/ *; */).every((entry) => utcCronOf(entry) !== undefined);
}

function computed(entry: string, from: Date): string[] {
  const runs = runsBetween(entry, from, new Date(from.getTime() + HORIZON_MS), MOST_RUNS);
  const dense = runs[MOST_RUNS - 1];
  if (dense && dense.getTime() - from.getTime() < YEAR_MS) {
    return [`${listed(runs.map((run) => run.getUTCMinutes()))} * * * *`];
  }
  const times = timesOf(runs).filter(({ count }) => count >= runs.length * RARE);
  const byDay = Map.groupBy(times, (time) => `${time.minute} ${dayFields(time)}`);
  const lines = [...byDay.values()].map((group) => ({
    minute: (group[0] as Time).minute,
    rest: `${listed(group.map(({ hour }) => hour))} ${dayFields(group[0] as Time)}`,
  }));
  return [...Map.groupBy(lines, ({ rest }) => rest)].map(([rest, group]) => `${listed(group.map(({ minute }) => minute))} ${rest}`);
}

/** The times of day, UTC, and the days on which each comes. */
function timesOf(runs: readonly Date[]): Time[] {
  const times = new Map<string, Time>();
  for (const run of runs) {
    const [minute, hour] = [run.getUTCMinutes(), run.getUTCHours()];
    const key = `${hour}:${minute}`;
    const time = times.get(key) ?? { minute, hour, count: 0, weekdays: new Set<number>(), days: new Set<number>() };
    times.set(key, time);
    time.count += 1;
    time.weekdays.add(run.getUTCDay());
    time.days.add(run.getUTCDate());
  }
  return [...times.values()];
}

/** `day-of-month month day-of-week`: by whichever of the two leaves out more. Never both, which cron would take as either. */
function dayFields({ weekdays, days }: Time): string {
  if (weekdays.size === 7 && days.size === 31) return '* * *';
  return days.size / 31 < weekdays.size / 7 ? `${listed(days)} * *` : `* * ${weekdays.size === 7 ? '*' : listed(weekdays)}`;
}

function listed(numbers: Iterable<number>): string {
  return [...new Set(numbers)].sort((a, b) => a - b).join(',');
}
