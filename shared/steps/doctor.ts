// The step `doctor`.
import { defineStep } from '../step/define.ts';
import { input } from '../step/input.ts';
import {
  azureInputs,
  keyInputs,
  kubernetesInputs,
  mongodbInputs,
  sourceProblems,
  storeInputs,
  targetInputs,
  unlockInputs,
} from './inputs.ts';

export const doctor = defineStep({
  name: 'doctor',
  title: 'Lifeboat: doctor',
  summary: 'Checks everything that backups and restores need, and says how to fix each problem.',
  description:
    'Connection, login and permissions of the database; rights, clock and space of the store; rights of the vault; whether the key of the latest ' +
    'backup opens; tools, sign-in to Azure, schedule. Whatever it writes to try things out, it removes again. Checks that do not apply are skipped.',
  effects: 'reads',
  componentKind: 'mongodb',
  inputs: {
    ...targetInputs,
    ...mongodbInputs,
    ...kubernetesInputs,
    mongodbUri: input.secret({
      // Looked up by the step itself: a variable that is not set is a finding, not the end of all other checks.
      summary: 'MongoDB connection string; when absent, that of the component in dr.yml.',
      group: 'MongoDB',
    }),
    ...storeInputs,
    store: { ...storeInputs.store, required: false },
    ...keyInputs,
    ...unlockInputs,
    only: input.list({ summary: 'Only these checks, by name.', example: 'store-access, vault-access' }),
    timeout: input.duration({ summary: 'How long one check may take.', default: '30s' }),
    ...azureInputs,
  },
  outputs: {
    ok: { summary: 'Number of checks that found nothing wrong.' },
    warnings: { summary: 'Number of checks with a warning.' },
    failed: { summary: 'Number of checks that failed.' },
    checks: { summary: 'Every check as JSON: name, status, seen, fix.' },
  },
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
