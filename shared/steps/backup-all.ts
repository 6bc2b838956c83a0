// The step `backup-all`.
import { defineStep } from '../step/define.ts';
import { inputs, outputs } from './backup-all/inputs.ts';

export const backupAll = defineStep({
  name: 'backup-all',
  title: 'Lifeboat: back up everything',
  noun: 'Backup',
  summary: 'Backs up every component of dr.yml as one recovery point.',
  description:
    'Runs the backup step of each component, one after the other, all under one timestamp, and goes on when one fails. The group manifest ' +
    'points/<timestamp>.json names the backups that belong together. The outcome is partial when some failed, failed when all did.',
  effects: 'writes',
  inputs,
  outputs,
  examples: [
    { what: 'Everything in dr.yml', args: '--type full' },
    { what: 'Only what is due, for a cron that runs more often', args: '--due' },
    { what: 'Another file', args: '--config clusters/west/dr.yml' },
  ],
  run: async (context) => (await import('./run/backup-all.ts')).runBackupAll(context),
});
