// The step `backup-validation`.
import { defineStep } from '../step/define.ts';
import { input } from '../step/input.ts';
import { azureInputs, keyInputs, storeInputs, targetInputs, unlockInputs } from './inputs.ts';

export const backupValidation = defineStep({
  name: 'backup-validation',
  title: 'Lifeboat: backup validation',
  summary: 'Validates stored backups without a database: key, manifest, every stored byte, every document.',
  description:
    'Opens the key, checks the manifest against tampering and reads the stored data. Depth "stored" reads, decrypts and unpacks every byte; ' +
    '"full" also parses them and compares counts and digests of every collection.',
  effects: 'reads',
  inputs: {
    ...targetInputs,
    ...storeInputs,
    ...keyInputs,
    ...unlockInputs,
    type: input.choice(['mongodb', 'all'], { summary: 'Which kind of backup.', default: 'all' }),
    timestamp: input.timestamp({ summary: 'Only this backup; the latest of each component when absent.', example: '20241201_120000' }),
    days: input.integer({ summary: 'All backups of the last so many days instead of the latest.', example: '7' }),
    depth: input.choice(['stored', 'full'], { summary: 'How deep to look.', default: 'full' }),
    ...azureInputs,
  },
  outputs: {
    checked: { summary: 'Number of backups checked.' },
    failed: { summary: 'Number of backups that failed.' },
    timestamp: { summary: 'Timestamp of the newest backup checked.' },
    seconds: { summary: 'Duration in seconds.' },
  },
  examples: [
    { what: 'The latest backup of every MongoDB', args: '--type mongodb' },
    { what: 'The last week', args: '--days 7 --depth stored' },
    { what: 'With the vault gone', args: '--open-with escrow --escrow-key escrow-private.pem' },
  ],
  check: (inputs, spell) => [
    ...(inputs.timestamp !== undefined && inputs.days !== undefined
      ? [`${spell('timestamp')} and ${spell('days')} exclude each other.`]
      : []),
    ...(inputs.days !== undefined && inputs.days < 1 ? [`${spell('days')} is ${inputs.days}: expected 1 or more.`] : []),
    ...(inputs.openWith === 'escrow' && inputs.escrowKey === undefined
      ? [`${spell('openWith')} is escrow, but ${spell('escrowKey')} does not say where the private key file is.`]
      : []),
  ],
  run: async (context) => (await import('./run/backup-validation.ts')).runBackupValidation(context),
});
