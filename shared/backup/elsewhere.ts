// Whether any other store may still have a backup's data: asked of the stores that are given, and of those that the records of copies name,
// from store to store. In doubt it may.
import { backupNames } from './layout.ts';
import type { Place } from './place.ts';
import { errorMessage } from '../step/errors.ts';
import type { Timestamp } from '../step/timestamp.ts';
import { copyRecords, placeKey } from './copy-record.ts';

/** Opens a store by the address in a record. */
export type PlaceOfRecord = (store: string, prefix: string) => Promise<Place>;

export interface ElsewhereQuery {
  place: Place;
  component: string;
  timestamp: Timestamp;
  /** Other stores that the call or dr.yml name. */
  others: readonly Place[];
  /** Absent: a store that only a record names cannot be asked. */
  open?: PlaceOfRecord | undefined;
  signal?: AbortSignal | undefined;
}

/** `unknown`: a store that may have it cannot say; the reason continues "its keys stay …". `recorded`: whether any record led to the answer. */
export type Elsewhere = { answer: 'gone'; recorded: boolean } | { answer: 'there' } | { answer: 'unknown'; reason: string };

interface Suspect {
  key: string;
  store: string;
  open: () => Promise<Place>;
  /** The place whose record names it: it must name that place, too, or it is not the store that it was (a disk that is not mounted). */
  namedBy?: string;
}

/** Asks every store that may have the backup's data. @throws only when it is cancelled */
export async function dataElsewhere(query: ElsewhereQuery): Promise<Elsewhere> {
  const { place, component, timestamp, others, signal } = query;
  const asked = new Set([keyOf(place)]);
  const suspects: Suspect[] = others.map((other) => ({ key: keyOf(other), store: other.store.location, open: async () => other }));
  let doubt: string | undefined;
  let recorded = false;
  const follow = async (at: Place): Promise<string[]> => {
    const named: string[] = [];
    for (const record of await copyRecords(at, component, signal)) {
      const { store, prefix } = record;
      recorded = true;
      if (store === undefined) {
        doubt ??= `until ${record.name} in ${at.store.location} can be read: it names a store with copies`;
        continue;
      }
      const key = placeKey({ store, prefix });
      named.push(key);
      const known = others.find((other) => keyOf(other) === key);
      suspects.unshift({ key, store, namedBy: keyOf(at), open: async () => known ?? (await openRecorded(query, store, prefix)) });
    }
    return named;
  };
  try {
    await follow(place);
    for (let next = suspects.shift(); next; next = suspects.shift()) {
      if (asked.has(next.key)) continue;
      asked.add(next.key);
      try {
        const there = await next.open();
        if (await there.store.stat(backupNames(there.prefix, component, timestamp).data, signal)) return { answer: 'there' };
        const names = await follow(there);
        if (next.namedBy !== undefined && !names.includes(next.namedBy))
          doubt ??= `until ${next.store}, which had copies, is there again: what is there now does not know of them`;
      } catch (thrown) {
        if (signal?.aborted) throw thrown;
        doubt ??= `until ${next.store} can say whether it has a copy: ${errorMessage(thrown)}`;
      }
    }
  } catch (thrown) {
    if (signal?.aborted) throw thrown;
    doubt ??= `until ${place.store.location} can say where copies are: ${errorMessage(thrown)}`;
  }
  return doubt === undefined ? { answer: 'gone', recorded } : { answer: 'unknown', reason: doubt };
}

async function openRecorded({ open }: ElsewhereQuery, store: string, prefix: string): Promise<Place> {
  if (!open) throw new Error('it was not named to this run');
  return open(store, prefix);
}

function keyOf({ store, prefix }: Place): string {
  return placeKey({ store: store.location, prefix });
}
