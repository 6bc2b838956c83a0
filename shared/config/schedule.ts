// When backups are due: cron expressions of five fields in UTC, as GitHub and Azure Pipelines take them.
import { Cron } from 'croner';
import { plainText } from './fields.ts';

/** A cron expression that is valid and comes due at some time. */
export const scheduleSchema = plainText(
  {
    description:
      'When the backup is due: a cron expression of five fields (minute, hour, day of month, month, day of week), in UTC. ' +
      'The CI system starts the runs; this is what they are held against.',
    example: '17 2 * * *',
  },
  { pattern: String.raw`\S+(?: +\S+){4}`, expected: 'expected a cron expression of five fields, such as "17 2 * * *"' },
).superRefine((expression, context) => {
  const problem = scheduleProblem(expression);
  if (problem !== undefined) context.addIssue({ code: 'custom', message: problem });
});

function scheduleProblem(expression: string): string | undefined {
  try {
    return cron(expression).nextRun() === null ? 'expected a time that exists: this one never comes' : undefined;
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message.replace(/^CronPattern: /, '') : String(thrown);
    return `expected a cron expression of five fields, such as "17 2 * * *" (${reason})`;
  }
}

function cron(expression: string): Cron {
  return new Cron(expression, { mode: '5-part', timezone: 'UTC', paused: true });
}

/** The next moments after `from` at which a valid schedule is due. */
export function nextRuns(expression: string, from: Date, count: number): Date[] {
  return cron(expression).nextRuns(count, from);
}

/** The longest time between two of the next hundred runs, in milliseconds: what the schedule alone can promise for the RPO. */
export function longestGap(expression: string, from: Date): number {
  const runs = nextRuns(expression, from, 100);
  return runs.slice(1).reduce((longest, run, index) => Math.max(longest, run.getTime() - (runs[index] as Date).getTime()), 0);
}
