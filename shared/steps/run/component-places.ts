// The stores in which a component's backups lie: home first, then its copies, as dr.yml says it, or the one that was given.
import { safetyOf } from '../../backup/layout.ts';
import { sessionOf } from '../../session/session.ts';
import type { StepContext } from '../../step/define.ts';
import { UsageError } from '../../step/errors.ts';
import type { PlaceInputs } from '../inputs.ts';
import { openPlaceAt, type Place } from './open.ts';

/** A store of a component. */
export interface NamedPlace extends Place {
  /** Its name in dr.yml; undefined for one given by address. */
  name: string | undefined;
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
  const named = await Promise.all((home === undefined ? [] : [home, ...(entry?.copies ?? [])]).map(open));
  const further = await Promise.all(copies.map(open));
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

/** Each store once, the first mention of it. */
function distinct(places: readonly NamedPlace[]): NamedPlace[] {
  return places.filter(({ store }, index) => places.findIndex((other) => other.store.location === store.location) === index);
}
