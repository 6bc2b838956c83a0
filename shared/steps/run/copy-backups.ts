// What `copy-backups` does: one store of copies after the other; also used by a backup once it is committed.
import { copyBackups, type CopyResult } from '../../catalog/copy.ts';
import { writeRunRecord } from '../../catalog/runs.ts';
import type { RetentionRules } from '../../catalog/retention.ts';
import { settleTier } from '../../catalog/settle.ts';
import { parsedRules, retentionRules } from '../../config/retention.ts';
import type { DrConfig } from '../../config/dr-config.ts';
import { absentDr, wayToDr } from '../../config/source.ts';
import { sessionOf } from '../../session/session.ts';
import type { StepContext, StepReturn } from '../../step/define.ts';
import { errorMessage, UsageError, UserError, VerificationError, withFix } from '../../step/errors.ts';
import { formatBytes, formatSeconds, plural } from '../../step/format.ts';
import { formatTimestamp, type Timestamp } from '../../step/timestamp.ts';
import type { KeyRecipient } from '../../vaults/vault.ts';
import type { Context } from '../copy-backups/inputs.ts';
import type { lockInputs, PlaceInputs } from '../inputs.ts';
import { componentsIn, nothingThere } from './components.ts';
import { openKeys, openPlaceAt, type Place } from './open.ts';
import { lockOwner, recorded } from './record.ts';
import { heading, page, table } from './summary.ts';

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

export async function runCopyBackups(context: Context): Promise<StepReturn> {
  const started = context.clock.monotonic();
  const jobs = await jobsOf(context);
  const done: { component: string; results: CopiedTo[] }[] = [];
  const doubts: string[] = [];
  const failures: UserError[] = [];
  for (const job of jobs) {
    try {
      await recorded(context, job.place, { component: job.component, effects: 'writes' }, async () => {
        const results = await copyComponent(context, job);
        done.push({ component: job.component, results });
        const own = copyDoubts(results);
        doubts.push(...own);
        return { doubts: own, result: { component: job.component, copies: copyRecord(results) } };
      });
    } catch (thrown) {
      if (context.signal.aborted || !(thrown instanceof UserError)) throw thrown;
      failures.push(thrown);
    }
  }
  const [failure] = failures;
  // Its own error tells more than a list of one: a store that is locked refuses, it does not fail.
  if (failure && done.length === 0 && failures.length === 1) throw failure;
  if (done.length === 0) throw new UserError(failures.map((one) => `- ${withFix(one)}`).join('\n'));
  doubts.push(...failures.map(withFix));
  const results = done.flatMap((one) => one.results);
  const copied = results.reduce((sum, one) => sum + one.copied.length, 0);
  context.setOutput('copied', copied);
  context.setOutput(
    'failed',
    results.reduce((sum, one) => sum + one.failed.length, 0),
  );
  context.setOutput('lagSeconds', Math.round(Math.max(...results.map(({ lagMs }) => lagMs)) / 1000));
  const seconds = (context.clock.monotonic() - started) / 1000;
  const what = done.map(({ component }) => `${context.inputs.name}/${component}`).join(', ');
  const faults = results.flatMap(({ faults: found = [] }) => found);
  await context.host.summary(
    page(
      heading(
        faults.length > 0 ? 'bad' : doubts.length > 0 ? 'doubtful' : 'good',
        copied > 0
          ? `${plural(copied, 'backup')} of ${what} copied in ${formatSeconds(seconds)}`
          : doubts.length > 0
            ? `No backup of ${what} copied`
            : `Copies of ${what} are complete: none was missing`,
      ),
      doubts.length === 0 ? undefined : doubts.map((doubt) => `- **${doubt}**`).join('\n'),
      table(
        ['component', 'to', 'copied', 'bytes', 'failed', 'behind by'],
        done.flatMap(({ component, results: own }) => own.map((one) => [component, ...row(one)])),
      ),
    ),
  );
  if (faults.length > 0)
    throw new VerificationError(`The copies are made, and not all originals are as they were written. ${[...new Set(doubts)].join(' ')}`);
  const components = done.map(({ component, results: own }) => ({ component, copies: copyRecord(own) }));
  return { doubts, result: components.length === 1 ? components[0] : { components } };
}

/** @throws UserError when nothing could be copied, or there is nothing to copy */
async function copyComponent(
  context: Context,
  { place, component, copies }: Pick<CopyJob, 'place' | 'component' | 'copies'>,
): Promise<CopiedTo[]> {
  const { days, vault, recipients: wanted } = context.inputs;
  const recipients = vault === undefined && wanted === undefined ? [] : await openKeys(context);
  const results = await copyToAll(context, { place, component, copies, recipients, days });
  const [only] = results;
  if (results.length === 1 && only?.failure !== undefined) throw only.failure;
  if (results.every(({ problem }) => problem !== undefined)) throw new UserError(copyDoubts(results).join(' '));
  if (results.every(({ nothing }) => nothing)) throw await nothingToCopy(context, place, component);
  return results;
}

async function nothingToCopy(context: Context, place: Place, component?: string): Promise<UserError> {
  const wrong = await nothingThere(context, place, component);
  if (wrong) return wrong;
  return new UserError(
    `There is nothing to copy: ${place.store.location} has no backup${component === undefined ? '' : ` of ${component}`} below ${place.prefix}.`,
    {
      fix: `Make one first, or check ${context.host.spell('store')} and ${context.host.spell('name')} and, for a folder, whether its disk is mounted.`,
    },
  );
}

/**
 * What is to be copied: the named component, every component of dr.yml that has copies, or all that the store has.
 * @throws UsageError when nothing says from where, or where to
 */
async function jobsOf(context: Context): Promise<Pick<CopyJob, 'place' | 'component' | 'copies'>[]> {
  const { host, inputs } = context;
  const dr = await sessionOf(context).dr();
  const given = (name: 'store' | 'copies'): boolean => context.origin(name) === 'input';
  const names = inputs.component !== undefined ? [inputs.component] : dr?.componentNames();
  const places = new Map<string, Place>();
  const at = async (address: string): Promise<Place> => {
    const place = places.get(address) ?? (await openPlaceAt(context, address));
    places.set(address, place);
    return place;
  };
  if (names === undefined) {
    const [store, copies] = [inputs.store, inputs.copies];
    if (store === undefined || copies === undefined) throw missing(context, undefined, store === undefined ? 'store' : 'copies');
    const place = await at(store);
    const there = await componentsIn(place, context.signal);
    if (there.length === 0) throw await nothingToCopy(context, place);
    return there.map((component) => ({ place, component, copies }));
  }
  const jobs: Pick<CopyJob, 'place' | 'component' | 'copies'>[] = [];
  for (const component of names) {
    const entry = dr?.componentNames().includes(component) ? { ...dr.component(component), store: dr.storeNameOf(component) } : inputs;
    const store = given('store') ? inputs.store : entry.store;
    const copies = given('copies') ? inputs.copies : entry.copies;
    if (copies === undefined && names.length > 1) continue;
    if (store === undefined || copies === undefined) throw missing(context, dr, store === undefined ? 'store' : 'copies');
    jobs.push({ place: await at(store), component, copies });
  }
  if (jobs.length > 0) return jobs;
  throw new UsageError(`No component of ${dr?.label ?? 'dr.yml'} has copies.`, {
    fix: `Add copies: [<store>] to a component, or set ${host.spell('copies')}.`,
  });
}

function missing({ host }: Context, dr: DrConfig | undefined, name: 'store' | 'copies'): UsageError {
  const what = `${host.spell(name)} is missing: ${name === 'store' ? 'where are the backups to copy?' : 'where should the copies go?'}`;
  if (dr) return new UsageError(what, { fix: `Set ${host.spell(name)} to the name of a store in ${dr.label} or an address.` });
  return new UsageError(`${absentDr()}, and ${what}`, {
    fix: `Set ${host.spell(name)} to the address of a store, or ${wayToDr(host)}.`,
  });
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

function row({ name, location, copied, failed, lagMs, problem }: CopiedTo): string[] {
  const bytes = copied.reduce((sum, one) => sum + one.bytes, 0);
  const behind = problem !== undefined ? 'unknown' : lagMs === 0 ? 'nothing' : formatSeconds(lagMs / 1000);
  return [location ?? name, String(copied.length), formatBytes(bytes), String(failed.length), behind];
}
