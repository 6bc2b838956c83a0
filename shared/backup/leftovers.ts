// What interrupted runs left behind: data without a manifest. Removed by the next run once it is a day old, its keys with it.
import { errorMessage } from '../step/errors.ts';
import type { Timestamp } from '../step/timestamp.ts';
import type { ObjectInfo, Store } from '../stores/store.ts';
import type { KeyRecipient } from '../vaults/vault.ts';
import { forgetAll } from './content-key.ts';
import { dataElsewhere } from './elsewhere.ts';
import type { Place } from './place.ts';
import { backupNames, componentFolder, parseBackupObject } from './layout.ts';
import { wrappedKeysOf } from './metadata.ts';

/** Younger ones may belong to a run in another place that is still at work. */
const LEFTOVER_AGE_MS = 24 * 3600 * 1000;

/** The objects of one timestamp. */
export interface ComponentEntry {
  timestamp: Timestamp;
  /** File name (`data`, `manifest.json`, …) → what the store knows of it. */
  files: Map<string, ObjectInfo>;
}

/** Lists one component's timestamps in order. */
export async function listEntries(store: Store, prefix: string, component: string, signal?: AbortSignal): Promise<ComponentEntry[]> {
  const entries = new Map<Timestamp, ComponentEntry>();
  for await (const info of store.list(componentFolder(prefix, component), signal)) {
    const object = parseBackupObject(prefix, info.name);
    if (!object) continue;
    const entry = entries.get(object.timestamp) ?? { timestamp: object.timestamp, files: new Map<string, ObjectInfo>() };
    entry.files.set(object.file, info);
    entries.set(object.timestamp, entry);
  }
  return [...entries.values()];
}

export interface CleanRequest {
  store: Store;
  prefix: string;
  component: string;
  recipients: readonly KeyRecipient[];
  copies: readonly Place[] | 'unknown';
  now: Date;
  signal?: AbortSignal | undefined;
}

/**
 * Removes the component's old leftovers: the data first, then its keys. Never fails a backup: what could not be removed is said and tried
 * again by the next run.
 * @returns how many were removed, and a notice for each trouble
 */
export async function cleanLeftovers(
  request: CleanRequest,
  entries: readonly ComponentEntry[],
): Promise<{ removed: number; notices: string[] }> {
  const notices: string[] = [];
  let removed = 0;
  for (const entry of entries) {
    const data = entry.files.get('data');
    if (!data || entry.files.has('manifest.json')) continue;
    if (request.now.getTime() - data.modified.getTime() < LEFTOVER_AGE_MS) continue;
    try {
      notices.push(...(await removeLeftover(request, entry, data)));
      removed += 1;
    } catch (thrown) {
      if (request.signal?.aborted) throw thrown;
      notices.push(`The leftover ${data.name} could not be removed: ${errorMessage(thrown)}`);
    }
  }
  try {
    const olderThan = new Date(request.now.getTime() - LEFTOVER_AGE_MS);
    await request.store.sweep(componentFolder(request.prefix, request.component), olderThan, request.signal);
  } catch (thrown) {
    if (request.signal?.aborted) throw thrown;
    notices.push(`Interrupted uploads of ${request.component} could not be swept: ${errorMessage(thrown)}`);
  }
  return { removed, notices };
}

async function removeLeftover(request: CleanRequest, entry: ComponentEntry, data: ObjectInfo): Promise<string[]> {
  // Asked again: a copy or a slow run may have written its manifest since the listing.
  const names = backupNames(request.prefix, request.component, entry.timestamp);
  if (await request.store.stat(names.manifest, request.signal)) return [];
  const forget = await keysAreOurs(request, entry, data);
  const keys = forget ? (wrappedKeysOf(data.metadata, data.name) ?? []) : [];
  await request.store.delete(data.name, request.signal);
  return forgetAll(keys, request.recipients, request.signal);
}

/**
 * A key may only go when no other data needs it: not for a copy (its original lives elsewhere), not for a half-pruned backup (other files
 * beside the data), and not while another store may hold the same backup. In doubt it stays; an idle key does no harm.
 */
async function keysAreOurs(request: CleanRequest, entry: ComponentEntry, data: ObjectInfo): Promise<boolean> {
  if (data.metadata['origin'] !== 'backup' || entry.files.size > 1 || request.copies === 'unknown') return false;
  const { store, prefix, component, copies, signal } = request;
  // A manifest that was deleted makes a leftover of a backup that was copied long ago.
  const elsewhere = await dataElsewhere({ place: { store, prefix }, component, timestamp: entry.timestamp, others: copies, signal });
  return elsewhere.answer === 'gone';
}
