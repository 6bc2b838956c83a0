// What `doctor` takes and puts out.
import type { StepContext } from '../../step/define.ts';
import { input, optional } from '../../step/input.ts';
import { azureInputs, keyInputs, kubernetesInputs, mongodbInputs, storeInputs, targetInputs, unlockInputs } from '../inputs.ts';

export const inputs = {
  ...targetInputs,
  ...mongodbInputs,
  ...kubernetesInputs,
  mongodbUri: input.secret({
    // Looked up by the step itself: a variable that is not set is a finding, not the end of all other checks.
    summary: 'MongoDB connection string; when absent, that of the component in dr.yml.',
    group: 'MongoDB',
  }),
  ...storeInputs,
  store: optional(storeInputs.store),
  ...keyInputs,
  ...unlockInputs,
  only: input.list({ summary: 'Only these checks, by name.', example: 'store-access, vault-access' }),
  timeout: input.duration({ summary: 'How long one check may take.', default: '30s' }),
  ...azureInputs,
};

export const outputs = {
  ok: { summary: 'Number of checks that found nothing wrong.' },
  warnings: { summary: 'Number of checks with a warning.' },
  failed: { summary: 'Number of checks that failed.' },
  checks: { summary: 'Every check as JSON: name, status, seen, fix.' },
};

export type Context = StepContext<typeof inputs, keyof typeof outputs>;
