// Resolves `${vault:name}` of dr.yml, signed in by the step's own inputs.
import type { VaultConfig } from '../../config/dr-config.ts';
import type { Host } from '../../step/host.ts';
import { Secret } from '../../step/input.ts';
import { openVault } from '../../vaults/open.ts';
import { TOKEN_EXCHANGE_AUDIENCE } from '../../azure/sign-in.ts';
import { credentialFrom } from './open.ts';

/**
 * The value of a secret in dr.yml's vault; undefined when it is not there.
 * @param raw the step's raw inputs by camelCase name
 */
export async function readVaultSecret(
  vault: VaultConfig,
  name: string,
  raw: (name: string) => string | undefined,
  host: Host,
): Promise<string | undefined> {
  const secret = raw('azureClientSecret');
  if (secret !== undefined) host.mask(secret);
  const opened = await openVault(vault, {
    credential: () =>
      credentialFrom(host, {
        azureSubscription: raw('azureSubscription'),
        azureClientId: raw('azureClientId'),
        azureTenantId: raw('azureTenantId'),
        azureClientSecret: secret === undefined ? undefined : new Secret(secret),
        azureAudience: raw('azureAudience') ?? TOKEN_EXCHANGE_AUDIENCE,
        azureAuthority: raw('azureAuthority'),
      }),
  });
  return (await opened.get(name, host.signal))?.value;
}
