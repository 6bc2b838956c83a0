// Run records: one small JSON document for every run of a step, failed ones too, kept in the store.
import { z } from 'zod';
import type { ErrorKind, Outcome } from '../step/errors.ts';
import type { RunIdentity } from '../step/host.ts';
import type { Timestamp } from '../step/timestamp.ts';
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
  /** Backups that were found bad, as `<component>/<timestamp>`. */
  badBackups?: readonly string[];
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
  /** Backups that the run found bad, as `<component>/<timestamp>`. */
  badBackups: string[];
}

const outcomes = z.enum(['succeeded', 'partial', 'failed', 'refused', 'cancelled']);
/** Bad backups that a listing shows; the record has them all. Azure takes 8 KiB of metadata. */
const MOST_LISTED_BAD = 64;
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
  if (record.badBackups?.length) metadata['badbackups'] = record.badBackups.slice(0, MOST_LISTED_BAD).join(',');
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

/** Lists run records, oldest first, without reading them. @throws StoreError */
export async function listRuns(store: Store, prefix: string, signal?: AbortSignal): Promise<ListedRun[]> {
  const runs: ListedRun[] = [];
  for await (const info of store.list(runsFolder(prefix), signal)) {
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
      badBackups: (info.metadata['badbackups'] ?? '').split(',').filter((name) => name !== ''),
    });
  }
  return runs;
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
