// Which backups are there: told from names and metadata alone, so that a listing of 10,000 backups is a handful of requests.
import { timestampToDate, type Timestamp } from '../step/timestamp.ts';
import type { ObjectInfo, ObjectTier, Store } from '../stores/store.ts';
import { componentFolder, parseBackupObject, prefixFolder, PRUNE_FILE } from '../backup/layout.ts';
import { readListedFacts, type ListedFacts } from '../backup/metadata.ts';

/**
 * - `verified`: committed after every byte was read back and the content proved.
 * - `committed`: committed with less (`verify: sample` or `none`).
 * - `suspect`: committed, but its content is doubtful (empty, or much smaller than before).
 * - `damaged`: the manifest is there, but the data is gone or has another size; or a run found it damaged (`found`).
 * - `keyless`: a run found that no key opens it any more.
 * - `leftover`: data without a manifest. Not a backup; an interrupted run's, or one still at work.
 * - `pruning`: retention has decided against it, and removes it or was interrupted; the next `apply-retention` goes on.
 */
export type BackupState = 'verified' | 'committed' | 'suspect' | 'damaged' | 'keyless' | 'leftover' | 'pruning';

/** One line of a listing. Its facts come from unauthenticated metadata: good for choosing, proved only when the backup is opened. */
export interface ListedBackup extends ListedFacts {
  component: string;
  timestamp: Timestamp;
  /** The moment that the timestamp names. */
  time: Date;
  state: BackupState;
  /** When a run found it damaged or without a key; see known.ts. */
  found?: Date | undefined;
  /** `pruning`, but nothing of it is gone yet. */
  whole?: boolean | undefined;
  /** Bytes of the data object as the store has it; 0 when it is gone. */
  dataBytes: number;
  /** Why the store itself will not let it be deleted: `legal hold`, `immutable until 2027-01-31`. */
  locked?: string;
  /** The tier of its data, in a store that has tiers. */
  tier?: ObjectTier;
  /** Its data cannot be read before it is rehydrated. */
  offline?: 'archived' | 'rehydrating';
}

export interface ListQuery {
  /** All components when absent. */
  component?: string;
  /** Only backups of this moment or later. */
  since?: Date;
  signal?: AbortSignal | undefined;
}

/** Lists backups, oldest first, components of one moment by name. @throws StoreError */
export async function listBackups(store: Store, prefix: string, query: ListQuery = {}): Promise<ListedBackup[]> {
  const folder = query.component === undefined ? prefixFolder(prefix) : componentFolder(prefix, query.component);
  const found = new Map<
    string,
    { component: string; timestamp: Timestamp; data?: ObjectInfo; manifest?: ObjectInfo; prune?: ObjectInfo }
  >();
  for await (const info of store.list(folder, query.signal)) {
    const object = parseBackupObject(prefix, info.name);
    if (!object || (query.since && timestampToDate(object.timestamp) < query.since)) continue;
    const { component, timestamp, file } = object;
    const key = `${timestamp}/${component}`;
    const entry = found.get(key) ?? { component, timestamp };
    found.set(key, entry);
    if (file === 'data') entry.data = info;
    else if (file === 'manifest.json') entry.manifest = info;
    else if (file === PRUNE_FILE) entry.prune = info;
  }
  const backups: ListedBackup[] = [];
  for (const { component, timestamp, data, manifest, prune } of found.values()) {
    if (!data && !manifest && !prune) continue;
    const facts = readListedFacts((manifest ?? data)?.metadata ?? {});
    const dataBytes = data?.size ?? 0;
    const whole = data !== undefined && manifest !== undefined;
    const leaving = prune !== undefined && (!whole || isBeingRemovedSince(prune.modified));
    const state = leaving ? 'pruning' : stateOf(facts, data, manifest);
    const locked = lockedText(data, manifest);
    const time = timestampToDate(timestamp);
    backups.push({
      ...{ ...facts, component, timestamp, time, dataBytes, state },
      ...(leaving && whole ? { whole } : {}),
      ...(locked === undefined ? {} : { locked }),
      ...(data?.tier === undefined ? {} : { tier: data.tier }),
      ...(data?.tier?.offline === undefined ? {} : { offline: data.tier.offline }),
    });
  }
  return backups.sort((a, b) => compare(a.timestamp, b.timestamp) || compare(a.component, b.component));
}

/** An older mark of retention beside a whole backup is one that a killed run left: nothing was removed, and the backup is as good as before. */
export const REMOVAL_MS = 15 * 60_000;

/** True while retention may be at work on a whole backup that it marked then. */
export function isBeingRemovedSince(marked: Date): boolean {
  return Date.now() - marked.getTime() < REMOVAL_MS;
}

/** Clocks that are right differ by less. */
const CLOCKS_APART_MS = 5 * 60_000;

/** True for a backup that a machine with a wrong clock has dated ahead: which other ones it is newer than, nobody knows. */
export function isAhead({ time }: Pick<ListedBackup, 'time'>, now: Date): boolean {
  return time.getTime() > now.getTime() + CLOCKS_APART_MS;
}

function lockedText(...objects: (ObjectInfo | undefined)[]): string | undefined {
  const locks = objects.flatMap((object) => object?.locked ?? []);
  if (locks.includes('legal hold')) return 'legal hold';
  const until = locks.filter((lock) => lock !== 'legal hold').toSorted((a, b) => b.getTime() - a.getTime())[0];
  return until && `immutable until ${until.toISOString().slice(0, 10)}`;
}

function stateOf(facts: ListedFacts, data: ObjectInfo | undefined, manifest: ObjectInfo | undefined): BackupState {
  if (!manifest) return 'leftover';
  if (!data || (facts.storedBytes !== undefined && facts.storedBytes !== data.size)) return 'damaged';
  if (facts.suspect) return 'suspect';
  return facts.verified === 'full' ? 'verified' : 'committed';
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
