// The step `list-backups`.
import { defineStep } from '../../step/define.ts';
import { inputs, outputs } from './inputs.ts';

export const listBackupsStep = defineStep({
  name: 'list-backups',
  title: 'Lifeboat: list backups',
  noun: 'List',
  summary: 'Lists the backups in a store, newest first: age, size, and whether they are verified.',
  description:
    'Only reads the listing, so it is quick even with thousands of backups and needs no key. Names the leftovers of interrupted runs.',
  effects: 'reads',
  inputs,
  outputs,
  examples: [
    { what: 'The last week', args: '--days 7' },
    { what: 'For a script', args: '--component mongodb --json' },
  ],
  check: (inputs, spell) =>
    inputs.days !== undefined && inputs.days < 1 ? [`${spell('days')} is ${inputs.days}: expected 1 or more.`] : [],
  run: async (context) => (await import('./run.ts')).runListBackups(context),
});
