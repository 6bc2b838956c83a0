// The stores in which a component's backups lie: home first, then its copies, as dr.yml says it, or the one that was given.
import { safetyOf } from '../../backup/layout.ts';
import type { DrConfig } from '../../config/dr-config.ts';
import type { StepContext } from '../../step/define.ts';
import { UsageError } from '../../step/errors.ts';
import type { PlaceInputs } from '../inputs.ts';
import { openDrFile } from './dr-file.ts';
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

/** Opens stores, each once. */
export class PlaceOpener {
  readonly #context: StepContext<PlaceInputs>;
  readonly #opened = new Map<string, Promise<Place>>();
  readonly #dr: DrConfig | undefined;

  constructor(context: StepContext<PlaceInputs>, dr: DrConfig | undefined) {
    this.#context = context;
    this.#dr = dr;
  }

  static async open(context: StepContext<PlaceInputs>): Promise<PlaceOpener> {
    return new PlaceOpener(context, await openDrFile(context));
  }

  get dr(): DrConfig | undefined {
    return this.#dr;
  }

  /** A store by name or address. @throws UsageError */
  async at(address: string): Promise<NamedPlace> {
    let opening = this.#opened.get(address);
    if (!opening) this.#opened.set(address, (opening = openPlaceAt(this.#context, address)));
    return { ...(await opening), name: this.#dr?.hasStore(address) ? address : undefined };
  }

  /**
   * The stores of a component; only the given one is chosen when one is given.
   * @param copies further stores that the call names
   * @throws UsageError when none can be told
   */
  async of(component: string, given: string | undefined, copies: readonly string[] = []): Promise<ComponentPlaces> {
    const name = [component, safetyOf(component)].find((one) => one !== undefined && this.#dr?.componentNames().includes(one));
    const entry = name === undefined ? undefined : this.#dr?.component(name);
    const home = name === undefined ? undefined : this.#dr?.storeNameOf(name);
    const names = home === undefined ? [] : [home, ...(entry?.copies ?? [])];
    const named = await Promise.all(names.map((name) => this.at(name)));
    const further = await Promise.all(copies.map((name) => this.at(name)));
    if (given !== undefined) {
      const chosen = await this.at(given);
      return { component, chosen: [chosen], all: distinct([chosen, ...named, ...further]), known: names.length > 0 || copies.length > 0 };
    }
    if (named.length === 0) {
      const { host } = this.#context;
      throw new UsageError(`Where the backups of ${component} lie is not known.`, {
        fix: `Set ${host.spell('store')}, or name the component and its store in dr.yml.`,
      });
    }
    return { component, chosen: named, all: distinct([...named, ...further]), known: true };
  }
}

/** Each store once, the first mention of it. */
function distinct(places: readonly NamedPlace[]): NamedPlace[] {
  return places.filter(({ store }, index) => places.findIndex((other) => other.store.location === store.location) === index);
}
