// What `list-backups` takes and puts out.
import type { StepContext } from '../../step/define.ts';
import { input, optional } from '../../step/input.ts';
import { ANY_STORE, azureInputs, storeInputs, targetInputs } from '../../session/inputs.ts';

export const inputs = {
  ...targetInputs,
  ...storeInputs,
  store: optional(storeInputs.store, ANY_STORE),
  days: input.integer({ summary: 'Only the last N days; everything when absent.', example: '7' }),
  ...azureInputs,
};

export const outputs = {
  count: { summary: 'Number of backups listed.' },
  latest: { summary: 'Timestamp of the latest verified backup; empty when there is none.' },
  backups: { summary: 'The list as JSON.' },
};

export type Context = StepContext<typeof inputs, keyof typeof outputs>;
