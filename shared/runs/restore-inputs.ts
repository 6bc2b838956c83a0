// What a restore step takes and puts out, whatever the kind; `inputsOf` and `outputsOf` add what is the kind's own.
import type { AnyKind } from '../kinds/registry.ts';
import { SAFETY_GROUP, type DestroyingContext } from '../step/define.ts';
import { inGroup, input } from '../step/input.ts';
import {
  azureInputs,
  chosenInputs,
  keyInputs,
  lockInputs,
  sourceInputs,
  storeInputs,
  targetInputs,
  trafficInputs,
  unlockInputs,
} from '../session/inputs.ts';

/** Which backup, and how it is read. */
const reading = {
  ...storeInputs,
  ...sourceInputs,
  ...trafficInputs,
  ...lockInputs,
  ...keyInputs,
  ...unlockInputs,
  ...chosenInputs,
  rehydrate: input.choice(['no', 'standard', 'high'], {
    summary:
      'Bring a backup back from the archive tier when no readable copy is left: standard takes up to 15 hours on Azure, high is faster and costs more.',
    default: 'no',
  }),
  rehydrateWait: input.duration({
    summary: 'Wait this long for that, then restore. Without it, the run only starts it; run it again later.',
    example: '16h',
  }),
};

/** How it is restored. */
const writing = inGroup(SAFETY_GROUP, {
  replace: input.flag({ summary: 'Allow what is there to be replaced.', default: 'false' }),
  verifyFirst: input.flag({
    summary: 'Read the whole backup and prove it before the target is touched.',
    default: 'true',
  }),
  safetyBackup: input.flag({ summary: 'Back up what is about to be replaced, so that rollback can put it back.', default: 'true' }),
  rollback: input.flag({
    summary: 'Put back what the last restore replaced (its safety backup), or an earlier one: timestamp then names the safety backup.',
    default: 'false',
  }),
});

export const inputs = { ...targetInputs, ...reading, ...writing, ...azureInputs };

export const outputs = {
  timestamp: { summary: 'Timestamp of the backup that was restored.' },
  items: { summary: 'How many things were restored and proved equal.' },
  safetyTimestamp: { summary: 'Timestamp of the safety backup; empty when nothing was replaced.' },
  seconds: { summary: 'Duration in seconds, the proof included.' },
};

/** The inputs of a kind's step, in the order in which people read them. */
export function inputsOf(kind: AnyKind): typeof inputs {
  const replace = { ...writing.replace, summary: kind.steps.replace ?? writing.replace.summary };
  return { ...targetInputs, ...kind.inputs, ...reading, ...kind.targetInputs, ...writing, replace, ...azureInputs };
}

/** The outputs of a kind's step: the number of its items also has their name. */
export function outputsOf({ unit }: AnyKind): typeof outputs {
  const { items, ...others } = outputs;
  return { ...others, [unit]: { summary: `Number of ${unit} restored and proved equal.` }, items };
}

export type RestoreContext = DestroyingContext<typeof inputs, keyof typeof outputs>;
