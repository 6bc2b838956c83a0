// The step `backup-all`.
import type { Kinds } from '../../kinds/registry.ts';
import { defineStep, type AnyStep } from '../../step/define.ts';
import { inputsOf, outputs } from './inputs.ts';

export function backupAll(kinds: Kinds): AnyStep {
  return defineStep({
    name: 'backup-all',
    title: 'Lifeboat: back up everything',
    noun: 'Backup',
    summary: 'Backs up every component of dr.yml as one recovery point.',
    description:
      'Runs the backup step of each component, one after the other, all under one timestamp, and goes on when one fails. The group manifest ' +
      'points/<timestamp>.json names the backups that belong together. The outcome is partial when some failed, failed when all did.',
    effects: 'writes',
    inputs: inputsOf(kinds),
    outputs,
    examples: [
      { what: 'Everything in dr.yml', args: '--type full' },
      { what: 'Only what is due, for a cron that runs more often', args: '--due' },
      { what: 'Another file', args: '--config clusters/west/dr.yml' },
    ],
    run: async (context) => (await import('./run.ts')).runBackupAll(context),
  });
}
