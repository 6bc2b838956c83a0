// Moves the data of finished backups to the tier that their store is set to; also what a run that was killed has left where it was written.
import { listEntries } from '../backup/leftovers.ts';
import type { Place } from '../backup/place.ts';
import { backupNames } from '../backup/layout.ts';
import { errorMessage } from '../step/errors.ts';
import type { Timestamp } from '../step/timestamp.ts';

/** How far back what was left is moved: older data lies where a user decided. */
const CATCH_UP_MS = 7 * 86_400_000;

export interface Settled {
  moved: Timestamp[];
  failed: { timestamp: Timestamp; reason: string }[];
}

/**
 * Moves data that lies in the tier where the service puts new objects. What a user moved, or brought back from the archive, stays.
 * Manifests and everything small stay readable at once. Data that could not be moved is moved by the next run.
 * @throws StoreError when the store cannot be listed
 */
export async function settleTier(
  { store, prefix }: Place,
  { component, now, signal }: { component: string; now: Date; signal?: AbortSignal | undefined },
): Promise<Settled> {
  const settled: Settled = { moved: [], failed: [] };
  const { tiering } = store;
  if (tiering?.target === undefined) return settled;
  for (const { timestamp, files } of await listEntries(store, prefix, component, signal)) {
    const data = files.get('data');
    if (!data?.tier?.inferred || data.tier.name === tiering.target || !files.has('manifest.json')) continue;
    if (now.getTime() - data.modified.getTime() > CATCH_UP_MS) continue;
    try {
      await tiering.settle(backupNames(prefix, component, timestamp).data, signal);
      settled.moved.push(timestamp);
    } catch (thrown) {
      if (signal?.aborted) throw thrown;
      settled.failed.push({ timestamp, reason: errorMessage(thrown) });
    }
  }
  return settled;
}
