// Figures that rules judge and metrics export: what is usual, what failed, what waits for its copy.
import type { ListedBackup } from '../catalog/list.ts';
import { isFailure, type ListedRun } from '../catalog/runs.ts';
import { timestampToDate } from '../step/timestamp.ts';
import type { CopyFacts } from './component-facts.ts';
import type { ComponentFacts } from './component-facts.ts';

/** Backups before the newest one that make up what is usual; fewer than the minimum make nothing. */
const HISTORY = 10;
const HISTORY_MIN = 3;
/** An attempt without a manifest is given up after so long; before that it may be at work. */
const AT_WORK_MS = 6 * 3_600_000;

/** The newest backup that was read back and proved. */
export function lastVerified({ backups }: Pick<ComponentFacts, 'backups'>): ListedBackup | undefined {
  return backups.findLast(({ state }) => state === 'verified');
}

/** The newest backup that is there whole and not doubtful. */
export function lastGood({ backups }: Pick<ComponentFacts, 'backups'>): ListedBackup | undefined {
  return backups.findLast(isGood);
}

/** True for one that is there whole and not doubtful. */
export function isGood({ state }: ListedBackup): boolean {
  return state === 'verified' || state === 'committed';
}

/** The newest attempt at a backup: one that is there, one that a record tells of, or what an interrupted one left. */
export function lastAttempt({ backups, leftovers, runs }: Pick<ComponentFacts, 'backups' | 'leftovers' | 'runs'>): Date | undefined {
  const attempts = [
    backups.at(-1)?.time,
    leftovers.at(-1)?.time,
    backupRuns(runs)
      .map(({ timestamp }) => timestampToDate(timestamp))
      .at(-1),
  ];
  return attempts.reduce((newest, next) => (newest && (!next || newest > next) ? newest : next), undefined);
}

function backupRuns(runs: readonly ListedRun[]): ListedRun[] {
  return runs.filter(({ backup }) => backup !== undefined);
}

/** Failed attempts at a backup, since a moment where one is given. */
export function failedRuns({ runs }: Pick<ComponentFacts, 'runs'>, since?: Date): ListedRun[] {
  return backupRuns(runs).filter((run) => isFailure(run) && (since === undefined || timestampToDate(run.timestamp) >= since));
}

/** Failed attempts since the last good backup. */
export function failuresSinceSuccess(facts: Pick<ComponentFacts, 'backups' | 'runs'>): ListedRun[] {
  const good = lastGood(facts)?.time;
  return failedRuns(facts).filter(({ timestamp }) => good === undefined || timestampToDate(timestamp) > good);
}

/** An attempt that was never completed since the last good backup. A run that was killed leaves no record (velero#7239). */
export function interruptedSinceSuccess(facts: Pick<ComponentFacts, 'backups' | 'leftovers'>, now: Date): ListedBackup | undefined {
  const good = lastGood(facts)?.time;
  return facts.leftovers.find(({ time }) => (good === undefined || time > good) && now.getTime() - time.getTime() > AT_WORK_MS);
}

/** Backups that cannot be restored: damaged, or without a key. */
export function badBackups({ backups }: Pick<ComponentFacts, 'backups'>): ListedBackup[] {
  return backups.filter(({ state }) => state === 'damaged' || state === 'keyless');
}

/** The last run that found data not to be what it should be, named no backup, and was not followed by one of its step that found all well. */
export function unsettledVerification({ runs }: Pick<ComponentFacts, 'runs'>): ListedRun | undefined {
  const open = new Map<string, ListedRun>();
  for (const run of runs) {
    if (run.outcome === 'succeeded' || run.outcome === 'partial') open.delete(run.step);
    else if (run.errorKind === 'verification' && run.badBackups.length === 0) open.set(run.step, run);
  }
  return [...open.values()].at(-1);
}

/** The newest backup's figure and what is usual. */
export interface Usual {
  newest: number;
  usual: number;
  time: Date;
}

/** Milliseconds: the newest backup's duration and the average of those before it; undefined without enough of them. */
export function usualDuration(facts: Pick<ComponentFacts, 'backups'>): Usual | undefined {
  return usualOf(
    facts,
    ({ durationMs }) => durationMs,
    (before) => before.reduce((sum, each) => sum + each, 0) / before.length,
  );
}

/** Bytes before compression: the newest backup's size and the median of those before it, which one odd size does not move. */
export function usualSize(facts: Pick<ComponentFacts, 'backups'>): Usual | undefined {
  return usualOf(
    facts,
    ({ plainBytes }) => plainBytes,
    (before) => before.toSorted((a, b) => a - b)[before.length >> 1] as number,
  );
}

function usualOf(
  { backups }: Pick<ComponentFacts, 'backups'>,
  figureOf: (backup: ListedBackup) => number | undefined,
  usualIn: (before: readonly number[]) => number,
): Usual | undefined {
  const known: readonly { figure: number; time: Date }[] = backups
    .filter(({ state }) => state !== 'damaged' && state !== 'keyless')
    .flatMap((backup) => {
      const figure = figureOf(backup);
      return figure === undefined ? [] : [{ figure, time: backup.time }];
    });
  const newest = known.at(-1);
  const before = known.slice(-HISTORY - 1, -1).map(({ figure }) => figure);
  if (newest === undefined || before.length < HISTORY_MIN) return undefined;
  return { newest: newest.figure, usual: usualIn(before), time: newest.time };
}

/** The oldest backup that waits for its copy in a store. */
export interface Waiting {
  backup: ListedBackup;
  /** Since when it could have been copied. */
  since: Date;
  /** Milliseconds. */
  lagMs: number;
}

/** What is newer than the newest copy and whole, the oldest of it; undefined when the store has everything. */
export function waitingForCopy({ backups }: Pick<ComponentFacts, 'backups'>, { newest }: CopyFacts, now: Date): Waiting | undefined {
  const backup = backups.find((one) => isGood(one) && (newest === undefined || one.timestamp > newest.timestamp));
  const since = backup && (backup.created ?? backup.time);
  return since && { backup, since, lagMs: Math.max(0, now.getTime() - since.getTime()) };
}
