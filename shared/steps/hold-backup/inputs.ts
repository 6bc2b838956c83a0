// What `hold-backup` takes and puts out.
import type { StepContext } from '../../step/define.ts';
import { input } from '../../step/input.ts';
import { azureInputs, storeInputs, targetInputs } from '../../session/inputs.ts';

export const inputs = {
  ...targetInputs,
  timestamp: input.chosenTimestamp({
    summary: 'Which backup: its timestamp, or latest, which means the latest verified one and is the default.',
    example: '20241201_120000',
  }),
  reason: input.string({ summary: 'Why, for the people who find the hold later.', example: 'before the upgrade to 7.0', required: true }),
  holdFor: input.string({ summary: 'How long: 30d, 8w, 6mo, 1y, or "ever": until it is released.', example: '90d', default: '30d' }),
  ...storeInputs,
  store: input.string({
    summary: 'Only this store: the name of a store in dr.yml, or an address. When absent, every store that dr.yml names for the component.',
    example: 'primary',
  }),
  ...azureInputs,
};

export const outputs = {
  timestamp: { summary: 'Timestamp of the backup that is held.' },
  hold: { summary: 'Id of the hold, for release-hold.' },
  until: { summary: 'When it ends by itself (ISO 8601); empty when it does not.' },
};

export type Context = StepContext<typeof inputs, keyof typeof outputs>;
