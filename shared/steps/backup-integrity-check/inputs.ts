// What `backup-integrity-check` takes and puts out; `inputsOf` adds where the things of the kinds are.
import type { Kinds } from '../../kinds/registry.ts';
import type { StepContext } from '../../step/define.ts';
import { input } from '../../step/input.ts';
import { azureInputs, chosenInputs, keyInputs, sourceInputs, storeInputs, targetInputs, unlockInputs } from '../../session/inputs.ts';

/** Which backup, and how it is read. */
const reading = {
  ...storeInputs,
  ...sourceInputs,
  ...keyInputs,
  ...unlockInputs,
  ...chosenInputs,
};

export const inputs = {
  ...targetInputs,
  ...reading,
  tolerance: input.integer({
    summary: 'By how many percent the document count of a live collection may differ; 0 compares every byte.',
    default: '0',
  }),
  ...azureInputs,
};

export const outputs = {
  timestamp: { summary: 'Timestamp of the backup.' },
  equal: { summary: 'true when everything was equal (within the tolerance).' },
  items: { summary: 'How many things were compared.' },
  documents: { summary: 'Number of documents compared, in a backup of a database of documents.' },
  seconds: { summary: 'Duration in seconds.' },
};

/** All inputs, in the order in which people read them. */
export function inputsOf(kinds: Kinds): typeof inputs {
  const { tolerance } = inputs;
  return { ...targetInputs, ...kinds.inputs, ...reading, ...kinds.compareInputs, tolerance, ...azureInputs };
}

export type Context = StepContext<typeof inputs, keyof typeof outputs>;
