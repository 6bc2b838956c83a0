// Which backup to restore: the one that was named, or the latest verified one, never an older one by surprise.
import { RefusedError, UserError, VerificationError } from '../step/errors.ts';
import { parseTimestamp, type Timestamp } from '../step/timestamp.ts';
import type { Store } from '../stores/store.ts';
import { BEING_REMOVED_FIX } from './in-use.ts';
import { readCatalog, stateText } from './known.ts';
import { isAhead, type BackupState, type ListedBackup } from './list.ts';
import { isFailure, type ListedRun } from './runs.ts';

export interface PickRequest {
  store: Store;
  prefix: string;
  component: string;
  /** A certain backup; the latest verified one when absent. */
  timestamp?: Timestamp | undefined;
  /** Takes the latest verified backup although a newer attempt failed or is doubtful. */
  allowOlder?: boolean;
  /** What tells a backup that a wrong clock has dated ahead; this machine's clock when absent. */
  now?: Date;
  signal?: AbortSignal | undefined;
}

export interface PickedBackup {
  backup: ListedBackup;
  /** What a person should know about this choice, one sentence each. */
  notices: string[];
  /** Of the latest verified one: which newer ones are no use, and why. */
  skipped?: string | undefined;
}

/**
 * Chooses a backup. Newer ones that are damaged or without a key are passed over: nothing better can be had.
 * @throws UserError when there is none, naming near choices; RefusedError when the latest verified one is older than the newest attempt that
 * failed or is doubtful
 */
export async function pickBackup(request: PickRequest): Promise<PickedBackup> {
  const { store, prefix, component, signal } = request;
  const { backups, runs } = await readCatalog(store, prefix, { component, signal });
  return pickFrom({ backups, failed: failedAttempts(runs, component), where: store.location }, request);
}

/** What a choice is made from. */
export interface Choices {
  /** Oldest first. */
  backups: readonly ListedBackup[];
  failed: readonly Attempt[];
  /** Where they lie, for messages. */
  where: string;
}

/** Chooses from what is known already. @throws as `pickBackup` */
export function pickFrom(
  { backups, failed, where }: Choices,
  request: Pick<PickRequest, 'component' | 'timestamp' | 'allowOlder' | 'now'>,
): PickedBackup {
  const { component, now = new Date() } = request;
  if (request.timestamp !== undefined) return pickNamed(component, request.timestamp, backups, where);
  const latest = backups.findLast((backup) => backup.state === 'verified' && !isAhead(backup, now));
  const ahead = backups.findLast((backup) => isUsable(backup) && !isBad(backup) && isAhead(backup, now));
  const attempts = attemptsOf(backups, failed);
  const newest = ahead
    ? { timestamp: ahead.timestamp, what: 'a wrong clock has dated ahead of now' }
    : newestOf(attempts.filter(({ bad }) => !bad));
  if (!latest) {
    const damaged = backups.findLast(({ state }) => state === 'damaged');
    const others = backups.filter(({ state }) => state === 'committed' || state === 'suspect');
    if (damaged && others.length === 0) {
      throw new VerificationError(
        `There is no verified backup of ${component} in ${where}: ${damaged.timestamp} ${damaged.damage ?? 'is damaged'}.`,
        {
          fix: 'Make a new backup now, and look for a copy of this one in another store.',
        },
      );
    }
    throw new UserError(`There is no verified backup of ${component} in ${where}.`, {
      fix:
        backups.length === 0
          ? 'Nothing is there: check store, name and component and, for a folder, whether its disk is mounted.'
          : `There are: ${choices(backups)}. Name one by its timestamp.`,
    });
  }
  if (newest === undefined || newest.timestamp <= latest.timestamp) {
    const skipped = newestOf(attempts.filter(({ bad, timestamp }) => bad && timestamp > latest.timestamp));
    return { backup: latest, notices: [], skipped: skipped && skippedText(component, skipped, latest) };
  }
  const sentence = `The latest verified backup of ${component} is ${latest.timestamp}, older than the newest attempt, ${newest.timestamp}, which ${newest.what}.`;
  if (request.allowOlder) return { backup: latest, notices: [sentence] };
  throw new RefusedError(sentence, {
    fix: `It lacks whatever changed since. To use one anyway, give its timestamp: ${choices(backups)}.`,
  });
}

/** Nothing can be restored from it, as far as is known: there is no surprise in taking an older one. */
function isBad({ state }: ListedBackup): boolean {
  return state === 'damaged' || state === 'keyless';
}

function skippedText(component: string, { timestamp, what }: Attempt, latest: ListedBackup): string {
  return `The newest backup of ${component}, ${timestamp}, ${what}: ${latest.timestamp}, the last good one, is taken instead.`;
}

/** A damaged one is not among them: reading it says where it is damaged. */
const UNUSABLE: Partial<Record<BackupState, string>> = {
  leftover: 'was never completed: it has no manifest',
  pruning: 'is being removed by retention',
};

/** What a run found may have been mended since: one that is named is read again, and proved before anything is touched. */
function isUsable({ state, found }: ListedBackup): boolean {
  return UNUSABLE[state] === undefined || found !== undefined;
}

function pickNamed(component: string, timestamp: Timestamp, backups: readonly ListedBackup[], where: string): PickedBackup {
  const backup = backups.find((candidate) => candidate.timestamp === timestamp);
  const usable = backups.filter((candidate) => isUsable(candidate) && candidate.damage === undefined);
  if (!backup) {
    throw new UserError(`There is no backup of ${component} at ${timestamp} in ${where}.`, {
      fix:
        usable.length === 0
          ? 'There is none at all: check store, name and component and, for a folder, whether its disk is mounted.'
          : `Near it: ${choices(nearest(usable, timestamp))}.`,
    });
  }
  if (!isUsable(backup)) {
    const why = UNUSABLE[backup.state] ?? '';
    const wait = backup.whole ? `${BEING_REMOVED_FIX} ` : '';
    throw new UserError(`The backup of ${component} at ${timestamp} in ${where} ${why}.`, {
      fix: `${wait}${
        usable.length === 0
          ? 'There is no other one in this store; look at its copies.'
          : `Near it: ${choices(nearest(usable, timestamp))}.`
      }`,
    });
  }
  if (backup.state === 'verified') return { backup, notices: [] };
  return { backup, notices: [`The backup of ${component} at ${timestamp} ${doubtOf(backup, backups)}.`] };
}

/** What speaks against a backup that was named all the same. */
function doubtOf(backup: ListedBackup, backups: readonly ListedBackup[]): string {
  if (backup.damage !== undefined) return backup.damage;
  if (backup.found === undefined)
    return backup.state === 'suspect'
      ? 'is marked suspect: its content was doubtful when it was made'
      : 'was not fully read back when it was made';
  const good = backups.findLast(({ state }) => state === 'verified');
  return `was ${stateText(backup).replace(/^without a key, as /, 'without a key when last ')}; ${good ? `the last good one is ${good.timestamp}` : 'there is no other good one'}`;
}

/** Something that wanted to be a backup, and what became of it, such as `failed`. */
export interface Attempt {
  timestamp: string;
  what: string;
  /** It became a backup, which is damaged or without a key now. */
  bad?: boolean | undefined;
}

/** The newest of all that tried to be a backup. */
export function newestAttempt(backups: readonly ListedBackup[], failed: readonly Attempt[]): Attempt | undefined {
  return newestOf(attemptsOf(backups, failed));
}

/** All that tried to be a backup, in no order. */
export function attemptsOf(backups: readonly ListedBackup[], failed: readonly Attempt[]): Attempt[] {
  const listed = backups.filter(({ state }) => state !== 'pruning');
  return [...failed, ...listed.map((backup) => ({ timestamp: backup.timestamp, what: attemptText(backup), bad: isBad(backup) }))];
}

function newestOf(attempts: readonly Attempt[]): Attempt | undefined {
  return attempts.reduce<Attempt | undefined>((newest, next) => (newest && newest.timestamp > next.timestamp ? newest : next), undefined);
}

/** What became of an attempt, after "which". */
function attemptText(backup: ListedBackup): string {
  const { state, found, damage } = backup;
  if (state === 'damaged' && damage !== undefined) return damage;
  if (state === 'suspect') return 'is marked suspect';
  if (state === 'leftover' || state === 'committed') return `was ${stateText(backup)}`;
  return `${found === undefined || state === 'keyless' ? 'is' : 'was'} ${stateText(backup)}`;
}

/** Runs that tried to back this component up and left nothing: told by their records. @param runs oldest first */
export function failedAttempts(runs: readonly ListedRun[], component: string): Attempt[] {
  const attempts: Attempt[] = [];
  for (const run of runs) {
    if (run.component !== component || run.backup === undefined || parseTimestamp(run.backup) === undefined) continue;
    if (isFailure(run)) attempts.push({ timestamp: run.backup, what: 'failed' });
    else if (run.outcome === 'cancelled') attempts.push({ timestamp: run.backup, what: 'was cancelled' });
  }
  return attempts;
}

/** The three before and the three after, by time. */
function nearest(backups: readonly ListedBackup[], timestamp: string): ListedBackup[] {
  const after = backups.findIndex((backup) => backup.timestamp > timestamp);
  const at = after === -1 ? backups.length : after;
  return backups.slice(Math.max(0, at - 3), at + 3);
}

/** The last six with their states, the newest first: that is the one most people want. */
function choices(backups: readonly ListedBackup[]): string {
  return backups
    .slice(-6)
    .toReversed()
    .map((backup) => `${backup.timestamp} (${backup.found === undefined ? backup.state : stateText(backup)})`)
    .join(', ');
}
