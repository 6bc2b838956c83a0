// What `backup-integrity-check` takes and puts out.
import type { StepContext } from '../../step/define.ts';
import { input } from '../../step/input.ts';
import {
  azureInputs,
  keyInputs,
  kubernetesInputs,
  mongodbInputs,
  sourceInputs,
  storeInputs,
  targetInputs,
  unlockInputs,
} from '../inputs.ts';

export const inputs = {
  ...targetInputs,
  ...mongodbInputs,
  ...kubernetesInputs,
  ...storeInputs,
  ...sourceInputs,
  ...keyInputs,
  ...unlockInputs,
  timestamp: input.chosenTimestamp({
    summary: 'Which backup: its timestamp, or latest, which means the latest verified one and is the default.',
    example: '20241201_120000',
  }),
  allowOlder: input.flag({
    summary: 'Take the latest verified backup even if a newer attempt failed or is suspect.',
    default: 'false',
  }),
  rename: input.list({
    summary: 'Compare with other names: from=to, for databases or collections.',
    example: 'rocketchat=rocketchat_check',
  }),
  tolerance: input.integer({
    summary: 'By how many percent the document count of a live collection may differ; 0 compares every byte.',
    default: '0',
  }),
  ...azureInputs,
};

export const outputs = {
  timestamp: { summary: 'Timestamp of the backup.' },
  equal: { summary: 'true when everything was equal (within the tolerance).' },
  documents: { summary: 'Number of documents compared.' },
  seconds: { summary: 'Duration in seconds.' },
};

export type Context = StepContext<typeof inputs, keyof typeof outputs>;
