// The step that restores backups of a kind.
import { anySpelling, type StepWords } from '../../backup/kind.ts';
import type { AnyKind } from '../../kinds/registry.ts';
import { defineStep, type AnyStep } from '../../step/define.ts';
import { unlockProblems } from '../../session/inputs.ts';
import { inputsOf, outputsOf } from '../../runs/restore-inputs.ts';

export function restoreStep(kind: AnyKind, words: StepWords): AnyStep {
  return defineStep({
    ...words,
    effects: 'destroys',
    componentKind: kind.kind,
    inputs: inputsOf(kind),
    outputs: outputsOf(kind),
    check: (inputs, spell) => [
      ...(kind.check?.(inputs, anySpelling(spell), true) ?? []),
      ...(kind.checkTarget?.(inputs, anySpelling(spell)) ?? []),
      ...unlockProblems(inputs, spell),
    ],
    run: async (context) => (await import('../../runs/restore.ts')).runRestore(kind, context),
  });
}
