// Azure Key Vault as a kind of vault.
import { UsageError } from '../../step/errors.ts';
import type { OpenVaultOptions, VaultKind } from '../kind.ts';
import type { KeyVaultOptions } from './requests.ts';
import type { schema } from './schema.ts';

export const azureKeyVault: VaultKind<typeof schema> = {
  schema: async () => (await import('./schema.ts')).schema,
  address: 'https://<name>.vault.azure.net',
  schemes: ['https'],
  parse: (url) => ({ kind: 'azure-key-vault', url }),
  open: async ({ url }, options) => new (await import('./index.ts')).AzureKeyVault(url, await keyVaultOptions(options)),
  azureName: (location) => new URL(location).hostname.split('.')[0] ?? '',
  perBackup: 'key-vault-secret',
  keyAddress: (vault, key) => `${vault}/keys/${key}`,
};

/** What requests to a Key Vault need. @throws UsageError when no one signs in */
export async function keyVaultOptions({ credential, tlsOptions, patience, clock }: OpenVaultOptions): Promise<KeyVaultOptions> {
  if (!credential) {
    throw new UsageError('A Key Vault needs an Azure identity, and none is set up.', {
      fix: 'Sign in to Azure, for example with azure/login.',
    });
  }
  return {
    credential: await credential(),
    ...(tlsOptions === undefined ? {} : { tlsOptions }),
    ...(patience === undefined ? {} : { patience }),
    ...(clock === undefined ? {} : { clock }),
  };
}
