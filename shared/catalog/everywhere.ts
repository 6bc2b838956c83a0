// The catalog of a component over all stores that have its backups: what there is, where each backup lies, which store cannot be seen.
import { CancelledError, errorMessage, UserError } from '../step/errors.ts';
import type { Place } from '../backup/place.ts';
import { isUnbegun } from '../backup/unbegun.ts';
import { readCatalog } from './known.ts';
import type { BackupState, ListedBackup } from './list.ts';
import { failedAttempts, type Attempt } from './pick.ts';

/** A store of a component, as people call it. */
export interface CatalogPlace extends Place {
  /** Its name in dr.yml, or its address. */
  label: string;
}

/** What one store has. */
export interface SeenPlace {
  place: CatalogPlace;
  /** Oldest first. */
  backups: ListedBackup[];
  failed: Attempt[];
}

/** A store that did not answer, or could not be opened. */
export interface UnseenPlace {
  label: string;
  problem: UserError;
}

export interface Everywhere {
  /** The store where the backups are made, seen or not. */
  home: string;
  /** In the order of configuration: the backups' own store first, then those of the copies. */
  seen: SeenPlace[];
  unseen: UnseenPlace[];
}

/** How long copies may take to answer once the backups' own store has. */
const COPIES_MS = 20_000;

/**
 * Looks at every store at once. One that cannot be seen is no failure while another one can.
 * @param places the backups' own store first; what could not even be opened as its problem
 * @throws the first store's StoreError when none of them can be seen
 */
export async function lookEverywhere(
  places: readonly (CatalogPlace | UnseenPlace)[],
  component: string,
  signal: AbortSignal,
): Promise<Everywhere> {
  const patience = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const looks = places.map(async (place, index): Promise<SeenPlace | UnseenPlace> => {
    if (!('store' in place)) return place;
    const limited = index === 0 ? signal : AbortSignal.any([signal, patience.signal]);
    const result = await look(place, component, limited, signal);
    if (index === 0 && 'place' in result) {
      timer = setTimeout(() => {
        patience.abort();
      }, COPIES_MS);
    }
    return result;
  });
  try {
    const looked = await Promise.all(looks);
    const results = await Promise.all(
      looked.map(async (result, index) => {
        const place = places[index];
        if (!('problem' in result) || place === undefined || !('store' in place)) return result;
        const others = looked.flatMap((other) => ('place' in other ? [other.place] : []));
        // Only beside the store of the backups, which knows where copies are.
        const isHomeSeen = index > 0 && looked[0] !== undefined && 'place' in looked[0];
        const unbegun = isHomeSeen && (await isUnbegun(result.problem, place, { component, others, signal }));
        return unbegun ? { place, backups: [], failed: [] } : result;
      }),
    );
    const seen = results.filter((result) => 'place' in result);
    const unseen = results.filter((result) => 'problem' in result);
    if (seen.length === 0) throw unseen[0]?.problem ?? new Error('a component without a store');
    return { home: places[0]?.label ?? '', seen, unseen };
  } finally {
    clearTimeout(timer);
  }
}

async function look(place: CatalogPlace, component: string, limited: AbortSignal, signal: AbortSignal): Promise<SeenPlace | UnseenPlace> {
  const { store, prefix, label } = place;
  try {
    const { backups, runs } = await readCatalog(store, prefix, { component, signal: limited });
    return { place, backups, failed: failedAttempts(runs, component) };
  } catch (thrown) {
    if (signal.aborted || !(thrown instanceof UserError)) throw thrown;
    const problem =
      thrown instanceof CancelledError ? new UserError(`${store.location} did not answer in time.`, { cause: thrown }) : thrown;
    return { label, problem };
  }
}

/** The better a state, the later; a suspect backup is suspect wherever it lies. */
const STATES: readonly BackupState[] = ['leftover', 'pruning', 'damaged', 'keyless', 'committed', 'verified', 'suspect'];

/** Every backup once, oldest first, in the best state that a store has it in. */
export function backupsEverywhere({ seen }: Pick<Everywhere, 'seen'>): ListedBackup[] {
  const best = new Map<string, ListedBackup>();
  for (const backup of seen.flatMap(({ backups }) => backups)) {
    const known = best.get(backup.timestamp);
    if (!known || STATES.indexOf(backup.state) > STATES.indexOf(known.state)) best.set(backup.timestamp, backup);
  }
  return [...best.values()].sort((a, b) => (a.timestamp < b.timestamp ? -1 : 1));
}

/** Where was looked, for messages. */
export function placesText({ seen }: Pick<Everywhere, 'seen'>): string {
  return seen.map(({ place }) => place.store.location).join(' and ');
}

/** A problem in the middle of a sentence: no full stop. */
export function reasonText(thrown: unknown): string {
  return errorMessage(thrown).replace(/\.$/, '');
}
