// Addresses of Azure Blob containers: taken apart and put together.
import { UsageError } from '../../step/errors.ts';
import { AZURE_TIERS, type AzureTier } from './tier.ts';

export interface AzureBlobAddress {
  account: string;
  /** `https://<account>.blob.core.windows.net`, or an emulator's `https://127.0.0.1:<port>/<account>`; no slash at the end. */
  accountUrl: string;
  container: string;
  /** Folder in the container, without slashes around it; '' for the whole container. */
  prefix: string;
}

const EXAMPLE = 'https://<account>.blob.core.windows.net/<container>/<folder>';
/** Azure's rule for container names, and its special ones. */
const CONTAINER = /^(?=.{3,63}$)[a-z0-9](-?[a-z0-9])*$|^\$(root|web)$/;

/**
 * Reads an address of a container or a folder in one. A host that is an address or localhost has the account as its first path segment,
 * as emulators do; elsewhere the account is the host's first label.
 * @returns the address and, apart from it, the SAS that the query held (a secret)
 * @throws UsageError saying what is missing
 */
export function parseAzureBlobAddress(text: string): {
  address: AzureBlobAddress;
  sas: string | undefined;
  tier: AzureTier | undefined;
} {
  const url = new URL(text);
  const shown = `${url.origin}${url.pathname}`;
  const segments = url.pathname
    .split('/')
    .filter((segment) => segment !== '')
    .map(decodeURIComponent);
  const { account, accountUrl } = accountOf(url, segments, shown);
  const [container, ...folders] = segments;
  if (container === undefined) throw new UsageError(`The store ${shown} names no container.`, { fix: `Write it as ${EXAMPLE}.` });
  const tier = tierIn(url, shown);
  const sas = url.search
    .slice(1)
    .split('&')
    .filter((part) => !part.startsWith('tier='))
    .join('&');
  if (sas !== '' && !url.searchParams.has('sig')) {
    throw new UsageError(`The store ${shown} has a query that is not a SAS: it holds no signature.`, {
      fix: 'Copy the SAS whole and quote the address: a shell cuts it at "&".',
    });
  }
  return {
    address: azureBlobAddress({ account, accountUrl, container, prefix: folders.join('/') }),
    sas: sas === '' ? undefined : sas,
    tier,
  };
}

/** `?tier=archive`, beside a SAS or alone. */
function tierIn(url: URL, shown: string): AzureTier | undefined {
  const tier = url.searchParams.get('tier');
  if (tier === null) return undefined;
  const known = AZURE_TIERS.find((one) => one === tier);
  if (known) return known;
  throw new UsageError(`The store ${shown} has the tier "${tier}", which there is not.`, { fix: `Use ${AZURE_TIERS.join(', ')}.` });
}

/**
 * Checks the parts of an address.
 * @throws UsageError when the container's name is impossible
 */
export function azureBlobAddress(address: AzureBlobAddress): AzureBlobAddress {
  if (!CONTAINER.test(address.container)) {
    throw new UsageError(`"${address.container}" cannot be a container's name.`, {
      fix: 'Azure takes 3 to 63 lower-case letters, digits and single hyphens.',
    });
  }
  return { ...address, accountUrl: address.accountUrl.replace(/\/+$/, ''), prefix: address.prefix.replace(/^\/+|\/+$/g, '') };
}

function accountOf(url: URL, segments: string[], shown: string): { account: string; accountUrl: string } {
  if (/^(localhost|\d+\.\d+\.\d+\.\d+|\[.*\])$/.test(url.hostname)) {
    const account = segments.shift();
    if (account === undefined)
      throw new UsageError(`The store ${shown} names no account.`, { fix: `Write it as ${url.origin}/<account>/<container>.` });
    return { account, accountUrl: `${url.origin}/${account}` };
  }
  const [account, service] = url.hostname.split('.');
  if (account === undefined || service !== 'blob') {
    throw new UsageError(`The store ${shown} is not an address of Azure Blob storage.`, { fix: `Write it as ${EXAMPLE}.` });
  }
  if (url.protocol !== 'https:') {
    throw new UsageError(`The address of the store ${shown} begins with http: anyone on the way could read its SAS.`, {
      fix: 'Write https://.',
    });
  }
  return { account, accountUrl: url.origin };
}
