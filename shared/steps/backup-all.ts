// The step `backup-all`.
import { defineStep } from '../step/define.ts';
import { input } from '../step/input.ts';
import { azureInputs, targetInputs } from './inputs.ts';

export const backupAll = defineStep({
  name: 'backup-all',
  title: 'Lifeboat: back up everything',
  summary: 'Backs up every component of dr.yml as one recovery point.',
  description:
    'Runs the backup step of each component, one after the other, all under one timestamp, and goes on when one fails. The group manifest ' +
    'points/<timestamp>.json names the backups that belong together. The outcome is partial when some failed, failed when all did.',
  effects: 'writes',
  inputs: {
    config: targetInputs.config,
    type: input.choice(['full', 'mongodb'], { summary: 'Everything, or the components of one kind.', default: 'full' }),
    due: input.flag({
      summary:
        'Only the components that have come due since their last backup, and those without one. When nothing is due, the run ends at once and succeeds.',
      default: 'false',
    }),
    timestamp: input.timestamp({
      summary: 'Timestamp of the recovery point; the start time when absent.',
      example: '20241201_120000',
    }),
    ...azureInputs,
  },
  outputs: {
    timestamp: { summary: 'Timestamp of the recovery point and of every backup in it.' },
    components: { summary: 'Number of components backed up.' },
    failed: { summary: 'Number of components that failed.' },
    storedBytes: { summary: 'Size of all of them in the store in bytes.' },
    seconds: { summary: 'Duration in seconds.' },
  },
  examples: [
    { what: 'Everything in dr.yml', args: '--type full' },
    { what: 'Only what is due, for a cron that runs more often', args: '--due' },
    { what: 'Another file', args: '--config clusters/west/dr.yml' },
  ],
  run: async (context) => (await import('./run/backup-all.ts')).runBackupAll(context),
});
