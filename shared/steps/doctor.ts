// The step `doctor`.
import { defineStep } from '../step/define.ts';
import { sourceProblems } from './inputs.ts';
import { inputs, outputs } from './doctor/inputs.ts';

export const doctor = defineStep({
  name: 'doctor',
  title: 'Lifeboat: doctor',
  summary: 'Checks everything that backups and restores need, and says how to fix each problem.',
  description:
    'Connection, login and permissions of the database; rights, clock and space of the store; rights of the vault; whether the key of the latest ' +
    'backup opens; tools, sign-in to Azure, schedule. Whatever it writes to try things out, it removes again. Checks that do not apply are skipped.',
  effects: 'reads',
  inputs,
  outputs,
  examples: [
    { what: 'Everything dr.yml names', args: '' },
    { what: 'Rights in Azure only, for a script', args: '--only store-access,vault-access --json' },
  ],
  check: (inputs, spell) => [
    ...sourceProblems(inputs, spell, false),
    ...(inputs.timeout < 1000 ? [`${spell('timeout')} is shorter than a second.`] : []),
  ],
  run: async (context) => (await import('./run/doctor.ts')).runDoctor(context),
});
