// Marks a backup as being read for long: a hold that ends by itself when its run is gone. Retention looks for it after its own mark, a
// reader looks for retention's after this one: the second of the two sees the other.
import { randomUUID } from 'node:crypto';
import { backupNames } from '../backup/layout.ts';
import type { Place } from '../backup/place.ts';
import type { RunIdentity } from '../step/host.ts';
import type { Timestamp } from '../step/timestamp.ts';
import { StoreError } from '../stores/errors.ts';
import { releaseHolds, writeHold } from './hold.ts';
import { isBeingRemovedSince, REMOVAL_MS } from './list.ts';

/** How long a mark outlives a run that was killed. */
const EXPIRY_MS = 3_600_000;
const RENEWAL_MS = EXPIRY_MS / 4;
const RELEASE_MS = 10_000;

/** What helps with a backup that retention has marked. */
export const BEING_REMOVED_FIX = `Take another backup (list-backups shows them). If this one is still whole ${REMOVAL_MS / 60_000} minutes after retention marked it, that run was killed before it removed anything, and the backup can be used again.`;

export interface Use {
  component: string;
  timestamp: Timestamp;
  /** What is done with it, so that a reader sees why it stays: `copied to s3://…`. */
  what: string;
  by: RunIdentity;
  /** Told when the store would not take the mark: reading goes on without. */
  onUnmarked?: (thrown: StoreError) => void;
  signal?: AbortSignal | undefined;
}

/**
 * Keeps retention away from a backup until it is released. A store that may only be read gets no mark.
 * @returns what takes the mark away; never throws
 * @throws StoreError when retention is removing the backup
 */
export async function markInUse({ store, prefix }: Place, use: Use): Promise<() => Promise<void>> {
  const { component, timestamp, signal } = use;
  const id = randomUUID().slice(0, 8);
  const write = async (): Promise<void> => {
    const now = new Date();
    const until = new Date(now.getTime() + EXPIRY_MS);
    await writeHold(store, prefix, { ...use, id, reason: `being ${use.what}`, until, now }, signal);
  };
  try {
    await write();
  } catch (thrown) {
    if (signal?.aborted || !(thrown instanceof StoreError)) throw thrown;
    use.onUnmarked?.(thrown);
    return async () => undefined;
  }
  const renewal = setInterval(() => void write().catch(() => undefined), RENEWAL_MS).unref();
  const release = async (): Promise<void> => {
    clearInterval(renewal);
    await releaseHolds(store, prefix, { component, timestamp, id }, AbortSignal.timeout(RELEASE_MS)).catch(() => undefined);
  };
  if (await isBeingRemoved({ store, prefix }, use).catch(() => false)) {
    await release();
    throw new StoreError(`${component} ${timestamp} in ${store.location} is being removed by retention.`, { fix: BEING_REMOVED_FIX });
  }
  return release;
}

/** True while retention removes a backup: to be asked after a hold was written, which retention looks for after its own mark. @throws StoreError */
export async function isBeingRemoved(
  { store, prefix }: Place,
  { component, timestamp, signal }: Pick<Use, 'component' | 'timestamp' | 'signal'>,
): Promise<boolean> {
  const marker = await store.stat(backupNames(prefix, component, timestamp).prune, signal);
  return marker !== undefined && isBeingRemovedSince(marker.modified);
}
