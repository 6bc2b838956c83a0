// What `copy-backups` takes and puts out.
import type { StepContext } from '../../step/define.ts';
import { input, optional } from '../../step/input.ts';
import { azureInputs, copyInputs, keyInputs, lockInputs, storeInputs, targetInputs } from '../../session/inputs.ts';

export const inputs = {
  ...targetInputs,
  ...storeInputs,
  ...lockInputs,
  store: optional(storeInputs.store),
  ...copyInputs,
  days: input.integer({
    summary:
      'How many days back to look for missing copies; older ones may have been removed by retention. Whatever is newer than the newest copy is always copied. 0 copies everything.',
    default: '7',
  }),
  ...keyInputs,
  ...azureInputs,
};

export const outputs = {
  copied: { summary: 'Number of copies made.' },
  failed: { summary: 'Number of copies that failed.' },
  lagSeconds: { summary: 'Age in seconds of the oldest backup that lacks a copy; 0 when none does.' },
};

export type Context = StepContext<typeof inputs, keyof typeof outputs>;
