// The step `audit`.
import { defineStep } from '../../step/define.ts';
import { inputs, outputs } from './inputs.ts';

export const auditStep = defineStep({
  name: 'audit',
  title: 'Lifeboat: audit log',
  noun: 'Audit log',
  summary: 'Shows who ran what, when, from which run, and why.',
  description:
    'Every step that writes or destroys leaves an entry under audit/ in the store; one that destroys does so before it touches anything. Entries are never ' +
    'overwritten: with an immutability policy on the container no one can change them.',
  effects: 'reads',
  inputs,
  outputs,
  examples: [
    { what: 'The last month', args: '--days 30' },
    { what: 'For a script', args: '--json' },
  ],
  check: (inputs, spell) =>
    inputs.days !== undefined && inputs.days < 1 ? [`${spell('days')} is ${inputs.days}: expected 1 or more.`] : [],
  run: async (context) => (await import('./run.ts')).runAudit(context),
});
