// The step `backup-integrity-check`.
import { anySpelling } from '../../backup/kind.ts';
import type { Kinds } from '../../kinds/registry.ts';
import { defineStep, type AnyStep } from '../../step/define.ts';
import { unlockProblems } from '../../session/inputs.ts';
import { inputsOf, outputs } from './inputs.ts';

export function backupIntegrityCheck(kinds: Kinds): AnyStep {
  return defineStep({
    name: 'backup-integrity-check',
    title: 'Lifeboat: backup integrity check',
    summary: 'Compares a backup with a live database, collection by collection: counts, digests and indexes.',
    description:
      'Reads the backup to its last byte, then reads the database, and compares. After a restore everything must be equal (tolerance 0). Against a ' +
      'live source, a tolerance in percent allows for what was written since.',
    effects: 'reads',
    inputs: inputsOf(kinds),
    outputs,
    examples: [
      { what: 'After a restore', args: '--component mongodb' },
      { what: 'Against the live source', args: '--component mongodb --tolerance 5' },
    ],
    check: (inputs, spell) => [
      ...kinds.problems(inputs, anySpelling(spell), true),
      ...(inputs.tolerance < 0 || inputs.tolerance > 100
        ? [`${spell('tolerance')} is ${inputs.tolerance}: expected 0 to 100 percent.`]
        : []),
      ...kinds.all.flatMap((kind) => kind.checkTarget?.(inputs, anySpelling(spell)) ?? []),
      ...unlockProblems(inputs, spell),
    ],
    run: async (context) => (await import('./run.ts')).runBackupIntegrityCheck(context),
  });
}
