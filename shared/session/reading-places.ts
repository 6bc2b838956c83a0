// The stores that a reading step looks at when it is about more than one component: the one that was given, else every store that dr.yml names
// as the home of a component.
import { absentDr, wayToDr } from '../config/source.ts';
import type { StepContext } from '../step/define.ts';
import { sessionOf } from './session.ts';
import { UsageError } from '../step/errors.ts';
import type { PlaceInputs, targetInputs } from './inputs.ts';
import type { Place } from '../backup/place.ts';
import { openPlaceAt } from './open.ts';

/**
 * Opens the stores of a reading step, each once, the first component's first.
 * @throws UsageError when nothing says where backups lie, or dr.yml does not have the component
 */
export async function openReadingPlaces(
  context: StepContext<PlaceInputs & Pick<typeof targetInputs, 'component'>>,
): Promise<[Place, ...Place[]]> {
  const { component, store: given } = context.inputs;
  if (given !== undefined) return [await openPlaceAt(context, given)];
  const dr = await sessionOf(context).dr();
  const names = new Set(
    (component === undefined ? (dr?.componentNames() ?? []) : [component]).flatMap((name) => dr?.storeNameOf(name) ?? []),
  );
  const places: Place[] = [];
  for (const name of names) {
    const place = await openPlaceAt(context, name);
    if (!places.some(({ store }) => store.location === place.store.location)) places.push(place);
  }
  const [first, ...rest] = places;
  if (first) return [first, ...rest];
  const { host } = context;
  throw new UsageError(
    dr ? `${host.spell('store')} is missing: ${dr.label} names no store.` : `${absentDr()}, and ${host.spell('store')} is missing.`,
    {
      fix: `Set ${host.spell('store')} to the store of the backups${dr ? ', or add stores to the file' : `, or ${wayToDr(host)}`}.`,
    },
  );
}

/** Where was looked, for messages. */
export function locationsText(places: readonly Place[]): string {
  return places.map(({ store }) => store.location).join(' and ');
}
