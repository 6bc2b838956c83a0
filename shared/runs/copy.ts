// Copies of backups: one store after the other, once a backup is committed, and for `copy-backups`.
import { copyBackups, type CopyResult } from '../catalog/copy.ts';
import { writeRunRecord } from '../catalog/runs.ts';
import type { RetentionRules } from '../catalog/retention.ts';
import { settleTier } from '../catalog/settle.ts';
import { parsedRules, retentionRules } from '../config/retention.ts';
import type { lockInputs, PlaceInputs } from '../session/inputs.ts';
import type { Place } from '../backup/place.ts';
import { openPlaceAt } from '../session/open.ts';
import { sessionOf } from '../session/session.ts';
import type { StepContext, StepReturn } from '../step/define.ts';
import { errorMessage, UserError, withFix } from '../step/errors.ts';
import { plural } from '../step/format.ts';
import { formatTimestamp, type Timestamp } from '../step/timestamp.ts';
import type { KeyRecipient } from '../vaults/vault.ts';
import { lockOwner } from './record.ts';

const DAY_MS = 86_400_000;

/** What became of one store's copies. */
export interface CopiedTo extends CopyResult {
  /** As the call names it. */
  name: string;
  /** Undefined when the store could not be opened. */
  location: string | undefined;
  /** Why nothing could be copied at all. */
  problem?: string;
  failure?: UserError;
}

export interface CopyJob {
  place: Place;
  component: string;
  copies: readonly string[];
  recipients: readonly KeyRecipient[];
  /** Days for which missing copies are made; 0 for all. */
  days: number;
  /** Copied however old it is: what was just imported. */
  always?: Timestamp;
}

/** Copies to each store in turn. One that fails does not keep the others from theirs. */
export async function copyToAll(context: StepContext<PlaceInputs & typeof lockInputs>, job: CopyJob): Promise<CopiedTo[]> {
  const { host, clock, signal } = context;
  const { place, component, copies, recipients, days, always } = job;
  const results: CopiedTo[] = [];
  for (const name of copies) {
    let location: string | undefined;
    try {
      const to = await openPlaceAt(context, name, { makes: true });
      location = to.store.location;
      if (location === place.store.location) throw new UserError(`The copies of ${component} would go where the backups are: ${location}.`);
      const now = clock.now();
      const result = await copyBackups({
        from: place,
        to,
        component,
        recipients,
        ...(days === 0 ? {} : { since: new Date(now.getTime() - days * DAY_MS) }),
        ...(always === undefined ? {} : { always: [always] }),
        rules: await rulesOf(context, component, name),
        owner: lockOwner(context),
        lockWait: context.inputs.lockWait,
        now,
        signal,
        onNotice: (message) => {
          host.notice(message);
        },
        onProgress: (timestamp, phase, done, total) => {
          host.progress({ phase: `Copy of ${timestamp} to ${name}: ${phase}`, done, total, unit: 'bytes' });
        },
      });
      results.push({ ...result, name, location });
      await recordRenewed(context, to, component, result);
      saySkipped(context, { ...result, name, location });
    } catch (thrown) {
      if (signal.aborted) throw thrown;
      results.push({
        ...{ copied: [], failed: [], skipped: [], lagMs: 0 },
        name,
        location,
        problem: withFix(thrown),
        ...(thrown instanceof UserError ? { failure: thrown } : {}),
      });
    }
  }
  return results;
}

/** The rules by which `apply-retention` judges a store's copies; undefined where dr.yml has none. */
async function rulesOf(context: StepContext<PlaceInputs>, component: string, store: string): Promise<RetentionRules | undefined> {
  const dr = await sessionOf(context).dr();
  if (!dr?.hasStore(store) || !dr.componentNames().includes(component)) return undefined;
  const { retention } = dr.component(component);
  return retention && parsedRules(retentionRules(retention, store));
}

/** How far back a step that makes a backup makes copies that are missing. */
const CATCH_UP_DAYS = 7;

/**
 * Copies what a step has just committed, and what was missed of late. A copy that fails leaves the backup as good as it is.
 * @returns the step's own return with what became of the copies
 */
export async function withCopies(
  context: StepContext<PlaceInputs & typeof lockInputs>,
  returned: StepReturn,
  job: Omit<CopyJob, 'copies' | 'days'> & { copies: readonly string[] | undefined },
): Promise<StepReturn> {
  const { copies = [], component } = job;
  const results = await copyToAll(context, { ...job, copies, days: CATCH_UP_DAYS });
  for (const { name, copied } of results)
    if (copied.length > 0) context.host.info(`Copied ${plural(copied.length, 'backup')} of ${component} to ${name}.`);
  return {
    ...returned,
    doubts: [...(returned.doubts ?? []), ...copyDoubts(results), ...(await settle(context, job, results))],
    result: { ...(returned.result as Record<string, unknown>), ...(copies.length === 0 ? {} : { copies: copyRecord(results) }) },
  };
}

/** Moves the data to the tier of its store, now that the copies are made: from the archive nothing can be copied. @returns what did not work */
async function settle(
  context: StepContext,
  { place, component }: Pick<CopyJob, 'place' | 'component'>,
  copies: readonly CopiedTo[],
): Promise<string[]> {
  const { host, clock, signal } = context;
  const { tiering } = place.store;
  if (tiering?.target === undefined) return [];
  if (tiering.target === 'archive' && copies.some(({ problem, failed }) => problem !== undefined || failed.length > 0)) {
    return [`The data of ${component} is not archived before its copies are made; the next run does it.`];
  }
  try {
    const { moved, failed } = await settleTier(place, { component, now: clock.now(), signal });
    if (moved.length > 0) host.info(`Moved ${plural(moved.length, 'backup')} of ${component} to the ${tiering.target} tier.`);
    return failed.map(
      ({ timestamp, reason }) => `${timestamp} stays out of the ${tiering.target ?? ''} tier; the next run tries again: ${reason}`,
    );
  } catch (thrown) {
    if (signal.aborted) throw thrown;
    return [`The data of ${component} stays out of the ${tiering.target} tier; the next run tries again: ${errorMessage(thrown)}`];
  }
}

/** The stores of copies, for looking whether they have something; `unknown` when one cannot be opened. */
export async function copyPlaces(
  context: StepContext<PlaceInputs>,
  copies: readonly string[] | undefined,
): Promise<readonly Place[] | 'unknown'> {
  try {
    return await Promise.all((copies ?? []).map((name) => openPlaceAt(context, name, { makes: true })));
  } catch (thrown) {
    if (!(thrown instanceof UserError)) throw thrown;
    return 'unknown';
  }
}

/** What a person must know, one sentence each; empty when every copy is there. */
export function copyDoubts(results: readonly CopiedTo[]): string[] {
  return results.flatMap(({ name, problem, failed, faults = [] }) => [
    ...faults.map(({ reason }) => reason),
    ...(problem === undefined ? [] : [`No copy could be made to ${name}: ${problem}`]),
    ...failed.map(({ timestamp, reason }) => `The copy of ${timestamp} to ${name} failed: ${reason}`),
  ]);
}

/** What cannot be copied for now, for people who should not be alarmed. */
function saySkipped({ host }: StepContext, { name, skipped }: CopiedTo): void {
  for (const { timestamp, reason } of skipped) host.notice(`${timestamp} is not copied to ${name}: ${reason}`);
}

/** For the run's record. */
export function copyRecord(results: readonly CopiedTo[]) {
  return results.map(({ name, location, copied, failed, lagMs, problem }) => ({
    store: name,
    location: location ?? null,
    copied: copied.map(({ timestamp }) => timestamp),
    bytes: copied.reduce((sum, { bytes }) => sum + bytes, 0),
    failed: failed.map(({ timestamp }) => timestamp),
    lagSeconds: problem === undefined ? Math.round(lagMs / 1000) : null,
  }));
}

/** Where a copy that was found damaged was made anew, the record in its own store says so: its listing goes by that. */
async function recordRenewed(
  { host, clock, step, signal }: StepContext,
  { store, prefix }: Place,
  component: string,
  { renewed = [] }: CopyResult,
): Promise<void> {
  if (renewed.length === 0) return;
  const [now, goodBackups] = [clock.now(), renewed.map((timestamp) => `${component}/${timestamp}`)];
  try {
    const record = { step, outcome: 'succeeded', component, started: now, finished: now, run: host.run, goodBackups } as const;
    await writeRunRecord(store, prefix, formatTimestamp(now), record, signal);
  } catch (thrown) {
    if (signal.aborted) throw thrown;
    host.warning(`${store.location} does not know that its copies were made anew; the next run makes them again: ${errorMessage(thrown)}`);
  }
}
