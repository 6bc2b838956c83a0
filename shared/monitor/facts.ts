// What is known of backups, from the catalog and the run records alone: data times, never whether a workflow was green.
import { safetyOf } from '../backup/layout.ts';
import { isUnbegun } from '../backup/unbegun.ts';
import { readCatalog } from '../catalog/known.ts';
import { isAhead, type ListedBackup } from '../catalog/list.ts';
import { readRun, type ListedRun } from '../catalog/runs.ts';
import { errorMessage, UserError } from '../step/errors.ts';
import type { Store, StoreSpace } from '../stores/store.ts';
import type { ComponentFacts, CopyFacts } from './component-facts.ts';
import { badBackups, failuresSinceSuccess, isGood } from './figures.ts';
import { longLivedKeys, type KeyFirstSeen } from './keys.ts';

/** What dr.yml promises of a component. */
export interface Expectation {
  component: string;
  kind?: string | undefined;
  /** Name of the store its backups go to. */
  store: string;
  /** Names of the stores that get copies. */
  copies?: readonly string[] | undefined;
  /** Cron expression in UTC. */
  schedule?: string | undefined;
  /** Milliseconds. */
  rpoMs?: number | undefined;
}

export interface WatchedStore {
  /** Its name in dr.yml, else its location. */
  name: string;
  store: Store;
}

export interface StoreFacts {
  name: string;
  location: string;
  kind: string;
  /** Bytes of all backups' data. */
  usedBytes: number;
  /** Undefined where it cannot be known. */
  space: StoreSpace | undefined;
  /** Why nothing is known of it: only ever a store for copies. */
  problem?: string | undefined;
}

export interface Facts {
  components: ComponentFacts[];
  stores: StoreFacts[];
}

export interface GatherRequest {
  stores: readonly WatchedStore[];
  prefix: string;
  /** Without any, every component that is found is looked at. */
  expectations: readonly Expectation[];
  now: Date;
  /** When long-lived keys were first seen by an earlier look. */
  keysSeen?: readonly KeyFirstSeen[];
  signal?: AbortSignal | undefined;
}

interface Listing extends WatchedStore {
  backups: ListedBackup[];
  ahead: ListedBackup[];
  runs: ListedRun[];
  space: StoreSpace | undefined;
  problem?: string | undefined;
}

/**
 * Reads listings only: no key, no data. A store for copies that does not answer is a fact, too: it must not hide what the others tell.
 * @throws StoreError when a store that backups are made in cannot be listed
 */
export async function gatherFacts(request: GatherRequest): Promise<Facts> {
  const { stores, prefix, expectations, keysSeen = [], signal } = request;
  const listings = await Promise.all(stores.map(async (watched) => listing(watched, request)));
  const wanted = expectations.length > 0 ? expectations : listings.flatMap(found);
  const components = await Promise.all(
    wanted.flatMap((expectation) => {
      const home = listings.find(({ name }) => name === expectation.store);
      return home ? [componentFacts(home, listings, expectation, expectations.length > 0, { prefix, keysSeen, signal })] : [];
    }),
  );
  return { components, stores: listings.map(storeFacts) };
}

async function listing({ name, store }: WatchedStore, request: GatherRequest): Promise<Listing> {
  const { prefix, expectations, now, signal } = request;
  try {
    const [{ backups: listed, runs }, space] = await Promise.all([readCatalog(store, prefix, { signal }), store.space?.()]);
    const [ahead, backups] = [listed.filter((backup) => isAhead(backup, now)), listed.filter((backup) => !isAhead(backup, now))];
    return { name, store, backups, ahead, runs, space };
  } catch (thrown) {
    const isForCopies = expectations.length > 0 && expectations.every((expectation) => expectation.store !== name);
    if (!isForCopies || signal?.aborted || !(thrown instanceof UserError)) throw thrown;
    if (await isUnbegunCopy(thrown, { name, store }, request)) return { name, store, backups: [], ahead: [], runs: [], space: undefined };
    return { name, store, backups: [], ahead: [], runs: [], space: undefined, problem: errorMessage(thrown) };
  }
}

/** True for a store that dr.yml names for copies, and that never got one. */
async function isUnbegunCopy(
  problem: UserError,
  { name, store }: WatchedStore,
  { stores, prefix, expectations, signal }: GatherRequest,
): Promise<boolean> {
  for (const { component, store: home, copies = [] } of expectations) {
    const others = stores.filter((other) => other.name === home).map((other) => ({ store: other.store, prefix }));
    if (copies.includes(name) && !(await isUnbegun(problem, { store, prefix }, { component, others, signal }))) return false;
  }
  return true;
}

/** Components of a store that were not named. Safety backups of restores have no schedule and no successor. */
function found({ name, backups, ahead, runs }: Listing): Expectation[] {
  const names = new Set([...backups, ...ahead, ...runs].flatMap(({ component }) => (component === undefined ? [] : [component])));
  return [...names]
    .filter((component) => !names.has(safetyOf(component) ?? ''))
    .sort()
    .map((component) => ({ component, store: name }));
}

async function componentFacts(
  home: Listing,
  listings: readonly Listing[],
  { component, kind, schedule, rpoMs, copies = [] }: Expectation,
  expected: boolean,
  look: Pick<GatherRequest, 'prefix' | 'keysSeen' | 'signal'>,
): Promise<ComponentFacts> {
  const own = home.backups.filter((backup) => backup.component === component);
  const backups: readonly ListedBackup[] = own.filter(({ state }) => state !== 'leftover');
  const runs = home.runs.filter((run) => run.component === component || run.component === undefined);
  const [failed] = failuresSinceSuccess({ backups, runs }).toReversed();
  return {
    component,
    kind: kind ?? backups.at(-1)?.kind,
    store: home.name,
    backups,
    ahead: home.ahead.filter((backup) => backup.component === component && backup.state !== 'leftover'),
    leftovers: own.filter(({ state }) => state === 'leftover'),
    runs,
    lastError: failed === undefined ? undefined : (await readRun(home.store, failed.name, look.signal))?.error,
    expected,
    schedule,
    rpoMs,
    copies: copies.flatMap((name) =>
      copyFacts(
        listings.find((listing) => listing.name === name),
        component,
      ),
    ),
    keys: await longLivedKeys(home.store, backups, look),
  };
}

/** Nothing for a store that is not looked at, or does not answer. */
function copyFacts(listing: Listing | undefined, component: string): CopyFacts[] {
  if (listing === undefined || listing.problem !== undefined) return [];
  const there = listing.backups.filter((backup) => backup.component === component);
  const newest = there.findLast(({ state }) => state === 'verified' || state === 'committed' || state === 'suspect');
  return [
    { store: listing.name, newest, bad: badBackups({ backups: there }), good: there.filter(isGood).map(({ timestamp }) => timestamp) },
  ];
}

function storeFacts({ name, store, backups, ahead, space, problem }: Listing): StoreFacts {
  return {
    name,
    location: store.location,
    kind: store.kind,
    usedBytes: [...backups, ...ahead].reduce((sum, { dataBytes }) => sum + dataBytes, 0),
    space,
    problem,
  };
}
