// The step `hold-backup`.
import { defineStep } from '../../step/define.ts';
import { isEmptyPeriod, parsePeriod } from '../../step/period.ts';
import { inputs, outputs } from './inputs.ts';

export const holdBackup = defineStep({
  name: 'hold-backup',
  title: 'Lifeboat: hold a backup',
  noun: 'Hold',
  summary: 'Protects a backup from retention, with a reason and for a time.',
  description:
    'For the backup before an upgrade, or one that an investigation needs. The hold is kept beside the backups, in every store that dr.yml names for the ' +
    'component; retention shows it with its reason. A backup may have several holds, each for itself. A hold ends by itself, or by release-hold.',
  effects: 'writes',
  inputs,
  outputs,
  examples: [
    {
      what: 'The latest verified backup, before an upgrade',
      args: '--component mongodb --reason "before the upgrade to 7.0" --hold-for 90d',
    },
    { what: 'A given one, until it is released', args: '--timestamp 20241201_120000 --reason "INC-4711" --hold-for ever' },
  ],
  check: (inputs, spell) => {
    if (inputs.holdFor === 'ever') return [];
    try {
      return isEmptyPeriod(parsePeriod(inputs.holdFor)) ? [`${spell('holdFor')} is too short.`] : [];
    } catch (thrown) {
      return [
        `${spell('holdFor')} is ${JSON.stringify(inputs.holdFor)}: ${thrown instanceof Error ? thrown.message : String(thrown)}, or ever.`,
      ];
    }
  },
  run: async (context) => (await import('./run.ts')).runHoldBackup(context),
});
