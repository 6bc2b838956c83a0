// The step that compares two states of a kind of thing.
import { anySpelling, type StepWords } from '../../backup/kind.ts';
import type { AnyKind } from '../../kinds/registry.ts';
import { unlockProblems } from '../../session/inputs.ts';
import { defineStep, type AnyStep } from '../../step/define.ts';
import { inputsOf, outputs } from './inputs.ts';

export function compareStep(kind: AnyKind, words: StepWords): AnyStep {
  return defineStep({
    ...words,
    effects: 'reads',
    componentKind: kind.kind,
    inputs: inputsOf(kind),
    outputs,
    check: (inputs, spell) => [
      ...(kind.check?.(inputs, anySpelling(spell), inputs.against === undefined) ?? []),
      ...unlockProblems(inputs, spell),
    ],
    run: async (context) => (await import('./run.ts')).runCompare(kind, context),
  });
}
