// The registry of stores: a new kind of store is one folder and one line here. Opens a store from its address or from dr.yml's description.
import { isAbsolute } from 'node:path';
import type { z } from 'zod';
import { UsageError } from '../step/errors.ts';
import { expandHome } from '../step/home-path.ts';
import { azureBlob } from './azure/kind.ts';
import { folder } from './folder/kind.ts';
import { withoutQuery, type OpenStoreOptions, type StoreKind } from './kind.ts';
import { s3 } from './s3/kind.ts';
import { sftp } from './sftp/kind.ts';
import type { Store } from './store.ts';

export type { OpenStoreOptions } from './kind.ts';

/** Every kind of store, by the name that dr.yml calls it. */
export const STORES = {
  'azure-blob': azureBlob,
  folder,
  s3,
  sftp,
};

type Stores = typeof STORES;

/** What dr.yml or an address says of a store, references resolved: the type follows from the schema beside each store. */
export type StoreConfig = { [K in keyof Stores]: Stores[K] extends StoreKind<infer S> ? z.infer<S> : never }[keyof Stores];

/** The kinds of `dr.yml`. */
export const STORE_KINDS = Object.keys(STORES) as StoreConfig['kind'][];

const ALL: readonly StoreKind<z.ZodType<StoreConfig>>[] = Object.values(STORES);

/** A kind of store by its name; undefined for one that is not known. */
export function storeKind(kind: string): StoreKind<z.ZodType<StoreConfig>> | undefined {
  return Object.entries(STORES).find(([name]) => name === kind)?.[1];
}

const ADDRESSES = ALL.map(({ address }) => address).join(', ');

/**
 * Opens a store; nothing is sent or created yet. An address may hold a SAS, which is a secret: the caller masks it; the store's `location`
 * does not have it.
 * @throws UsageError when the address or the description is not one of a known store
 */
export async function openStore(target: string | StoreConfig, options: OpenStoreOptions = {}): Promise<Store> {
  const config = typeof target === 'string' ? parseStoreAddress(target) : target;
  const kind = storeKind(config.kind);
  if (kind === undefined)
    throw new UsageError(`"${config.kind}" is not a kind of store.`, { fix: `Use one of: ${STORE_KINDS.join(', ')}.` });
  return kind.open(config, options);
}

/**
 * Reads a store's address.
 * @throws UsageError naming the known shapes
 */
export function parseStoreAddress(text: string): StoreConfig {
  const scheme = schemeOf(text);
  // Two letters or more are a scheme: `C:\backups` is a folder.
  if (scheme === undefined || isAbsolute(text)) return { kind: 'folder', path: expandHome(text) };
  const found = ALL.find(({ schemes }) => schemes.includes(scheme));
  if (!URL.canParse(text) || !canDecode(withoutQuery(text))) {
    throw new UsageError(`"${withoutQuery(text)}" is not the address of a store.`, { fix: `Use ${ADDRESSES}.` });
  }
  if (found) return found.parse(text);
  throw new UsageError(`"${scheme}:" is not a known kind of store address.`, { fix: `Use ${ADDRESSES}.` });
}

/** The secret part of a store's address (the SAS), which must be masked before anything is logged; undefined when it has none. */
export function secretInStoreAddress(text: string): string | undefined {
  const scheme = schemeOf(text);
  return scheme === undefined ? undefined : ALL.find(({ schemes }) => schemes.includes(scheme))?.secretIn?.(text);
}

function schemeOf(text: string): string | undefined {
  return /^([a-z][a-z0-9+.-]+):/i.exec(text)?.[1]?.toLowerCase();
}

/** False when a "%" stands for nothing. */
function canDecode(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}
