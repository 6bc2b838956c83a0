// Since when a long-lived key has been in use: told by the backups it opens, without asking any vault.
import type { Timestamp } from '../step/timestamp.ts';
import { backupNames } from '../backup/layout.ts';
import { wrappedKeysOf } from '../backup/metadata.ts';
import type { ListedBackup } from '../catalog/list.ts';
import type { Store } from '../stores/store.ts';

/** When a key was first seen, kept from one look to the next: the oldest backup it opens may be pruned meanwhile. */
export interface KeyFirstSeen {
  /** A key's full address with its version, or an escrow key's fingerprint. */
  id: string;
  since: Date;
}

/** A key that wraps more than one backup. */
export interface LongLivedKey extends KeyFirstSeen {
  kind: 'key-vault-key' | 'escrow';
}

interface Look {
  prefix: string;
  keysSeen?: readonly KeyFirstSeen[];
  signal?: AbortSignal | undefined;
}

/**
 * The long-lived keys of the newest backup, each with the time of the first backup that it opens: a lower bound of its age.
 * Looks at a dozen objects, however many backups there are: keys are changed rarely and not changed back.
 * @param backups of one component, oldest first
 * @throws StoreError
 */
export async function longLivedKeys(store: Store, backups: readonly ListedBackup[], look: Look): Promise<LongLivedKey[]> {
  const usable: readonly ListedBackup[] = backups.filter(({ state }) => state !== 'damaged');
  const newest = usable.at(-1);
  if (!newest) return [];
  const keys = await keysOf(store, newest, look);
  return Promise.all(
    keys.map(async ({ kind, id }) => {
      const first = await firstWith(store, usable, id, look);
      const seen = look.keysSeen?.find((key) => key.id === id)?.since;
      return { kind, id, since: seen !== undefined && seen < first ? seen : first };
    }),
  );
}

/** Binary search for the first backup that the key opens. */
async function firstWith(store: Store, backups: readonly ListedBackup[], id: string, look: Look): Promise<Date> {
  let low = 0;
  let high = backups.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    const keys = await keysOf(store, backups[middle] as ListedBackup, look);
    if (keys.some((key) => key.id === id)) high = middle;
    else low = middle + 1;
  }
  const first = backups[high] as ListedBackup;
  // The key was made with the backup file: one that was imported is named after the dump, which may be years older.
  return first.created ?? first.time;
}

async function keysOf(store: Store, { component, timestamp }: { component: string; timestamp: Timestamp }, { prefix, signal }: Look) {
  const { data } = backupNames(prefix, component, timestamp);
  const info = await store.stat(data, signal);
  try {
    const keys = wrappedKeysOf(info?.metadata ?? {}, data) ?? [];
    return keys.flatMap(({ kind, keyId }) => (kind === 'key-vault-key' || kind === 'escrow' ? [{ kind, id: keyId }] : []));
  } catch {
    // Metadata is for choosing only; that it is malformed is the validation's finding.
    return [];
  }
}
