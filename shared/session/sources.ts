// Where a reading step may find a backup: the backups' own store and those of the copies. Chosen over all of them, read from the nearest.
import { backupsEverywhere, lookEverywhere, placesText, reasonText } from '../catalog/everywhere.ts';
import type { CatalogPlace, Everywhere, SeenPlace, UnseenPlace } from '../catalog/everywhere.ts';
import { Copies } from '../catalog/nearest.ts';
import { attemptsOf, pickFrom, type Attempt } from '../catalog/pick.ts';
import type { StepContext } from '../step/define.ts';
import { UserError } from '../step/errors.ts';
import type { Timestamp } from '../step/timestamp.ts';
import type { PlaceInputs, sourceInputs, storeInputs } from './inputs.ts';
import type { Place } from '../backup/place.ts';
import { openPlaceAt } from './open.ts';

const PATIENCE_BESIDE_COPIES_MS = 60_000;

/** The inputs that decide where a backup is looked for (inputs.ts: storeInputs, sourceInputs). */
type SourceInputs = PlaceInputs & typeof storeInputs & typeof sourceInputs;

/** The place where the run leaves its traces (locks, records, what it backs up), and everything that can be read from. */
export interface Sources extends Place {
  everywhere: Everywhere;
  /** The one store to read from, where the call names one. */
  only: string | undefined;
  /** Stores that get copies of what is backed up in the run's own place, as the call names them. */
  copies: string[];
}

/**
 * Opens the stores of a call and looks at a component in all of them. The run's own place is the store of the backups, or the first copy
 * that answers while that one does not.
 * @throws UsageError for a store that cannot be; StoreError when none of them answers
 */
export async function openSources(context: StepContext<SourceInputs>, component: string): Promise<Sources> {
  const { store, copies, fromStore: from } = context.inputs;
  // A store that was named by hand stands for itself: the copies in dr.yml are those of the store that dr.yml names.
  const known = context.origin('store') === 'input' && context.origin('copies') === 'dr.yml' ? [] : (copies ?? []);
  const places: (CatalogPlace & Place)[] = [];
  const unopened: UnseenPlace[] = [];
  const labels = new Map<string, string>();
  const addresses = new Set([store, ...known, ...(from === undefined ? [] : [from])]);
  // Where another copy can be read, no run waits a quarter of an hour for one that went away, unless the call says so.
  const patience = addresses.size > 1 && context.origin('storePatience') === 'default' ? PATIENCE_BESIDE_COPIES_MS : undefined;
  for (const address of addresses) {
    try {
      const place = await openPlaceAt(context, address, { patience });
      const { location } = place.store;
      let named = places.find((other) => other.store.location === location);
      // An address may hold a secret; the store's own does not.
      if (!named) places.push((named = { ...place, label: address.includes('://') ? location : address }));
      labels.set(address, named.label);
    } catch (thrown) {
      // A copy that cannot be opened must not stand in the way of a good original.
      if (address === store || address === from || !(thrown instanceof UserError)) throw thrown;
      unopened.push({ label: address.split('?')[0] as string, problem: thrown });
    }
  }
  const only = from === undefined ? undefined : labels.get(from);
  const everywhere = await lookEverywhere([...places, ...unopened], component, context.signal);
  const { label } = (everywhere.seen[0] as SeenPlace).place;
  const own = places.find((place) => place.label === label) as CatalogPlace & Place;
  return { ...own, everywhere, only, copies: known.filter((address) => labels.get(address) !== label) };
}

/** A chosen backup and where it can be read from. */
export interface ChosenBackup {
  timestamp: Timestamp;
  copies: Copies;
  /** Why the choice itself is doubtful, one sentence each. */
  doubts: string[];
}

/** Which backup is wanted. */
export interface Choice {
  component: string;
  timestamp: Timestamp | undefined;
  allowOlder: boolean;
  /** Nothing will be done with it: what would be refused otherwise is a doubt. */
  planOnly?: boolean;
}

/**
 * Chooses a backup over all stores that answer (or from the one that the call names), and says what a person should know of the choice.
 * @throws UserError, RefusedError as `pickBackup`; StoreError when the one that is named does not answer
 */
export function chooseBackup(
  context: StepContext,
  sources: Sources,
  { component, timestamp: wanted, allowOlder, planOnly = false }: Choice,
): ChosenBackup {
  const { everywhere, only } = sources;
  const { host } = context;
  const seen = seenPlaces(sources);
  const { backup, notices, skipped } = pickFrom(
    { backups: backupsEverywhere({ seen }), failed: attemptsElsewhere(sources), where: placesText({ seen }) },
    { component, allowOlder: allowOlder || planOnly, now: context.clock.now(), timestamp: wanted },
  );
  // Of a backup that was not named, there is only one thing to say: that it is not the newest attempt.
  const guessed = wanted === undefined && !allowOlder;
  const older = guessed ? notices.map((notice) => `${notice} ${refusalText(host)}`) : [];
  if (skipped !== undefined) older.push(skipped);
  if (!guessed) for (const notice of notices) host.notice(notice);
  const { timestamp } = backup;
  const copies = new Copies(everywhere, component, timestamp, only);
  const unseen = everywhere.unseen.find(({ label }) => label === everywhere.home);
  if (!unseen) return { timestamp, copies, doubts: older };
  const blind = `${unseen.label} cannot be looked at (${reasonText(unseen.problem)}): a newer backup than ${timestamp} may lie there.`;
  // A call that names a backup or a store, or takes an older one knowingly, gets what it asked for.
  if (guessed && only === undefined) return { timestamp, copies, doubts: [...older, blind] };
  host.notice(blind);
  return { timestamp, copies, doubts: older };
}

function refusalText(host: StepContext['host']): string {
  return `A restore takes it only with ${host.spell('allowOlder')}, or when ${host.spell('timestamp')} names it.`;
}

/** The stores from which may be read. @throws StoreError when the one that is named does not answer */
export function seenPlaces({ everywhere, only }: Sources): SeenPlace[] {
  if (only === undefined) return everywhere.seen;
  const problem = everywhere.unseen.find(({ label }) => label === only)?.problem;
  if (problem) throw problem;
  return everywhere.seen.filter(({ place }) => place.label === only);
}

/** Attempts that left nothing, and what other stores have than the one that is named. */
function attemptsElsewhere({ everywhere, only }: Sources): Attempt[] {
  const failed = everywhere.seen.flatMap((place) => place.failed);
  return only === undefined ? failed : attemptsOf(backupsEverywhere(everywhere), failed);
}
