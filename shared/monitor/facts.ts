// What is known of backups, from the catalog and the run records alone: data times, never whether a workflow was green.
import { listBackups, type ListedBackup } from '../catalog/list.ts';
import { listRuns, type ListedRun } from '../catalog/runs.ts';
import type { Store, StoreSpace } from '../stores/store.ts';
import { longLivedKeys, type KeyFirstSeen, type LongLivedKey } from './keys.ts';

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

/** A component's backups in the store they go to. */
export interface ComponentFacts {
  component: string;
  kind: string | undefined;
  /** The store's name. */
  store: string;
  /** Oldest first; without leftovers. */
  backups: readonly ListedBackup[];
  /** Data without a manifest: interrupted runs, or one at work. */
  leftovers: readonly ListedBackup[];
  /** Runs about this component, or about several at once; oldest first. */
  runs: readonly ListedRun[];
  /** True when dr.yml names it. */
  expected: boolean;
  schedule?: string | undefined;
  rpoMs?: number | undefined;
  /** Stores that are to hold copies of it. */
  copies: readonly CopyFacts[];
  keys: readonly LongLivedKey[];
}

export interface CopyFacts {
  /** The store's name. */
  store: string;
  /** The newest backup that is there whole; undefined when there is not a single one. */
  newest: ListedBackup | undefined;
}

export interface StoreFacts {
  name: string;
  location: string;
  kind: string;
  /** Bytes of all backups' data. */
  usedBytes: number;
  /** Undefined where it cannot be known. */
  space: StoreSpace | undefined;
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
  /** When long-lived keys were first seen by an earlier look. */
  keysSeen?: readonly KeyFirstSeen[];
  signal?: AbortSignal | undefined;
}

interface Listing extends WatchedStore {
  backups: ListedBackup[];
  runs: ListedRun[];
  space: StoreSpace | undefined;
}

/** Reads listings only: no key, no data. @throws StoreError */
export async function gatherFacts({ stores, prefix, expectations, keysSeen = [], signal }: GatherRequest): Promise<Facts> {
  const listings = await Promise.all(
    stores.map(async ({ name, store }): Promise<Listing> => {
      const [backups, runs, space] = await Promise.all([
        listBackups(store, prefix, { signal }),
        listRuns(store, prefix, signal),
        store.space?.(),
      ]);
      return { name, store, backups, runs, space };
    }),
  );
  const wanted = expectations.length > 0 ? expectations : listings.flatMap(found);
  const components = await Promise.all(
    wanted.flatMap((expectation) => {
      const home = listings.find(({ name }) => name === expectation.store);
      return home ? [componentFacts(home, listings, expectation, expectations.length > 0, { prefix, keysSeen, signal })] : [];
    }),
  );
  return { components, stores: listings.map(storeFacts) };
}

/** Components of a store that nobody named. Safety backups of restores have no schedule and no successor. */
function found({ name, backups, runs }: Listing): Expectation[] {
  const names = new Set([...backups, ...runs].flatMap(({ component }) => (component === undefined ? [] : [component])));
  return [...names]
    .filter((component) => !(component.endsWith('-safety') && names.has(component.slice(0, -'-safety'.length))))
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
  return {
    component,
    kind: kind ?? backups.at(-1)?.kind,
    store: home.name,
    backups,
    leftovers: own.filter(({ state }) => state === 'leftover'),
    runs: home.runs.filter((run) => run.component === component || run.component === undefined),
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

/** Nothing for a store that is not looked at. */
function copyFacts(listing: Listing | undefined, component: string): CopyFacts[] {
  if (listing === undefined) return [];
  const there = listing.backups.filter((backup) => backup.component === component);
  return [
    { store: listing.name, newest: there.findLast(({ state }) => state === 'verified' || state === 'committed' || state === 'suspect') },
  ];
}

function storeFacts({ name, store, backups, space }: Listing): StoreFacts {
  return {
    name,
    location: store.location,
    kind: store.kind,
    usedBytes: backups.reduce((sum, { dataBytes }) => sum + dataBytes, 0),
    space,
  };
}
