// What the comparing step of a kind takes and puts out; `inputsOf` adds where the thing is, and what of it.
import type { AnyKind } from '../../kinds/registry.ts';
import { azureInputs, keyInputs, sourceInputs, storeInputs, targetInputs, unlockInputs } from '../../session/inputs.ts';
import type { StepContext } from '../../step/define.ts';
import { input } from '../../step/input.ts';

const reading = {
  ...storeInputs,
  ...sourceInputs,
  ...keyInputs,
  ...unlockInputs,
  timestamp: input.chosenTimestamp({
    summary: 'The older state: the timestamp of a backup, or latest, which means the latest verified one and is the default.',
    example: '20241201_120000',
  }),
  against: input.timestamp({
    summary: 'The newer state: the timestamp of another backup. When absent, what is living now.',
    example: '20241202_120000',
  }),
};

export const inputs = { ...targetInputs, ...reading, ...azureInputs };

export const outputs = {
  timestamp: { summary: 'Timestamp of the older backup.' },
  equal: { summary: 'true when nothing differs.' },
  added: { summary: 'How many things are only in the newer state.' },
  changed: { summary: 'How many things differ.' },
  removed: { summary: 'How many things are only in the older state.' },
  seconds: { summary: 'Duration in seconds.' },
};

/** All inputs, in the order in which people read them. */
export function inputsOf(kind: AnyKind): typeof inputs {
  return { ...targetInputs, ...kind.inputs, ...reading, ...azureInputs };
}

export type Context = StepContext<typeof inputs, keyof typeof outputs>;
