// dr.yml as every host's entry opens it: references to the environment and to the file's own vault are resolved.
import { drSource } from '../../shared/config/source.ts';
import type { OpenConfig } from '../../shared/step/run.ts';

export const openConfig: OpenConfig = drSource({
  vaultSecret: async (vault, name, raw, host) => {
    const { readVaultSecret } = await import('../../shared/steps/run/vault-secret.ts');
    return readVaultSecret(vault, name, raw, host);
  },
});
