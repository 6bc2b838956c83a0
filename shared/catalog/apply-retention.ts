// Carries a retention plan out: under the component's lock, planned once more from what is there now, then backup by backup.
import { RefusedError } from '../step/errors.ts';
import type { Timestamp } from '../step/timestamp.ts';
import type { RunIdentity } from '../step/host.ts';
import { lockName } from '../backup/layout.ts';
import type { Place } from '../backup/place.ts';
import { StoreError } from '../stores/errors.ts';
import { lockInTurn } from '../stores/lock-wait.ts';
import type { LockOptions } from '../stores/store.ts';
import type { Clock } from '../tools/clock.ts';
import type { KeyRecipient } from '../vaults/vault.ts';
import { copyRecords, placeKey } from '../backup/copy-record.ts';
import type { PlaceOfRecord } from '../backup/elsewhere.ts';
import { otherInstallation } from '../backup/installation.ts';
import { listHolds } from './hold.ts';
import { findingsIn, withFindings } from './known.ts';
import { listBackups } from './list.ts';
import { failedAttempts } from './pick.ts';
import { pruneBackup, type PruneOutcome } from './prune.ts';
import { listRuns, type ListedRun } from './runs.ts';
import {
  planDifference,
  withHoldsAsPlanned,
  planSection,
  removals,
  sectionTitle,
  type PlanSection,
  type SectionFacts,
} from './retention-plan.ts';

const LOCK_EXPIRY_MS = 60_000;

export interface SectionPlace {
  component: string;
  place: Place;
  /** Every other store that may have the same backups. */
  others: readonly Place[];
  /** The keys of this installation; without any nothing tells whose the backups are. */
  recipients?: readonly KeyRecipient[] | undefined;
}

/** Reads the run records of a place. */
export type RunReader = (place: Place, signal?: AbortSignal) => Promise<ListedRun[]>;

/** Reads the records of each place once, for a look at many components. */
export function runReader(): RunReader {
  const read = new Map<string, Promise<ListedRun[]>>();
  return ({ store, prefix }, signal) => {
    const key = placeKey({ store: store.location, prefix });
    const runs = read.get(key) ?? listRuns(store, prefix, signal);
    read.set(key, runs);
    return runs;
  };
}

/** Collects what is known of a component in a store. Fails rather than overlook a hold or a failed run. @throws StoreError */
export async function gatherFacts(
  { component, place, others, recipients = [] }: SectionPlace,
  readRuns: RunReader = runReader(),
  signal?: AbortSignal,
): Promise<SectionFacts> {
  const everywhere = [place, ...others];
  const [listed, runs, holds, records, foreign] = await Promise.all([
    listBackups(place.store, place.prefix, { component, signal }),
    Promise.all(everywhere.map((one) => readRuns(one, signal))),
    Promise.all(everywhere.map(({ store, prefix }) => listHolds(store, prefix, component, signal))),
    copyRecords(place, component, signal),
    otherInstallation({ ...place, component, recipients, signal }),
  ]);
  const backups = withFindings(listed, findingsIn(runs[0] ?? []));
  const failed = runs.map((some) => failedAttempts(some, component));
  const sharedWith = records.map(({ store, name }) => store ?? name);
  return {
    component,
    store: place.store.location,
    prefix: place.prefix,
    backups,
    holds: holds.flat(),
    failed: failed.flat(),
    sharedWith,
    foreign: foreign?.message,
  };
}

/** Plans a section anew with the rules that it was planned with. @throws RefusedError when the outcome would be another one */
export async function replanSection(at: SectionPlace, planned: PlanSection, now: Date, signal?: AbortSignal): Promise<PlanSection> {
  const current = withHoldsAsPlanned(planned, planSection(await gatherFacts(at, runReader(), signal), planned, now));
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
  /** As `PruneRequest` has it. */
  forgetOutside?: ((timestamp: Timestamp) => Promise<void>) | undefined;
  /** Who holds the lock. */
  owner: string;
  /** Milliseconds to wait for another run that is at work on the component; refused at once when absent. */
  lockWait?: number | undefined;
  by: RunIdentity;
  clock: Clock;
  signal?: AbortSignal | undefined;
  /** Told when an expired lock was taken over. */
  onNotice?: (message: string) => void;
  onOutcome?: (outcome: PruneOutcome) => void;
}

/**
 * Removes what the plan says, and finishes what an interrupted run began.
 * @throws LockedError while another run is at work on the component; RefusedError when the plan no longer matches the catalog
 */
export async function applySection(request: ApplyRequest): Promise<PruneOutcome[]> {
  const { component, place, planned } = request;
  const options: LockOptions = {
    owner: request.owner,
    expiresAfter: LOCK_EXPIRY_MS,
    onTakeover: (previous) => request.onNotice?.(`Took over the expired lock of ${component} in ${place.store.location} from ${previous}.`),
    signal: request.signal,
  };
  const lock = await lockInTurn(place.store, lockName(place.prefix, component), options, request);
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
