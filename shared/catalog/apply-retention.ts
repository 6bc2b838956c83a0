// Carries a retention plan out: under the component's lock, planned once more from what is there now, then backup by backup.
import { RefusedError } from '../step/errors.ts';
import type { RunIdentity } from '../step/host.ts';
import { lockName } from '../backup/layout.ts';
import type { CopyPlace } from '../backup/leftovers.ts';
import { StoreError } from '../stores/errors.ts';
import type { Clock } from '../tools/clock.ts';
import type { KeyRecipient } from '../vaults/vault.ts';
import { copyRecords } from '../backup/copy-record.ts';
import type { PlaceOfRecord } from '../backup/elsewhere.ts';
import { listHolds } from './hold.ts';
import { listBackups, type BackupState, type ListedBackup } from './list.ts';
import { failedAttempts } from './pick.ts';
import { pruneBackup, type PruneOutcome } from './prune.ts';
import { planDifference, planSection, removals, sectionTitle, type PlanSection, type SectionFacts } from './retention-plan.ts';

const LOCK_EXPIRY_MS = 60_000;
const WHOLE: ReadonlySet<BackupState> = new Set(['verified', 'committed', 'suspect']);

export interface SectionPlace {
  component: string;
  place: CopyPlace;
  /** Every other store that may have the same backups. */
  others: readonly CopyPlace[];
  /** Backups in `place` that a validation found bad, as `foundBad` tells them: they do not count, and push no good one out. */
  bad?: ReadonlySet<string> | undefined;
}

/** Collects what is known of a component in a store. Fails rather than overlook a hold or a failed run. @throws StoreError */
export async function gatherFacts({ component, place, others, bad }: SectionPlace, now: Date, signal?: AbortSignal): Promise<SectionFacts> {
  const everywhere = [place, ...others];
  const [listed, holds, records] = await Promise.all([
    listBackups(place.store, place.prefix, { component, signal }),
    Promise.all(everywhere.map(({ store, prefix }) => listHolds(store, prefix, component, signal))),
    copyRecords(place, component, signal),
  ]);
  const isBad = ({ timestamp, state }: ListedBackup): boolean => WHOLE.has(state) && bad?.has(`${component}/${timestamp}`) === true;
  const backups = listed.map((backup) => (isBad(backup) ? { ...backup, state: 'damaged' as const } : backup));
  const failed = await Promise.all(everywhere.map(async (one) => failedAttempts(one, { component, backups, now, signal })));
  const sharedWith = records.map(({ store, name }) => store ?? name);
  return { component, store: place.store.location, prefix: place.prefix, backups, holds: holds.flat(), failed: failed.flat(), sharedWith };
}

/** Plans a section anew with the rules that it was planned with. @throws RefusedError when the outcome would be another one */
export async function replanSection(at: SectionPlace, planned: PlanSection, now: Date, signal?: AbortSignal): Promise<PlanSection> {
  const current = planSection(await gatherFacts(at, now, signal), planned, now);
  const difference = planDifference(planned, current);
  if (difference === undefined) return current;
  throw new RefusedError(`The plan no longer matches the catalog: ${difference} Nothing of ${sectionTitle(planned)} was removed.`, {
    fix: 'Make a new plan and look at it.',
  });
}

export interface ApplyRequest extends SectionPlace {
  planned: PlanSection;
  othersKnown: boolean;
  openRecorded?: PlaceOfRecord | undefined;
  recipients: readonly KeyRecipient[];
  /** Who holds the lock. */
  owner: string;
  by: RunIdentity;
  clock: Clock;
  signal?: AbortSignal | undefined;
  /** Told when an expired lock was taken over. */
  onNotice?: (message: string) => void;
  onOutcome?: (outcome: PruneOutcome) => void;
}

/**
 * Removes what the plan says, and finishes what an interrupted run began.
 * @throws LockedError while somebody is at work on the component; RefusedError when the plan no longer matches the catalog
 */
export async function applySection(request: ApplyRequest): Promise<PruneOutcome[]> {
  const { component, place, planned } = request;
  const lock = await place.store.lock(lockName(place.prefix, component), {
    owner: request.owner,
    expiresAfter: LOCK_EXPIRY_MS,
    onTakeover: (previous) => request.onNotice?.(`Took over the expired lock of ${component} in ${place.store.location} from ${previous}.`),
    signal: request.signal,
  });
  const lost = new AbortController();
  const onLost = (): void => {
    lost.abort(new StoreError(`The lock of ${component} in ${place.store.location} was lost: another run may have started.`));
  };
  lock.lost.addEventListener('abort', onLost, { once: true });
  if (lock.lost.aborted) onLost();
  const signal = request.signal ? AbortSignal.any([request.signal, lost.signal]) : lost.signal;
  try {
    const now = request.clock.now();
    const current = await replanSection(request, planned, now, signal);
    const outcomes: PruneOutcome[] = [];
    for (const timestamp of [...current.unfinished, ...removals(current).map((backup) => backup.timestamp)]) {
      const outcome = await pruneBackup({ ...request, now, signal }, timestamp);
      outcomes.push(outcome);
      request.onOutcome?.(outcome);
    }
    return outcomes;
  } catch (thrown) {
    if (lost.signal.aborted && !request.signal?.aborted) throw lost.signal.reason;
    throw thrown;
  } finally {
    lock.lost.removeEventListener('abort', onLost);
    await lock.release();
  }
}
