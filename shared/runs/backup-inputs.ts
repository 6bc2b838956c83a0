// What a backup step takes and puts out, whatever the kind; `inputsOf` and `outputsOf` add what is the kind's own.
import type { AnyKind } from '../kinds/registry.ts';
import type { StepContext } from '../step/define.ts';
import { input } from '../step/input.ts';
import { azureInputs, copyInputs, keyInputs, lockInputs, storeInputs, newTargetInputs, trafficInputs } from '../session/inputs.ts';

export const inputs = {
  ...newTargetInputs,
  ...storeInputs,
  ...copyInputs,
  ...trafficInputs,
  ...lockInputs,
  ...keyInputs,
  timestamp: input.timestamp({
    summary: "The backup's timestamp, for a recovery point with several components; the start time when absent.",
    example: '20241201_120000',
  }),
  verify: input.choice(['full', 'sample', 'none'], {
    summary: 'How much is read back from the store before the backup counts. Only full makes it "verified".',
    config: 'verify',
    default: 'full',
  }),
  compression: input.choice(['zstd', 'none'], { summary: 'How the dump is compressed.', config: 'compression.kind', default: 'zstd' }),
  compressionLevel: input.integer({ summary: 'zstd level, 1 (fast) to 19 (small).', config: 'compression.level', default: '3' }),
  maxShrink: input.integer({
    summary: 'Mark the backup as suspect when it has lost more than this percentage since the last verified backup.',
    config: 'limits.maxShrink',
    default: '50',
  }),
  ...azureInputs,
};

export const outputs = {
  timestamp: { summary: 'Timestamp of the backup, for --timestamp of the other steps.' },
  backup: { summary: 'The backup within the store: <name>/<component>/<timestamp>.' },
  location: { summary: 'Where the backup is kept.' },
  items: { summary: 'How many things are in it.' },
  plainBytes: { summary: 'Size of the dump in bytes, before compression.' },
  storedBytes: { summary: 'Size in the store in bytes.' },
  verified: { summary: 'true when the backup was read back in full and proved equal.' },
  seconds: { summary: 'Duration in seconds, the reading back included.' },
};

/** The inputs of a kind's step, in the order in which people read them. */
export function inputsOf(kind: AnyKind): typeof inputs {
  const maxShrink = {
    ...inputs.maxShrink,
    summary: `Mark the backup as suspect when ${kind.steps.shrink} since the last verified backup.`,
  };
  return { ...newTargetInputs, ...kind.inputs, ...inputs, maxShrink };
}

/** The outputs of a kind's step: the number of its items also has their name. */
export function outputsOf({ unit }: AnyKind): typeof outputs {
  const { items, ...others } = outputs;
  return { ...others, [unit]: { summary: `Number of ${unit}.` }, items };
}

export type BackupContext = StepContext<typeof inputs, keyof typeof outputs>;
