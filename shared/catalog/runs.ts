// Run records: one small JSON document for every run of a step, failed ones too, kept in the store.
import { z } from 'zod';
import type { ErrorKind, Outcome } from '../step/errors.ts';
import type { RunIdentity } from '../step/host.ts';
import { formatTimestamp, type Timestamp } from '../step/timestamp.ts';
import { ObjectExistsError } from '../stores/errors.ts';
import type { Store } from '../stores/store.ts';
import type { JsonValue } from '../backup/json.ts';
import { parseRunName, runName, runsFolder } from '../backup/layout.ts';

/** What a run did and how it ended. No secrets. */
export interface RunRecord {
  step: string;
  outcome: Outcome;
  /** The component it was about, where there is one. */
  component?: string;
  /** The backup it made or tried to make; runs that make none leave this out. */
  backup?: Timestamp;
  started: Date;
  finished: Date;
  run: RunIdentity;
  /** What a person was told when it did not succeed. */
  error?: string;
  /** What sort of failure it was; `bug` for one that was not foreseen. */
  errorKind?: ErrorKind | 'bug';
  /** Backups that were read and found bad, as `<component>/<timestamp>`; and those that were found good. */
  badBackups?: readonly string[];
  goodBackups?: readonly string[];
  warnings?: readonly string[];
  /** The step's machine-readable result. */
  result?: JsonValue;
}

/** A run as a listing shows it, from metadata alone. */
export interface ListedRun {
  name: string;
  timestamp: Timestamp;
  step: string;
  outcome: Outcome | undefined;
  component: string | undefined;
  backup: string | undefined;
  errorKind: string | undefined;
  /** Backups that the run found bad, as `<component>/<timestamp>`, and good. Very long lists are cut: then some are missing here. */
  badBackups: string[];
  goodBackups: string[];
}

const outcomes = z.enum(['succeeded', 'partial', 'failed', 'refused', 'cancelled']);
/** Letters of each list of backups in the metadata; the record has them all. Azure takes 8 KiB of metadata. */
const MOST_LISTED = 3000;
/** Runs of one step in one second that get a record; more would be a fault somewhere. */
const MAX_SAME_SECOND = 99;

/**
 * Writes a run's record under `runs/<timestamp>-<step>.json`; a second run of the same step in the same second gets `.2` and so on.
 * @returns the record's name
 * @throws StoreError
 */
export async function writeRunRecord(
  store: Store,
  prefix: string,
  timestamp: Timestamp,
  record: RunRecord,
  signal?: AbortSignal,
): Promise<string> {
  const body = { formatVersion: 1, timestamp, ...record, durationMs: Math.max(0, record.finished.getTime() - record.started.getTime()) };
  const bytes = Buffer.from(`${JSON.stringify(body, null, 2)}\n`);
  const metadata: Record<string, string> = { step: record.step, outcome: record.outcome };
  if (record.component !== undefined) metadata['component'] = record.component;
  if (record.backup !== undefined) metadata['backup'] = record.backup;
  if (record.errorKind !== undefined) metadata['errorkind'] = record.errorKind;
  if (record.badBackups?.length) metadata['badbackups'] = shortList(record.badBackups);
  if (record.goodBackups?.length) metadata['goodbackups'] = shortList(record.goodBackups);
  for (let attempt = 1; ; attempt += 1) {
    const name = runName(prefix, timestamp, record.step, attempt);
    try {
      await store.write(name, bytes, { ifAbsent: true, contentType: 'application/json', metadata, signal });
      return name;
    } catch (thrown) {
      if (!(thrown instanceof ObjectExistsError) || attempt >= MAX_SAME_SECOND) throw thrown;
    }
  }
}

function shortList(names: readonly string[]): string {
  let list = '';
  for (const name of names) {
    if (list.length + name.length >= MOST_LISTED) break;
    list += list === '' ? name : `,${name}`;
  }
  return list;
}

function namesIn(list: string | undefined): string[] {
  return (list ?? '').split(',').filter((name) => name !== '');
}

/** Lists run records, oldest first, without reading them. @throws StoreError */
export async function listRuns(store: Store, prefix: string, signal?: AbortSignal): Promise<ListedRun[]> {
  return runsBelow(store, prefix, runsFolder(prefix), signal);
}

const DAY_MS = 86_400_000;
/** So many days, or months, are listed one by one; more at once. */
const MOST_LISTINGS = 5;

/**
 * Lists at least the records from the day before a moment to the day after `now`, oldest first. Their names begin with the day: of thousands
 * of records, only those of these days or months are looked at.
 * @throws StoreError
 */
export async function listRunsSince(
  store: Store,
  prefix: string,
  { since, now }: { since: Date; now: Date },
  signal?: AbortSignal,
): Promise<ListedRun[]> {
  const until = Math.max(now.getTime(), since.getTime()) + DAY_MS;
  const days: string[] = [];
  for (let day = since.getTime() - DAY_MS; day < until + DAY_MS && days.length < MOST_LISTINGS * 31; day += DAY_MS)
    days.push(formatTimestamp(new Date(Math.min(day, until))).slice(0, 'YYYYMMDD'.length));
  const months = days.map((day) => day.slice(0, 'YYYYMM'.length));
  const names = [new Set(days), new Set(months)].find(({ size }) => size <= MOST_LISTINGS) ?? [''];
  const runs: ListedRun[] = [];
  for (const name of names) runs.push(...(await runsBelow(store, prefix, `${runsFolder(prefix)}${name}`, signal)));
  return runs;
}

async function runsBelow(store: Store, prefix: string, names: string, signal: AbortSignal | undefined): Promise<ListedRun[]> {
  const runs: ListedRun[] = [];
  for await (const info of store.list(names, signal)) {
    const parsed = parseRunName(prefix, info.name);
    if (!parsed) continue;
    const outcome = outcomes.safeParse(info.metadata['outcome']);
    runs.push({
      ...parsed,
      name: info.name,
      outcome: outcome.data,
      component: info.metadata['component'],
      backup: info.metadata['backup'],
      errorKind: info.metadata['errorkind'],
      badBackups: namesIn(info.metadata['badbackups']),
      goodBackups: namesIn(info.metadata['goodbackups']),
    });
  }
  return runs;
}

/**
 * Names (`<component>/<timestamp>`) of backups that a run found bad. One stays so until a later run reads it again and finds it good: that
 * other ones are good meanwhile tells nothing about it.
 * @param runs oldest first
 */
export function foundBad(runs: readonly Pick<ListedRun, 'badBackups' | 'goodBackups'>[]): Set<string> {
  const bad = new Set<string>();
  for (const { badBackups, goodBackups } of runs) {
    for (const name of goodBackups) bad.delete(name);
    for (const name of badBackups) bad.add(name);
  }
  return bad;
}

const told = z.object({
  error: z.string().optional(),
  warnings: z.array(z.string()).optional(),
  run: z.object({ url: z.string().optional() }),
});

/** What a record says to people: its error, its warnings, the address of the run. Undefined when it is gone or not readable. @throws StoreError */
export async function readRun(store: Store, name: string, signal?: AbortSignal): Promise<z.infer<typeof told> | undefined> {
  const bytes = await store.read(name, { signal });
  if (bytes === undefined) return undefined;
  try {
    return told.parse(JSON.parse(Buffer.from(bytes).toString()));
  } catch {
    return undefined;
  }
}
