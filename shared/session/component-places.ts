// The stores in which a component's backups lie: home first, then its copies, as dr.yml says it, or the one that was given.
import { safetyOf } from '../backup/layout.ts';
import { isUnbegun } from '../backup/unbegun.ts';
import { sessionOf } from './session.ts';
import type { StepContext } from '../step/define.ts';
import { UsageError } from '../step/errors.ts';
import { RootMissingError } from '../stores/errors.ts';
import type { KeyRecipient } from '../vaults/vault.ts';
import type { PlaceInputs } from './inputs.ts';
import type { Place } from '../backup/place.ts';
import { openPlaceAt } from './open.ts';

/** A store of a component. */
export interface NamedPlace extends Place {
  /** Its name in dr.yml; undefined for one given by address. */
  name: string | undefined;
  /** Named for copies only, by dr.yml or by the call. */
  forCopies?: boolean | undefined;
}

export interface ComponentPlaces {
  component: string;
  /** Where the step works: the stores that were asked for. */
  chosen: NamedPlace[];
  /** Every store that is known for the component. */
  all: NamedPlace[];
  /** True when dr.yml says where all of them are. */
  known: boolean;
}

/** A store by name or address. @throws UsageError */
export async function openNamed(context: StepContext<PlaceInputs>, address: string): Promise<NamedPlace> {
  const dr = await sessionOf(context).dr();
  return { ...(await openPlaceAt(context, address)), name: dr?.hasStore(address) ? address : undefined };
}

/**
 * The stores of a component; only the given one is chosen when one is given.
 * @param copies further stores that the call names
 * @throws UsageError when none can be told
 */
export async function placesOf(
  context: StepContext<PlaceInputs>,
  component: string,
  given: string | undefined,
  copies: readonly string[] = [],
): Promise<ComponentPlaces> {
  const dr = await sessionOf(context).dr();
  const name = [component, safetyOf(component)].find((one) => one !== undefined && dr?.componentNames().includes(one));
  const entry = name === undefined ? undefined : dr?.component(name);
  const home = name === undefined ? undefined : dr?.storeNameOf(name);
  const open = (address: string): Promise<NamedPlace> => openNamed(context, address);
  const openCopy = async (address: string): Promise<NamedPlace> => ({ ...(await open(address)), forCopies: true });
  const named = home === undefined ? [] : await Promise.all([open(home), ...(entry?.copies ?? []).map(openCopy)]);
  const further = await Promise.all(copies.map(openCopy));
  if (given !== undefined) {
    const chosen = await open(given);
    return { component, chosen: [chosen], all: distinct([chosen, ...named, ...further]), known: named.length > 0 || copies.length > 0 };
  }
  if (named.length === 0) {
    const { host } = context;
    throw new UsageError(`Where the backups of ${component} lie is not known.`, {
      fix: `Set ${host.spell('store')}, or name the component and its store in dr.yml.`,
    });
  }
  return { component, chosen: named, all: distinct([...named, ...further]), known: true };
}

/**
 * The places without those for copies that never got one. One that is gone and has had copies stays among them, and fails whatever asks it.
 * @param recipients whose vaults know where backups were made
 * @throws StoreError for a place that cannot be asked
 */
export async function begunPlaces(
  places: ComponentPlaces,
  { recipients, signal }: { recipients: readonly KeyRecipient[]; signal: AbortSignal },
): Promise<ComponentPlaces> {
  const { component, chosen, all } = places;
  const missing = new Map<NamedPlace, RootMissingError>();
  for (const place of all) {
    const problem = place.forCopies && place.store.onDisk ? await rootProblem(place, signal) : undefined;
    if (problem) missing.set(place, problem);
  }
  const others = all.filter((place) => !missing.has(place));
  const unbegun = new Set<string>();
  for (const [place, problem] of missing) {
    if (await isUnbegun(problem, place, { component, others, recipients, signal })) unbegun.add(place.store.location);
  }
  const isBegun = ({ store }: NamedPlace): boolean => !unbegun.has(store.location);
  return { ...places, chosen: chosen.filter(isBegun), all: all.filter(isBegun) };
}

/** Any request tells whether the folder of a store is there. */
async function rootProblem({ store, prefix }: Place, signal: AbortSignal): Promise<RootMissingError | undefined> {
  try {
    await store.stat(`${prefix}/status.json`, signal);
    return undefined;
  } catch (thrown) {
    if (thrown instanceof RootMissingError) return thrown;
    throw thrown;
  }
}

/** Each store once, the first mention of it. */
function distinct(places: readonly NamedPlace[]): NamedPlace[] {
  return places.filter(({ store }, index) => places.findIndex((other) => other.store.location === store.location) === index);
}
