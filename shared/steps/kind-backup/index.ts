// The step that backs up components of a kind.
import { anySpelling } from '../../backup/kind.ts';
import type { AnyKind } from '../../kinds/registry.ts';
import { defineStep, type AnyStep } from '../../step/define.ts';
import { inputsOf, outputsOf } from '../../runs/backup-inputs.ts';

export function backupStep(kind: AnyKind): AnyStep {
  return defineStep({
    ...kind.steps.backup,
    effects: 'writes',
    componentKind: kind.kind,
    inputs: inputsOf(kind),
    outputs: outputsOf(kind),
    check: (inputs, spell) => [
      ...(kind.check?.(inputs, anySpelling(spell), true) ?? []),
      ...(inputs.compressionLevel < 1 || inputs.compressionLevel > 19
        ? [`${spell('compressionLevel')} is ${inputs.compressionLevel}: expected 1 to 19.`]
        : []),
      ...(inputs.maxShrink < 1 || inputs.maxShrink > 100
        ? [`${spell('maxShrink')} is ${inputs.maxShrink}: expected 1 to 100 percent.`]
        : []),
    ],
    run: async (context) => (await import('../../runs/backup.ts')).runBackup(kind, context),
  });
}
