// Where a backup's objects lie in a store: every name below the prefix is made and read here, and nowhere else.
import { UsageError } from '../step/errors.ts';
import { componentProblem, prefixProblem, SAFETY } from '../step/names.ts';
import { parseTimestamp, type Timestamp } from '../step/timestamp.ts';

const STEP = /^[a-z][a-z0-9-]{0,62}$/;
const HOLD_ID = /^[a-z0-9]{8}$/;

/** Beside a backup's data from before its manifest goes until its keys are gone. */
export const PRUNE_FILE = 'prune.json';

/** The objects of one backup. */
export interface BackupNames {
  /** `<prefix>/<component>/<timestamp>/` */
  folder: string;
  data: string;
  manifest: string;
  /** Lies there only while the backup is being removed. */
  prune: string;
}

/**
 * Checks a component's name, as `componentProblem` knows it.
 * @throws UsageError
 */
export function checkComponent(component: string): string {
  const problem = componentProblem(component);
  if (problem !== undefined)
    throw new UsageError(`The component name ${shown(component)} cannot be used: ${problem}.`, { fix: 'Choose another name for it.' });
  return component;
}

/**
 * Checks a prefix (default: `dr.yml`'s name), as `prefixProblem` knows it; may be empty.
 * @throws UsageError
 */
export function checkPrefix(prefix: string): string {
  const problem = prefix === '' ? undefined : prefixProblem(prefix);
  if (problem !== undefined)
    throw new UsageError(`The prefix ${shown(prefix)} cannot be used: ${problem}.`, { fix: 'Choose another name, in dr.yml or as input.' });
  return prefix;
}

function below(prefix: string, rest: string): string {
  return checkPrefix(prefix) === '' ? rest : `${prefix}/${rest}`;
}

/** Names of one backup's objects. @throws UsageError for a bad prefix or component */
export function backupNames(prefix: string, component: string, timestamp: Timestamp): BackupNames {
  const folder = `${componentFolder(prefix, component)}${timestamp}/`;
  return { folder, data: `${folder}data`, manifest: `${folder}manifest.json`, prune: `${folder}${PRUNE_FILE}` };
}

/** `<prefix>/<component>/`: what to list for one component. */
export function componentFolder(prefix: string, component: string): string {
  return below(prefix, `${checkComponent(component)}/`);
}

/** Lies beside a component's backups from its first one on, in a store on a disk. */
export function begunName(prefix: string, component: string): string {
  return `${componentFolder(prefix, component)}begun.json`;
}

/** `<prefix>/<component>/copies/`: with which other stores this one shares the component's backups, one object per store. */
export function copyRecordsFolder(prefix: string, component: string): string {
  return `${componentFolder(prefix, component)}copies/`;
}

/** The record of one other store; `id` is a digest of its address. */
export function copyRecordName(prefix: string, component: string, id: string): string {
  return `${copyRecordsFolder(prefix, component)}${id}.json`;
}

/** `<prefix>/`, or '' for the whole store: what to list for everything. */
export function prefixFolder(prefix: string): string {
  return below(prefix, '');
}

/** Where backups of what a restore replaced lie: beside the component's own. */
export function safetyComponent(component: string): string {
  return `${component}${SAFETY}`;
}

/** The component whose safety backups these are; undefined when they are none. */
export function safetyOf(component: string): string | undefined {
  return component.endsWith(SAFETY) ? component.slice(0, -SAFETY.length) : undefined;
}

/** The lock that one run at a time holds on a component. */
export function lockName(prefix: string, component: string): string {
  return below(prefix, `locks/${checkComponent(component)}`);
}

/** The lock of restores that leave a component's own data alone: they keep each other out, and never a backup. */
export function restoreLockName(prefix: string, component: string): string {
  return below(prefix, `locks/restore/${checkComponent(component)}`);
}

/** A short-lived object with which rights and clock of a store are tried; beside the locks, where nothing is listed. */
export function probeName(prefix: string, id: string): string {
  return below(prefix, `locks/probe-${id}`);
}

/** `<prefix>/points/`: the recovery points. */
export function pointsFolder(prefix: string): string {
  return below(prefix, 'points/');
}

/** A recovery point's group manifest. */
export function pointName(prefix: string, timestamp: Timestamp): string {
  return `${pointsFolder(prefix)}${timestamp}.json`;
}

/** The moment in a recovery point's name; undefined when it is none. */
export function parsePointName(prefix: string, name: string): Timestamp | undefined {
  const folder = pointsFolder(prefix);
  const match = /^(\d{8}_\d{6})\.json$/.exec(name.startsWith(folder) ? name.slice(folder.length) : '');
  return parseTimestamp(match?.[1] ?? '');
}

/** `<prefix>/runs/`: one record per run of a step. */
export function runsFolder(prefix: string): string {
  return below(prefix, 'runs/');
}

/** The record of a run; `attempt` from 2 on tells apart runs of one step in the same second. */
export function runName(prefix: string, timestamp: Timestamp, step: string, attempt = 1): string {
  if (!STEP.test(step))
    throw new UsageError(`The step name ${shown(step)} cannot be used in a run record.`, {
      fix: 'Use lower-case letters, digits and dashes.',
    });
  return `${runsFolder(prefix)}${timestamp}-${step}${attempt > 1 ? `.${attempt}` : ''}.json`;
}

/** `<prefix>/audit/`: who did what; one object per entry, never written twice. */
export function auditFolder(prefix: string): string {
  return below(prefix, 'audit/');
}

/** An entry of the audit log; `n` from 1 tells apart entries of one run. Letters of the run's id that a name cannot have become dashes. */
export function auditName(prefix: string, timestamp: Timestamp, run: string, n: number): string {
  const id = run
    .replace(/[^A-Za-z0-9]+/g, '-')
    .replace(/^-|-$/g, '')
    .slice(0, 64);
  return `${auditFolder(prefix)}${timestamp}-${id === '' ? 'run' : id}-${n}.json`;
}

/** The moment in an audit entry's name; undefined when it is none. */
export function parseAuditName(prefix: string, name: string): Timestamp | undefined {
  const folder = auditFolder(prefix);
  const match = /^(\d{8}_\d{6})-[A-Za-z0-9-]+-\d+\.json$/.exec(name.startsWith(folder) ? name.slice(folder.length) : '');
  return parseTimestamp(match?.[1] ?? '');
}

/** A drill's result. */
export function proofName(prefix: string, timestamp: Timestamp, component: string): string {
  return below(prefix, `proofs/${timestamp}-${checkComponent(component)}.json`);
}

/** `<prefix>/holds/<component>/`: what keeps backups from being pruned. */
export function holdsFolder(prefix: string, component: string): string {
  return below(prefix, `holds/${checkComponent(component)}/`);
}

/** One hold on one backup; a backup may have several. @throws UsageError for an id that is no 8 lower-case letters and digits */
export function holdName(prefix: string, component: string, timestamp: Timestamp, id: string): string {
  if (!HOLD_ID.test(id)) throw new UsageError(`The hold ${shown(id)} cannot be used.`, { fix: 'list-backups shows the ids of holds.' });
  return `${holdsFolder(prefix, component)}${timestamp}.${id}.json`;
}

/** A hold's name taken apart; undefined when it is none. */
export function parseHoldName(prefix: string, component: string, name: string): { timestamp: Timestamp; id: string } | undefined {
  const folder = holdsFolder(prefix, component);
  const match = /^(\d{8}_\d{6})\.([a-z0-9]{8})\.json$/.exec(name.startsWith(folder) ? name.slice(folder.length) : '');
  const timestamp = parseTimestamp(match?.[1] ?? '');
  return timestamp && { timestamp, id: match?.[2] ?? '' };
}

/** The latest state of everything, for dashboards. */
export function statusName(prefix: string): string {
  return below(prefix, 'status.json');
}

/** An object that belongs to a backup, as told from its name. */
export interface BackupObject {
  component: string;
  timestamp: Timestamp;
  /** `data`, `manifest.json`, or whatever else lies beside them. */
  file: string;
}

/** Reads an object's name; undefined when it is not part of a backup (locks, run records, strangers). */
export function parseBackupObject(prefix: string, name: string): BackupObject | undefined {
  const folder = prefixFolder(prefix);
  if (!name.startsWith(folder)) return undefined;
  const [component = '', time = '', file = '', ...more] = name.slice(folder.length).split('/');
  const timestamp = parseTimestamp(time);
  if (more.length > 0 || file === '' || timestamp === undefined || componentProblem(component) !== undefined) return undefined;
  return { component, timestamp, file };
}

/** A run record's name taken apart; undefined when it is none. `attempt` counts the records of one step in one second, from 1. */
export function parseRunName(prefix: string, name: string): { timestamp: Timestamp; step: string; attempt: number } | undefined {
  const folder = runsFolder(prefix);
  const match = /^(\d{8}_\d{6})-([a-z][a-z0-9-]*)(?:\.(\d{1,2}))?\.json$/.exec(name.startsWith(folder) ? name.slice(folder.length) : '');
  const timestamp = parseTimestamp(match?.[1] ?? '');
  return timestamp && { timestamp, step: match?.[2] ?? '', attempt: Number(match?.[3] ?? 1) };
}

function shown(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}
