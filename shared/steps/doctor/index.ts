// The step `doctor`.
import { anySpelling } from '../../backup/kind.ts';
import type { Kinds } from '../../kinds/registry.ts';
import { defineStep, type AnyStep } from '../../step/define.ts';
import { inputsOf, outputs } from './inputs.ts';

export function doctorStep(kinds: Kinds): AnyStep {
  return defineStep({
    name: 'doctor',
    title: 'Lifeboat: doctor',
    summary: 'Checks everything that backups and restores need, and says how to fix each problem.',
    description:
      'Connection, login and permissions of the database; rights, clock and space of the store; rights of the vault; whether the key of the latest ' +
      'backup opens; tools, sign-in to Azure, schedule. Whatever it writes to try things out, it removes again. Checks that do not apply are skipped.',
    effects: 'reads',
    inputs: inputsOf(kinds),
    outputs,
    examples: [
      { what: 'Everything dr.yml names', args: '' },
      { what: 'Rights in Azure only, for a script', args: '--only store-access,vault-access --json' },
    ],
    check: (inputs, spell) => [
      ...kinds.problems(inputs, anySpelling(spell), false),
      ...(inputs.timeout < 1000 ? [`${spell('timeout')} is shorter than a second.`] : []),
    ],
    run: async (context) => (await import('./run.ts')).runDoctor(context),
  });
}
