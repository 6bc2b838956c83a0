// Opens a store from its address or from dr.yml's description. A new kind of store is one file and one line here.
import { isAbsolute, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TokenCredential } from '@azure/core-auth';
import { UsageError } from '../step/errors.ts';
import { azureBlobAddress, parseAzureBlobAddress } from './azure-address.ts';
import type { Store } from './store.ts';

/** `dr.yml`: `{ kind: azure-blob, account: stdrprod, container: backups }`. */
export interface AzureBlobStoreConfig {
  kind: 'azure-blob';
  account: string;
  container: string;
  /** Folder in the container. */
  prefix?: string;
  /** The account's address where it is not `https://<account>.blob.core.windows.net`: other clouds, emulators. */
  endpoint?: string;
  /** A SAS token (the part behind "?"); a secret. */
  sas?: string;
  /** A connection string with an account key; a secret. */
  connectionString?: string;
}

/** `dr.yml`: `{ kind: folder, path: /srv/backups }`. */
export interface FolderStoreConfig {
  kind: 'folder';
  /** Relative to the current folder. */
  path: string;
}

export type StoreConfig = AzureBlobStoreConfig | FolderStoreConfig;

export interface OpenStoreOptions {
  /** Signs in to Azure; called when a store needs it. `azureCredential` of shared/azure/sign-in.ts. */
  credential?: () => TokenCredential | Promise<TokenCredential>;
  debug?: (message: string) => void;
}

type Open<C> = (config: C, options: OpenStoreOptions) => Promise<Store>;

/** Every kind of store. */
const KINDS: { [K in StoreConfig['kind']]: Open<Extract<StoreConfig, { kind: K }>> } = {
  'azure-blob': async (config, options) => openAzure(config, options),
  folder: async ({ path }) => new (await import('./folder.ts')).FolderStore(resolve(path)),
};

/** The kinds of `dr.yml`. */
export const STORE_KINDS = Object.keys(KINDS) as StoreConfig['kind'][];

const ADDRESSES = 'https://<account>.blob.core.windows.net/<container>/<folder>, a path, or file:///<path>';

/**
 * Opens a store; nothing is sent or created yet. An address may hold a SAS, which is a secret: the caller masks it; the store's `location`
 * does not have it.
 * @throws UsageError when the address or the description is not one of a known store
 */
export async function openStore(target: string | StoreConfig, options: OpenStoreOptions = {}): Promise<Store> {
  const config = typeof target === 'string' ? parseStoreAddress(target) : target;
  const open = Object.hasOwn(KINDS, config.kind) ? (KINDS[config.kind] as Open<StoreConfig>) : undefined;
  if (!open) throw new UsageError(`"${config.kind}" is not a kind of store.`, { fix: `Use one of: ${STORE_KINDS.join(', ')}.` });
  return open(config, options);
}

/**
 * Reads a store's address.
 * @throws UsageError naming the known shapes
 */
export function parseStoreAddress(text: string): StoreConfig {
  const scheme = /^([a-z][a-z0-9+.-]+):/i.exec(text)?.[1]?.toLowerCase();
  if (scheme === undefined || isAbsolute(text)) return { kind: 'folder', path: text };
  if (!URL.canParse(text)) throw new UsageError(`"${withoutQuery(text)}" is not the address of a store.`, { fix: `Use ${ADDRESSES}.` });
  if (scheme === 'file') return { kind: 'folder', path: fileURLToPath(text) };
  if (scheme === 'https' || scheme === 'http') {
    const { address, sas } = parseAzureBlobAddress(text);
    return {
      kind: 'azure-blob',
      account: address.account,
      container: address.container,
      endpoint: address.accountUrl,
      ...(address.prefix === '' ? {} : { prefix: address.prefix }),
      ...(sas === undefined ? {} : { sas }),
    };
  }
  throw new UsageError(`"${scheme}:" is not a known kind of store address.`, { fix: `Use ${ADDRESSES}.` });
}

/** The secret part of a store's address (the SAS), which must be masked before anything is logged; undefined when it has none. */
export function secretInStoreAddress(text: string): string | undefined {
  const query = text.indexOf('?');
  return /^https?:/i.test(text) && query !== -1 ? text.slice(query + 1) : undefined;
}

async function openAzure(config: AzureBlobStoreConfig, options: OpenStoreOptions): Promise<Store> {
  const { account, container, sas, connectionString } = config;
  const address = azureBlobAddress({
    account,
    accountUrl: config.endpoint ?? `https://${account}.blob.core.windows.net`,
    container,
    prefix: config.prefix ?? '',
  });
  const { openAzureBlob } = await import('./azure-blob.ts');
  if (sas !== undefined) return openAzureBlob(address, { sas: sas.replace(/^\?/, '') }, options.debug);
  if (connectionString !== undefined) return openAzureBlob(address, { connectionString }, options.debug);
  if (options.credential) return openAzureBlob(address, { credential: await options.credential() }, options.debug);
  throw new UsageError(`The store ${address.accountUrl}/${container} needs a sign-in to Azure or a SAS.`, {
    fix: 'Sign in (azure/login, a service connection, az login), or add a SAS to the address.',
  });
}

function withoutQuery(text: string): string {
  return text.split('?')[0] ?? text;
}
