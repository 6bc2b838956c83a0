// The step `backup-integrity-check`.
import { defineStep } from '../step/define.ts';
import { input } from '../step/input.ts';
import {
  azureInputs,
  keyInputs,
  kubernetesInputs,
  mongodbInputs,
  renameProblems,
  sourceInputs,
  sourceProblems,
  storeInputs,
  targetInputs,
  unlockInputs,
  unlockProblems,
} from './inputs.ts';

export const backupIntegrityCheck = defineStep({
  name: 'backup-integrity-check',
  title: 'Lifeboat: backup integrity check',
  summary: 'Compares a backup with a live database, collection by collection: counts, digests and indexes.',
  description:
    'Reads the backup to its last byte, then reads the database, and compares. After a restore everything must be equal (tolerance 0). Against a ' +
    'live source, a tolerance in percent allows for what was written since.',
  effects: 'reads',
  componentKind: 'mongodb',
  inputs: {
    ...targetInputs,
    ...mongodbInputs,
    ...kubernetesInputs,
    ...storeInputs,
    ...sourceInputs,
    ...keyInputs,
    ...unlockInputs,
    timestamp: input.timestamp({ summary: 'Which backup; the latest verified one when absent.', example: '20241201_120000' }),
    allowOlder: input.flag({
      summary: 'Take the latest verified backup even if a newer attempt failed or is suspect.',
      default: 'false',
    }),
    rename: input.list({
      summary: 'Compare with other names: from=to, for databases or collections.',
      example: 'rocketchat=rocketchat_check',
    }),
    tolerance: input.integer({
      summary: 'By how many percent the document count of a live collection may differ; 0 compares every byte.',
      default: '0',
    }),
    ...azureInputs,
  },
  outputs: {
    timestamp: { summary: 'Timestamp of the backup.' },
    equal: { summary: 'true when everything was equal (within the tolerance).' },
    documents: { summary: 'Number of documents compared.' },
    seconds: { summary: 'Duration in seconds.' },
  },
  examples: [
    { what: 'After a restore', args: '--component mongodb' },
    { what: 'Against the live source', args: '--component mongodb --tolerance 5' },
  ],
  check: (inputs, spell) => [
    ...sourceProblems(inputs, spell),
    ...(inputs.tolerance < 0 || inputs.tolerance > 100 ? [`${spell('tolerance')} is ${inputs.tolerance}: expected 0 to 100 percent.`] : []),
    ...renameProblems(inputs.rename, spell),
    ...unlockProblems(inputs, spell),
  ],
  run: async (context) => (await import('./run/backup-integrity-check.ts')).runBackupIntegrityCheck(context),
});
