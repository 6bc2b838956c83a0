// Containers of Azure Blob Storage as a kind of store.
import { UsageError } from '../../step/errors.ts';
import { waiting, type OpenStoreOptions, type StoreKind } from '../kind.ts';
import type { Store } from '../store.ts';
import { azureBlobAddress, parseAzureBlobAddress } from './address.ts';
import type { AzureBlobStoreConfig, schema } from './schema.ts';

export const azureBlob: StoreKind<typeof schema> = {
  schema: async () => (await import('./schema.ts')).schema,
  address: 'https://<account>.blob.core.windows.net/<container>/<folder>',
  schemes: ['https', 'http'],
  parse(text) {
    const { address, sas, tier } = parseAzureBlobAddress(text);
    return {
      kind: 'azure-blob',
      account: address.account,
      container: address.container,
      endpoint: address.accountUrl,
      ...(address.prefix === '' ? {} : { prefix: address.prefix }),
      sas,
      tier,
    };
  },
  // The query is a SAS.
  secretIn(address) {
    const query = address.indexOf('?');
    return query === -1 ? undefined : address.slice(query + 1);
  },
  withSas: (config, sas) => ({ ...config, sas }),
  azureContainer(location) {
    const { hostname, pathname } = new URL(location);
    return [hostname.split('.')[0] ?? '', pathname.split('/')[1] ?? ''];
  },
  open: openAzure,
};

async function openAzure(config: AzureBlobStoreConfig, options: OpenStoreOptions): Promise<Store> {
  const { account, container, sas, connectionString } = config;
  const address = azureBlobAddress({
    account,
    accountUrl: config.endpoint ?? `https://${account}.blob.core.windows.net`,
    container,
    prefix: config.prefix ?? '',
  });
  const { openAzureBlob } = await import('./index.ts');
  const wanted = { debug: options.debug, tier: config.tier, ...waiting(options) };
  if (sas !== undefined) return openAzureBlob(address, { sas: sas.replace(/^\?/, '') }, wanted);
  if (connectionString !== undefined) return openAzureBlob(address, { connectionString }, wanted);
  if (options.credential) return openAzureBlob(address, { credential: await options.credential() }, wanted);
  throw new UsageError(`The store ${address.accountUrl}/${container} needs a sign-in to Azure or a SAS.`, {
    fix: 'Sign in (azure/login, a service connection, az login), or add a SAS to the address.',
  });
}
