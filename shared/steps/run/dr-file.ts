// The dr.yml of a call, read by a step itself: for what is more than an input, such as stores by name and who is told.
import type { DrConfig } from '../../config/dr-config.ts';
import { findDrFile } from '../../config/source.ts';
import type { StepContext } from '../../step/define.ts';
import type { targetInputs } from '../inputs.ts';

/**
 * The file that the input `config` names, else the one in the working folder; undefined when there is none.
 * @param hide told every secret besides the host, before it is used
 * @throws UsageError, ConfigError
 */
export async function openDrFile(
  { host, inputs }: StepContext<Pick<typeof targetInputs, 'config'>>,
  hide?: (secret: string) => void,
): Promise<DrConfig | undefined> {
  const file = findDrFile(inputs.config);
  if (file === undefined) return undefined;
  // YAML, zod and cron are loaded only where there is a file to read.
  const { loadDr } = await import('../../config/load.ts');
  return loadDr(file, {
    mask: (secret) => {
      host.mask(secret);
      hide?.(secret);
    },
    vaultSecret: async (vault, name) => {
      const { readVaultSecret } = await import('./vault-secret.ts');
      return readVaultSecret(vault, name, (input) => host.rawInput(input) || undefined, host);
    },
  });
}
