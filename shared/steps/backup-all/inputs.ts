// What `backup-all` takes and puts out.
import type { Kinds } from '../../kinds/registry.ts';
import type { StepContext } from '../../step/define.ts';
import { input } from '../../step/input.ts';
import { azureInputs, lockInputs, targetInputs } from '../../session/inputs.ts';

export const inputs = {
  config: targetInputs.config,
  type: input.string({ summary: 'Everything, or the components of one kind.', default: 'full' }),
  due: input.flag({
    summary:
      'Only the components that have come due since their last backup, and those without one. When nothing is due, the run ends at once and succeeds.',
    default: 'false',
  }),
  timestamp: input.timestamp({
    summary: 'Timestamp of the recovery point; the start time when absent.',
    example: '20241201_120000',
  }),
  ...lockInputs,
  ...azureInputs,
};

/** The same with the kinds to choose from. */
export function inputsOf(kinds: Kinds): typeof inputs {
  return {
    ...inputs,
    type: input.choice(['full', ...kinds.names], { summary: 'Everything, or the components of one kind.', default: 'full' }),
  };
}

export const outputs = {
  timestamp: { summary: 'Timestamp of the recovery point and of every backup in it.' },
  components: { summary: 'Number of components backed up.' },
  failed: { summary: 'Number of components that failed.' },
  storedBytes: { summary: 'Size of all of them in the store in bytes.' },
  seconds: { summary: 'Duration in seconds.' },
};

export type Context = StepContext<typeof inputs, keyof typeof outputs>;
