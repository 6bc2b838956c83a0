// Where backups lie.
import type { Store } from '../stores/store.ts';

/** A store and the folder in it that holds the folders of the components. */
export interface Place {
  store: Store;
  prefix: string;
}
