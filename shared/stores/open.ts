// Opens a store from its address or from dr.yml's description. A new kind of store is one file and one line here.
import { isAbsolute, resolve } from 'node:path';
import type { TokenCredential } from '@azure/core-auth';
import { UsageError } from '../step/errors.ts';
import type { Clock } from '../tools/clock.ts';
import { pathOfFileUrl } from '../tools/file-url.ts';
import { expandHome } from '../step/home-path.ts';
import { azureBlobAddress, parseAzureBlobAddress } from './azure/address.ts';
import type { AzureTier } from './azure/tier.ts';
import type { PatienceOptions } from './patience.ts';
import { S3_CLASSES } from './s3/tier.ts';
import type { S3StoreConfig } from './s3/index.ts';
import type { SftpStoreConfig } from './sftp/index.ts';
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
  /** Where backups' data is moved once it is proved: hot, cool, cold, archive. Absent: it stays where it was written. */
  tier?: AzureTier;
}

/** `dr.yml`: `{ kind: folder, path: /srv/backups }`. */
export interface FolderStoreConfig {
  kind: 'folder';
  /** Relative to the current folder. */
  path: string;
}

export type StoreConfig = AzureBlobStoreConfig | FolderStoreConfig | S3StoreConfig | SftpStoreConfig;

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

type Open<C> = (config: C, options: OpenStoreOptions) => Promise<Store>;

/** Every kind of store. */
const KINDS: { [K in StoreConfig['kind']]: Open<Extract<StoreConfig, { kind: K }>> } = {
  'azure-blob': async (config, options) => openAzure(config, options),
  folder: async ({ path }, { mustExist }) => new (await import('./folder/index.ts')).FolderStore(resolve(expandHome(path)), { mustExist }),
  s3: async (config, options) => (await import('./s3/index.ts')).openS3Store(config, waiting(options)),
  sftp: async (config, options) =>
    (await import('./sftp/index.ts')).openSftpStore(config, { ...waiting(options), mustExist: options.mustExist }),
};

function waiting({ patience, notice, clock }: OpenStoreOptions): PatienceOptions {
  return { limitMs: patience, notice, clock };
}

/** The kinds of `dr.yml`. */
export const STORE_KINDS = Object.keys(KINDS) as StoreConfig['kind'][];

const ADDRESSES =
  'https://<account>.blob.core.windows.net/<container>/<folder>, s3://<bucket>/<folder>?region=<region>, sftp://<user>@<host>/<path>?fingerprint=SHA256:…, a path, or file:///<path>';

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
  if (scheme === undefined || isAbsolute(text)) return { kind: 'folder', path: expandHome(text) };
  if (scheme === 'file') return { kind: 'folder', path: pathOfFileUrl(text) };
  if (!URL.canParse(text) || !canDecode(withoutQuery(text))) {
    throw new UsageError(`"${withoutQuery(text)}" is not the address of a store.`, { fix: `Use ${ADDRESSES}.` });
  }
  if (scheme === 'https' || scheme === 'http') {
    const { address, sas, tier } = parseAzureBlobAddress(text);
    return {
      kind: 'azure-blob',
      account: address.account,
      container: address.container,
      endpoint: address.accountUrl,
      ...(address.prefix === '' ? {} : { prefix: address.prefix }),
      ...(sas === undefined ? {} : { sas }),
      ...(tier === undefined ? {} : { tier }),
    };
  }
  if (scheme === 's3') return parseS3Address(new URL(text));
  if (scheme === 'sftp') return parseSftpAddress(new URL(text));
  throw new UsageError(`"${scheme}:" is not a known kind of store address.`, { fix: `Use ${ADDRESSES}.` });
}

/** `s3://<bucket>/<folder>?region=&endpoint=&lockDays=&storageClass=`. The environment signs in. */
function parseS3Address(url: URL): S3StoreConfig {
  const settings = queryOf(url, ['region', 'endpoint', 'lockDays', 'storageClass']);
  const prefix = folderOf(url);
  const { region, endpoint, lockDays } = settings;
  const storageClass = S3_CLASSES.find((one) => one === settings.storageClass);
  if (
    url.hostname === '' ||
    (lockDays !== undefined && !/^[1-9]\d{0,4}$/.test(lockDays)) ||
    (endpoint !== undefined && !URL.canParse(endpoint)) ||
    storageClass !== settings.storageClass
  ) {
    throw new UsageError(`"${withoutQuery(url.href)}" is not the address of a bucket.`, {
      fix: 'Use s3://<bucket>/<folder>?region=<region>, with endpoint=https://… for a service that is not AWS, lockDays=<days> for object lock and storageClass=STANDARD_IA for a cheaper class that is readable at once.',
    });
  }
  return {
    kind: 's3',
    bucket: url.hostname,
    ...(prefix === '' ? {} : { prefix }),
    ...(region === undefined ? {} : { region }),
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(lockDays === undefined ? {} : { lockDays: Number(lockDays) }),
    ...(storageClass === undefined ? {} : { storageClass }),
  };
}

/** `sftp://<user>@<host>:<port>/<path>?fingerprint=SHA256:…&keyFile=`; `/~/` starts a path in the user's home. */
function parseSftpAddress(url: URL): SftpStoreConfig {
  if (url.password !== '') {
    throw new UsageError('The address of the SFTP server has a password in it, which would end up in logs.', {
      fix: 'Sign in with a key (keyFile=…) or the SSH agent, or name the password in dr.yml as ${env:SFTP_PASSWORD}.',
    });
  }
  const { fingerprint, keyFile } = queryOf(url, ['fingerprint', 'keyFile']);
  const path = decodeURIComponent(url.pathname).replace(/^\/~\/?/, '');
  if (url.hostname === '' || url.username === '' || path === '/') {
    throw new UsageError(`"${withoutQuery(url.href)}" is not the address of a folder of an SFTP server.`, {
      fix: 'Use sftp://<user>@<host>/<path>?fingerprint=SHA256:…',
    });
  }
  if (fingerprint === undefined) {
    throw new UsageError(`The address of the SFTP server ${url.host} lacks the fingerprint of its host key.`, {
      fix: `Add ?fingerprint=SHA256:…, as this shows it: ssh-keyscan -p ${url.port || '22'} ${url.hostname} | ssh-keygen -lf -`,
    });
  }
  return {
    kind: 'sftp',
    host: url.hostname,
    ...(url.port === '' ? {} : { port: Number(url.port) }),
    user: decodeURIComponent(url.username),
    path: path === '' ? '.' : path,
    // Base64 has a plus, which a query takes for a space.
    fingerprint: fingerprint.replaceAll(' ', '+'),
    ...(keyFile === undefined ? {} : { keyFile: expandHome(keyFile) }),
  };
}

function folderOf(url: URL): string {
  return decodeURIComponent(url.pathname).replace(/^\/+|\/+$/g, '');
}

/** @throws UsageError when the query has a setting that the kind of store does not know */
function queryOf<K extends string>(url: URL, known: readonly K[]): Partial<Record<K, string>> {
  for (const key of url.searchParams.keys()) {
    if (!(known as readonly string[]).includes(key)) {
      throw new UsageError(`The address ${withoutQuery(url.href)} has the unknown setting "${key}".`, {
        fix: `Known are: ${known.join(', ')}.`,
      });
    }
  }
  return Object.fromEntries(url.searchParams) as Partial<Record<K, string>>;
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
  const { openAzureBlob } = await import('./azure/index.ts');
  const wanted = { debug: options.debug, tier: config.tier, ...waiting(options) };
  if (sas !== undefined) return openAzureBlob(address, { sas: sas.replace(/^\?/, '') }, wanted);
  if (connectionString !== undefined) return openAzureBlob(address, { connectionString }, wanted);
  if (options.credential) return openAzureBlob(address, { credential: await options.credential() }, wanted);
  throw new UsageError(`The store ${address.accountUrl}/${container} needs a sign-in to Azure or a SAS.`, {
    fix: 'Sign in (azure/login, a service connection, az login), or add a SAS to the address.',
  });
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

function withoutQuery(text: string): string {
  return text.split('?')[0] ?? text;
}
