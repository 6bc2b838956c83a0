// What `backup-validation` takes and puts out.
import type { Kinds } from '../../kinds/registry.ts';
import type { StepContext } from '../../step/define.ts';
import { input, optional } from '../../step/input.ts';
import { ANY_STORE, azureInputs, keyInputs, storeInputs, targetInputs, unlockInputs } from '../../session/inputs.ts';

export const inputs = {
  ...targetInputs,
  ...storeInputs,
  store: optional(storeInputs.store, ANY_STORE),
  ...keyInputs,
  ...unlockInputs,
  type: input.string({ summary: 'Which kind of backup.', default: 'all' }),
  timestamp: input.chosenTimestamp({
    summary: 'Only this backup: its timestamp, or latest. The latest of each component when absent.',
    example: '20241201_120000',
  }),
  days: input.integer({ summary: 'All backups of the last N days instead of the latest.', example: '7' }),
  depth: input.choice(['stored', 'full'], { summary: 'How deep to look.', default: 'full' }),
  subset: input.string({
    summary: 'Read only part n of t of the stored data, for large backups: t runs with n from 1 to t read everything.',
    example: '1/7',
  }),
  repair: input.flag({
    summary: 'Writes metadata that are lost or differ from the manifest anew, where everything else is good.',
    default: 'false',
  }),
  ...azureInputs,
};

/** The same with the kinds to choose from. */
export function inputsOf(kinds: Kinds): typeof inputs {
  return { ...inputs, type: input.choice([...kinds.names, 'all'], { summary: 'Which kind of backup.', default: 'all' }) };
}

export const outputs = {
  checked: { summary: 'Number of backups checked.' },
  failed: { summary: 'Number of backups that failed.' },
  timestamp: { summary: 'Timestamp of the newest backup checked.' },
  seconds: { summary: 'Duration in seconds.' },
};

export type Context = StepContext<typeof inputs, keyof typeof outputs>;
