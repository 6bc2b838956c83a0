// When backups are due: cron expressions of five fields, and what cron cannot say, such as "first sunday at 00:17"; in UTC or a time zone.
import { Cron } from 'croner';
import { plainText } from '../schema/fields.ts';

const CRON = String.raw`\S+(?: +\S+){4}`;
const WEEKDAYS = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'];
const ORDINALS: Readonly<Record<string, string>> = { first: '#1', second: '#2', third: '#3', fourth: '#4', last: '#L' };
const WORDS = String.raw`(?:daily|last day|day \d{1,2}|(?:(?:${Object.keys(ORDINALS).join('|')}) )?(?:${WEEKDAYS.join('|')})) at \d{2}:\d{2}`;
const ZONE = String.raw`(?: +(?:UTC|[A-Z][A-Za-z_]+(?:/[A-Za-z0-9_+-]+)+))?`;
const ENTRY = `(?:${WORDS}|${CRON})${ZONE}`;
const EXPECTED = 'expected a cron expression of five fields, such as "17 2 * * *", or words, such as "first sunday at 00:17"';

/** One or more entries, separated by `;`, each of which comes due at some time. */
export const scheduleSchema = plainText(
  {
    description:
      'When the backup is due: a cron expression of five fields (minute, hour, day of month, month, day of week), or in words: daily at 02:17, ' +
      'sunday at 01:17, first sunday at 00:17, last friday at 22:17, day 15 at 02:17, last day at 23:17. UTC, unless a time zone follows ' +
      '(17 2 * * * Europe/Berlin). Several are separated by ";". The CI system starts the runs; Lifeboat uses this to notice a missing one.',
    example: '17 2 * * *',
  },
  { pattern: String.raw`${ENTRY}(?: *; *${ENTRY})*`, expected: EXPECTED },
).superRefine((schedule, context) => {
  const problem = scheduleProblem(schedule);
  if (problem !== undefined) context.addIssue({ code: 'custom', message: problem });
});

function scheduleProblem(schedule: string): string | undefined {
  for (const entry of entriesOf(schedule)) {
    try {
      if (cron(entry).nextRun() === null) return 'expected a time that exists: this one never comes';
    } catch (thrown) {
      const reason = thrown instanceof Error ? thrown.message.replace(/^CronPattern: /, '') : String(thrown);
      return `${EXPECTED} (${reason})`;
    }
  }
  return undefined;
}

interface Entry {
  /** As croner takes it, with `#1` for the first weekday of a month and `L` for the last day. */
  pattern: string;
  timeZone: string;
}

function entriesOf(schedule: string): Entry[] {
  return schedule.split(/ *; */).map((text) => {
    const [, what = '', timeZone = 'UTC'] = new RegExp(`^(${WORDS}|${CRON}?)(?: +(\\S+))?$`).exec(text.trim()) ?? [];
    return { pattern: patternOf(what), timeZone };
  });
}

function patternOf(what: string): string {
  const [, day = '', hour = '', minute = ''] = /^(.+) at (\d{2}):(\d{2})$/.exec(what) ?? [];
  if (day === '') return what;
  const time = `${Number(minute)} ${Number(hour)}`;
  if (day === 'daily') return `${time} * * *`;
  if (day === 'last day') return `${time} L * *`;
  if (day.startsWith('day ')) return `${time} ${Number(day.slice(4))} * *`;
  const [ordinal, weekday = ordinal] = day.split(' ') as [string, string?];
  return `${time} * * ${WEEKDAYS.indexOf(weekday)}${day === weekday ? '' : (ORDINALS[ordinal] as string)}`;
}

function cron({ pattern, timeZone }: Entry): Cron {
  return new Cron(pattern, { mode: '5-part', timezone: timeZone, paused: true });
}

/** The next moments after `from` at which a valid schedule is due. */
export function nextRuns(schedule: string, from: Date, count: number): Date[] {
  const times = entriesOf(schedule).flatMap((entry) =>
    cron(entry)
      .nextRuns(count, from)
      .map((run) => run.getTime()),
  );
  return [...new Set(times)]
    .sort((a, b) => a - b)
    .slice(0, count)
    .map((time) => new Date(time));
}

/** The runs after `from` and before `until`, at most so many. */
export function runsBetween(schedule: string, from: Date, until: Date, most: number): Date[] {
  const runs: Date[] = [];
  for (let after: Date | undefined = from; after && runs.length < most;) {
    const more: Date[] = nextRuns(schedule, after, Math.min(100, most - runs.length)).filter((run) => run < until);
    runs.push(...more);
    after = more[99];
  }
  return runs;
}

/** The last moment, `before` included, at which a valid schedule was due; undefined when it never was. */
export function lastRun(schedule: string, before: Date): Date | undefined {
  const reference = new Date(before.getTime() + 1);
  const times = entriesOf(schedule).flatMap((entry) =>
    cron(entry)
      .previousRuns(1, reference)
      .map((run) => run.getTime()),
  );
  return times.length === 0 ? undefined : new Date(Math.max(...times));
}

/** The cron expression of an entry that any CI system can run as it stands; undefined when it has a time zone, or days that cron cannot say. */
export function utcCronOf(entry: string): string | undefined {
  const [{ pattern, timeZone } = { pattern: '#', timeZone: '' }] = entriesOf(entry);
  return timeZone === 'UTC' && !/[#LW?]/i.test(pattern.replace(/[A-Z]{3}/gi, '')) ? pattern : undefined;
}

/** The longest time between two of the next hundred runs, in milliseconds: what the schedule alone can promise for the RPO. */
export function longestGap(schedule: string, from: Date): number {
  const runs = nextRuns(schedule, from, 100);
  return runs.slice(1).reduce((longest, run, index) => Math.max(longest, run.getTime() - (runs[index] as Date).getTime()), 0);
}

/** How many runs of each are compared: three months of a daily one. */
const COMPARED_RUNS = 100;

/** The first moment at which both are due in the same minute; undefined when their next runs do not meet. */
export function collision(one: string, other: string, from: Date): Date | undefined {
  const minutes = new Set(nextRuns(one, from, COMPARED_RUNS).map((run) => run.getTime()));
  return nextRuns(other, from, COMPARED_RUNS).find((run) => minutes.has(run.getTime()));
}

/** The minute, 0 or 30, at which it comes due though hosted CI starts runs late or not at all then; undefined when it keeps off. */
export function crowdedMinute(schedule: string, from: Date): number | undefined {
  return nextRuns(schedule, from, 24)
    .map((run) => run.getUTCMinutes())
    .find((minute) => minute === 0 || minute === 30);
}
