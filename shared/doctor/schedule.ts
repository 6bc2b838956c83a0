// Checks of the schedule: is there one, does it avoid the minutes when CI systems are late, and do verified backups come as often as it says.
import { knownBackups } from '../catalog/known.ts';
import { isAhead } from '../catalog/list.ts';
import { crowdedMinute, longestGap, nextRuns } from '../config/schedule.ts';
import { stableMinute } from '../config/jitter.ts';
import { formatAge, formatSeconds } from '../step/format.ts';
import type { Store } from '../stores/store.ts';
import { skipped, type Check, type Finding } from '../backup/finding.ts';

export interface ScheduleSubject {
  store: Store | undefined;
  prefix: string;
  component: string | undefined;
  /** dr.yml's `schedule`; null without a dr.yml. */
  schedule: string | null | undefined;
  now: Date;
}

/** How long after it was due a backup counts as missing: a run that starts late and takes its time. */
const GRACE_MS = 2 * 3_600_000;

/** `schedule` and `freshness`. */
export function scheduleChecks(subject: ScheduleSubject): Check[] {
  return [
    { name: 'schedule', look: async () => schedule(subject) },
    { name: 'freshness', look: async (signal) => freshness(subject, signal) },
  ];
}

function schedule({ schedule: cron, prefix, now }: ScheduleSubject): Finding {
  if (cron === null) return skipped('There is no dr.yml to say when backups are due.');
  const minute = stableMinute(prefix);
  if (cron === undefined) {
    return {
      status: 'warning',
      seen: 'dr.yml does not say when backups are due, so no one can tell when one is missing.',
      fix: `Add schedule: "${minute} 2 * * *" to the component (UTC), the same as in the workflow or pipeline.`,
    };
  }
  if (crowdedMinute(cron, now) !== undefined) {
    const moved = cron.replace(/^(?:00?|30)(?= +\S+(?: +\S+){3}$)/, String(minute));
    return {
      status: 'warning',
      seen: `The schedule "${cron}" comes due at a full or half hour, when GitHub delays or drops runs.`,
      fix: `Move it to ${moved === cron ? `minute ${minute}` : `"${moved}"`}, for example, in dr.yml and in the workflow or pipeline.`,
    };
  }
  const next = nextRuns(cron, now, 1).map((run) => `next due ${run.toISOString().slice(0, 16).replace('T', ' ')} UTC, `);
  return { status: 'ok', seen: `"${cron}": ${next.join('')}at most ${formatSeconds(longestGap(cron, now) / 1000)} between two backups.` };
}

async function freshness({ store, prefix, component, schedule: cron, now }: ScheduleSubject, signal: AbortSignal): Promise<Finding> {
  if (!store) return skipped('No store is given.');
  const backups = await knownBackups(store, prefix, { component, signal });
  const latest = backups.findLast((backup) => backup.state === 'verified' && !isAhead(backup, now));
  if (!latest) return { status: 'warning', seen: 'There is no verified backup yet.', fix: 'Make one: lifeboat backup-all' };
  const seen = `The latest verified backup is ${latest.timestamp}, ${formatAge(latest.time, now)}`;
  if (typeof cron !== 'string') return { status: 'ok', seen: `${seen}.` };
  const allowed = longestGap(cron, now) + GRACE_MS;
  if (now.getTime() - latest.time.getTime() <= allowed) return { status: 'ok', seen: `${seen}, as the schedule says.` };
  return {
    status: 'failed',
    seen: `${seen}; the schedule says at least every ${formatSeconds((allowed - GRACE_MS) / 1000)}.`,
    fix:
      'Look at the last runs. GitHub switches schedules off after 60 days without a commit (gh workflow enable backup.yml); ' +
      'Azure runs them only on changes unless the pipeline says always: true.',
  };
}
