// Which backups are there: told from names and metadata alone, so that a listing of 10,000 backups is a handful of requests. Where the
// metadata cannot be right, the manifest's own text is read instead.
import pLimit from 'p-limit';
import { timestampToDate, type Timestamp } from '../step/timestamp.ts';
import type { ObjectInfo, ObjectTier, Store } from '../stores/store.ts';
import { componentFolder, parseBackupObject, prefixFolder, PRUNE_FILE } from '../backup/layout.ts';
import { MAX_MANIFEST_BYTES, parseManifest } from '../backup/manifest.ts';
import { manifestMetadata, readListedFacts, type ListedFacts } from '../backup/metadata.ts';

/**
 * - `verified`: committed after every byte was read back and the content proved.
 * - `committed`: committed with less (`verify: sample` or `none`).
 * - `suspect`: committed, but its content is doubtful (empty, or much smaller than before).
 * - `damaged`: the manifest is there, but the data is gone or has another size (`damage`); or a run found it damaged (`found`).
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
  /** What is wrong with one that is `damaged`, after its name: `is cut at byte 12: 34 bytes were written`. */
  damage?: string | undefined;
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
  component?: string | undefined;
  /** Only backups of this moment or later. */
  since?: Date | undefined;
  signal?: AbortSignal | undefined;
}

/** The objects of one backup. */
interface Found {
  component: string;
  timestamp: Timestamp;
  data?: ObjectInfo;
  manifest?: ObjectInfo;
  prune?: ObjectInfo;
}

/** Manifests that are read at the same time. */
const READ_AT_ONCE = 16;

/** Lists backups, oldest first, components of one moment by name. Nothing that lies in a store can make it fail. @throws StoreError */
export async function listBackups(store: Store, prefix: string, query: ListQuery = {}): Promise<ListedBackup[]> {
  const folder = query.component === undefined ? prefixFolder(prefix) : componentFolder(prefix, query.component);
  const found = new Map<string, Found>();
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
  const limit = pLimit(READ_AT_ONCE);
  const there = [...found.values()].filter(({ data, manifest, prune }) => data ?? manifest ?? prune);
  const backups = await Promise.all(there.map((entry) => limit(() => describe(store, entry, query.signal))));
  return backups.sort((a, b) => compare(a.timestamp, b.timestamp) || compare(a.component, b.component));
}

async function describe(store: Store, found: Found, signal: AbortSignal | undefined): Promise<ListedBackup> {
  const { component, timestamp, data, manifest, prune } = found;
  const listed = readListedFacts((manifest ?? data)?.metadata ?? {});
  const facts = (manifest && isDoubtful(listed, data) ? await factsOfManifest(store, manifest, signal) : undefined) ?? listed;
  const dataBytes = data?.size ?? 0;
  const damage = manifest && damageOf(facts, data);
  const whole = data !== undefined && manifest !== undefined;
  const leaving = prune !== undefined && (!whole || isBeingRemovedSince(prune.modified));
  const state = leaving ? 'pruning' : manifest ? stateOf(facts, damage) : 'leftover';
  return {
    ...{ ...facts, component, timestamp, time: timestampToDate(timestamp), dataBytes, state },
    ...(leaving && whole ? { whole } : {}),
    damage: state === 'damaged' ? damage : undefined,
    ...(data?.tier === undefined ? {} : { tier: data.tier }),
    ...(data?.tier?.offline === undefined ? {} : { offline: data.tier.offline }),
    ...lockedBy(data, manifest),
  };
}

/** True when the metadata cannot be right: what it says of the proof is lost, or it does not fit the data. */
function isDoubtful({ verified, storedBytes }: ListedFacts, data: ObjectInfo | undefined): boolean {
  return verified === undefined || (data !== undefined && storedBytes !== undefined && data.size !== storedBytes);
}

/** The same facts from the manifest's text, which nothing proves here either; undefined when it cannot be read. */
async function factsOfManifest(
  store: Store,
  { name, size }: ObjectInfo,
  signal: AbortSignal | undefined,
): Promise<ListedFacts | undefined> {
  const bytes = size > MAX_MANIFEST_BYTES ? undefined : await store.read(name, { maxBytes: MAX_MANIFEST_BYTES, signal });
  try {
    return bytes && readListedFacts(manifestMetadata(parseManifest(bytes, name).manifest));
  } catch {
    // Opening it says what is wrong.
    return undefined;
  }
}

/** An older mark of retention beside a whole backup is one that a killed run left: nothing was removed, and the backup is as good as before. */
export const REMOVAL_MS = 15 * 60_000;

/** True while retention may be at work on a whole backup that it marked then. */
export function isBeingRemovedSince(marked: Date): boolean {
  return Date.now() - marked.getTime() < REMOVAL_MS;
}

/** Clocks that are right differ by less. */
const CLOCKS_APART_MS = 5 * 60_000;

/** True for a backup that a machine with a wrong clock has dated ahead: which others it is newer than, no one knows. */
export function isAhead({ time }: Pick<ListedBackup, 'time'>, now: Date): boolean {
  return time.getTime() > now.getTime() + CLOCKS_APART_MS;
}

function lockedBy(...objects: (ObjectInfo | undefined)[]): Pick<ListedBackup, 'locked'> {
  const locked = lockedText(...objects);
  return locked === undefined ? {} : { locked };
}

function lockedText(...objects: (ObjectInfo | undefined)[]): string | undefined {
  const locks = objects.flatMap((object) => object?.locked ?? []);
  if (locks.includes('legal hold')) return 'legal hold';
  const until = locks.filter((lock) => lock !== 'legal hold').toSorted((a, b) => b.getTime() - a.getTime())[0];
  return until && `immutable until ${until.toISOString().slice(0, 10)}`;
}

/** What is wrong with the data, as far as its size tells. */
function damageOf({ storedBytes }: ListedFacts, data: ObjectInfo | undefined): string | undefined {
  if (!data) return 'has lost its data';
  if (storedBytes === undefined || storedBytes === data.size) return undefined;
  return data.size < storedBytes
    ? `is cut at byte ${data.size}: ${storedBytes} bytes were written`
    : `has bytes after its end at byte ${storedBytes}`;
}

function stateOf(facts: ListedFacts, damage: string | undefined): BackupState {
  if (damage !== undefined) return 'damaged';
  if (facts.suspect) return 'suspect';
  return facts.verified === 'full' ? 'verified' : 'committed';
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
