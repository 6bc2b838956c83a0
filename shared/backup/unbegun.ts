// A store for copies that never got one: its folder is not there yet, which looks like a disk that is not mounted. The stores of the backups
// and the vaults that keep their keys know better.
import { RootMissingError } from '../stores/errors.ts';
import type { KeyRecipient } from '../vaults/vault.ts';
import { storeMark } from './begin.ts';
import { copyRecords, placeKey } from './copy-record.ts';
import { safetyComponent, safetyOf } from './layout.ts';
import type { Place } from './place.ts';

export interface UnbegunQuery {
  component: string;
  /** The other stores of the component, its own first. Without one that can be asked nothing is known. */
  others: readonly Place[];
  recipients?: readonly KeyRecipient[] | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * True when a store for copies fails only because its folder was never made: nothing that can be asked knows of backups of the component, or
 * of its safety backups, in it. In doubt it is a disk that is not mounted.
 * @param problem what the store said
 * @throws only when it is cancelled
 */
export async function isUnbegun(problem: unknown, place: Place, query: UnbegunQuery): Promise<boolean> {
  const { component, others, recipients = [], signal } = query;
  if (!(problem instanceof RootMissingError)) return false;
  const asked = others.filter(({ store }) => store.location !== place.store.location);
  if (asked.length === 0) return false;
  const components = safetyOf(component) === undefined ? [component, safetyComponent(component)] : [component];
  const key = placeKey({ store: place.store.location, prefix: place.prefix });
  try {
    for (const name of components) {
      for (const other of asked) {
        const records = await copyRecords(other, name, signal);
        // A record that cannot be read may name this store.
        if (records.some(({ store, prefix }) => store === undefined || placeKey({ store, prefix }) === key)) return false;
      }
      for (const recipient of recipients) {
        if (((await recipient.backupsIn?.(storeMark(place.store), name, signal)) ?? []).length > 0) return false;
      }
    }
    return true;
  } catch (thrown) {
    if (signal?.aborted) throw thrown;
    return false;
  }
}
