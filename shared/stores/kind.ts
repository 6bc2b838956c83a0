// A kind of store: all that the registry in open.ts knows of it. Light: its schema and the store itself are loaded when they are needed.
import type { TokenCredential } from '@azure/core-auth';
import type { z } from 'zod';
import { UsageError } from '../step/errors.ts';
import type { Clock } from '../tools/clock.ts';
import type { PatienceOptions } from './patience.ts';
import type { Store } from './store.ts';

export interface OpenStoreOptions {
  /** Signs in to Azure; called when a store needs it. `azureCredential` of shared/azure/sign-in.ts. */
  credential?: () => TokenCredential | Promise<TokenCredential>;
  debug?: (message: string) => void;
  /** How long a store that has answered before is waited for when it is away, milliseconds; 0: not at all. Default 15 minutes. */
  patience?: number | undefined;
  /** Told when a store is away and waited for, and how that ends. */
  notice?: ((message: string) => void) | undefined;
  /** A folder, here or on a server, must be there already; without it the first write makes it. */
  mustExist?: boolean | undefined;
  /** For tests. */
  clock?: Clock | undefined;
}

/** One kind of store. `S` is the schema of its entry in dr.yml, from which the type of what it opens follows. */
export interface StoreKind<S extends z.ZodType> {
  /** Loads the schema of its entry in dr.yml. */
  readonly schema: () => Promise<S>;
  /** What an address looks like, for messages. */
  readonly address: string;
  /** What its addresses begin with, before the colon. */
  readonly schemes: readonly string[];
  /** Reads an address with one of the schemes. @throws UsageError saying what is wrong with it */
  parse(address: string): z.infer<S>;
  /** The part of an address that must be masked; undefined when it has none. */
  secretIn?(address: string): string | undefined;
  /** The same entry with a shared access signature, for stores that take one. */
  withSas?(config: z.infer<S>, sas: string): z.infer<S>;
  /** What to mind about an entry of dr.yml that is valid; undefined when there is nothing. */
  advice?(config: z.infer<S>): string | undefined;
  /** Storage account and container of a location, for stores whose rights are roles of Azure. */
  azureContainer?(location: string): readonly [account: string, container: string];
  /** Opens it; nothing is sent or created yet. */
  open(config: z.infer<S>, options: OpenStoreOptions): Promise<Store>;
}

/** What a store waits with when it is away. */
export function waiting({ patience, notice, clock }: OpenStoreOptions): PatienceOptions {
  return { limitMs: patience, notice, clock };
}

/** The folder in a container or bucket, without slashes around it. */
export function folderOf(url: URL): string {
  return decodeURIComponent(url.pathname).replace(/^\/+|\/+$/g, '');
}

/** @throws UsageError when the query has a setting that the kind of store does not know */
export function queryOf<K extends string>(url: URL, known: readonly K[]): Partial<Record<K, string>> {
  for (const key of url.searchParams.keys()) {
    if (!(known as readonly string[]).includes(key)) {
      throw new UsageError(`The address ${withoutQuery(url.href)} has the unknown setting "${key}".`, {
        fix: `Known are: ${known.join(', ')}.`,
      });
    }
  }
  return Object.fromEntries(url.searchParams) as Partial<Record<K, string>>;
}

/** An address without its query, which may be a secret. */
export function withoutQuery(text: string): string {
  return text.split('?')[0] ?? text;
}
