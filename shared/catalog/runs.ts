// Run records: one small JSON document for every run of a step, failed ones too, kept in the store.
import pLimit from 'p-limit';
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
  component?: string | undefined;
  /** The backup it made or tried to make; runs that make none leave this out. */
  backup?: Timestamp | undefined;
  started: Date;
  finished: Date;
  run: RunIdentity;
  /** What a person was told when it did not succeed. */
  error?: string | undefined;
  /** What sort of failure it was; `bug` for one that was not foreseen. */
  errorKind?: ErrorKind | 'bug' | undefined;
  /** Backups that were read and found bad, as `<component>/<timestamp>`; and those that were found good. */
  badBackups?: readonly string[] | undefined;
  goodBackups?: readonly string[] | undefined;
  /** Backups that no key opens any more. */
  keylessBackups?: readonly string[] | undefined;
  /** Backups whose data is good and whose metadata is not. */
  wrongMetadata?: readonly string[] | undefined;
  warnings?: readonly string[] | undefined;
  /** The step's machine-readable result. */
  result?: JsonValue | undefined;
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
  /** Backups that the run found bad, as `<component>/<timestamp>`, good, and without a key. */
  badBackups: string[];
  goodBackups: string[];
  keylessBackups: string[];
}

const outcomes = z.enum(['succeeded', 'partial', 'failed', 'refused', 'cancelled']);
/** Letters of each list of backups in the metadata; the record has them all. Azure takes 8 KiB of metadata. */
const MOST_LISTED = 2400;
/** A list that leaves less room than the longest name takes may have been cut. */
const LONGEST_NAME = 80;
const READ_AT_ONCE = 16;
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
  if (record.keylessBackups?.length) metadata['keylessbackups'] = shortList(record.keylessBackups);
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
  const limit = pLimit(READ_AT_ONCE);
  const runs: Promise<ListedRun & Order>[] = [];
  for await (const info of store.list(names, signal)) {
    const parsed = parseRunName(prefix, info.name);
    if (!parsed) continue;
    const order = { ...parsed, name: info.name, modified: info.modified.getTime() };
    const listed = factsOf(info.metadata);
    runs.push(limit(async () => ({ ...order, ...(listed ?? (await recorded(store, info.name, signal))) })));
  }
  return (await Promise.all(runs)).sort(inOrder);
}

/** What tells the order of two records of one second; their names do not: `….2.json` sorts before `….json`. */
interface Order {
  attempt: number;
  /** When it was written, milliseconds. */
  modified: number;
}

function inOrder(a: ListedRun & Order, b: ListedRun & Order): number {
  const byTime = a.timestamp < b.timestamp ? -1 : a.timestamp > b.timestamp ? 1 : 0;
  return byTime || a.attempt - b.attempt || a.modified - b.modified || (a.name < b.name ? -1 : 1);
}

type RunFacts = Omit<ListedRun, 'name' | 'timestamp' | 'step'>;

/** What the metadata says; undefined when it is lost, as in a store that was copied without it, or when a list in it may have been cut. */
function factsOf(metadata: Readonly<Record<string, string>>): RunFacts | undefined {
  const texts = [metadata['badbackups'], metadata['goodbackups'], metadata['keylessbackups']];
  const lost = metadata['step'] === undefined && metadata['outcome'] === undefined;
  if (lost || texts.some((text = '') => text.length > MOST_LISTED - LONGEST_NAME)) return undefined;
  const [badBackups, goodBackups, keylessBackups] = texts.map(namesIn) as [string[], string[], string[]];
  return {
    outcome: outcomes.safeParse(metadata['outcome']).data,
    component: metadata['component'],
    backup: metadata['backup'],
    errorKind: metadata['errorkind'],
    ...{ badBackups, goodBackups, keylessBackups },
  };
}

const facts = z.object({
  outcome: outcomes.optional().catch(undefined),
  component: z.string().optional(),
  backup: z.string().optional(),
  errorKind: z.string().optional(),
  badBackups: z.array(z.string()).default([]),
  goodBackups: z.array(z.string()).default([]),
  keylessBackups: z.array(z.string()).default([]),
});

/** The same as the record itself has it; nothing when it is gone or not readable. @throws StoreError */
async function recorded(store: Store, name: string, signal: AbortSignal | undefined): Promise<RunFacts> {
  const none = { outcome: undefined, component: undefined, backup: undefined, errorKind: undefined };
  const bytes = await store.read(name, { signal });
  try {
    return { ...none, ...facts.parse(JSON.parse(Buffer.from(bytes ?? []).toString())) };
  } catch {
    return { ...none, badBackups: [], goodBackups: [], keylessBackups: [] };
  }
}

/** True for a run that failed at its work. An input that is wrong touched nothing: it says nothing about any backup. */
export function isFailure({ outcome, errorKind }: Pick<ListedRun, 'outcome' | 'errorKind'>): boolean {
  return outcome === 'failed' && errorKind !== 'usage';
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
