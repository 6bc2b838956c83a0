// The step `release-hold`.
import { defineStep } from '../../step/define.ts';
import { inputs, outputs } from './inputs.ts';

export const releaseHold = defineStep({
  name: 'release-hold',
  title: 'Lifeboat: release a hold',
  noun: 'Release of a hold',
  summary: 'Releases a hold, so that retention may remove the backup again.',
  description:
    'Releases one hold by its id, or all holds of a backup, in every store that dr.yml names for the component. Removes no backup: ' +
    'the next apply-retention judges it by its rules.',
  effects: 'writes',
  inputs,
  outputs,
  examples: [{ what: 'All holds of a backup', args: '--component mongodb --timestamp 20241201_120000' }],
  check: (inputs, spell) =>
    inputs.hold !== undefined && !/^[a-z0-9]{8}$/.test(inputs.hold)
      ? [`${spell('hold')} is ${JSON.stringify(inputs.hold)}: expected the id of a hold, such as 3f9ac01b.`]
      : [],
  run: async (context) => (await import('../hold-backup/run.ts')).runReleaseHold(context),
});
