// What `release-hold` takes and puts out.
import type { StepContext } from '../../step/define.ts';
import { input } from '../../step/input.ts';
import { azureInputs, storeInputs, targetInputs } from '../../session/inputs.ts';

export const inputs = {
  ...targetInputs,
  timestamp: input.chosenTimestamp({
    summary: 'Which backup: its timestamp, or latest for the latest verified one.',
    example: '20241201_120000',
    required: true,
  }),
  hold: input.string({
    summary: 'Only this hold, by its id (list-backups shows it); all holds of the backup when absent.',
    example: '3f9ac01b',
  }),
  ...storeInputs,
  store: input.string({
    summary: 'Only this store: the name of a store in dr.yml, or an address. When absent, every store that dr.yml names for the component.',
    example: 'primary',
  }),
  ...azureInputs,
};

export const outputs = { released: { summary: 'Number of holds released.' } };

export type Context = StepContext<typeof inputs, keyof typeof outputs>;
