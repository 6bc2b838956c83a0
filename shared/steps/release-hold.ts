// The step `release-hold`.
import { defineStep } from '../step/define.ts';
import { input } from '../step/input.ts';
import { azureInputs, storeInputs, targetInputs } from './inputs.ts';

export const releaseHold = defineStep({
  name: 'release-hold',
  title: 'Lifeboat: release a hold',
  summary: 'Releases a hold, so that retention may remove the backup again.',
  description:
    'Releases one hold by its id, or all holds of a backup, in every store that dr.yml names for the component. Removes no backup: ' +
    'the next apply-retention judges it by its rules.',
  effects: 'writes',
  inputs: {
    ...targetInputs,
    timestamp: input.timestamp({ summary: 'Which backup.', example: '20241201_120000', required: true }),
    hold: input.string({
      summary: 'Only this hold, by its id (list-backups shows it); all holds of the backup when absent.',
      example: '3f9ac01b',
    }),
    ...storeInputs,
    store: input.string({
      summary:
        'Only this store: the name of a store in dr.yml, or an address. When absent, every store that dr.yml names for the component.',
      example: 'primary',
    }),
    ...azureInputs,
  },
  outputs: { released: { summary: 'Number of holds released.' } },
  examples: [{ what: 'All holds of a backup', args: '--component mongodb --timestamp 20241201_120000' }],
  check: (inputs, spell) =>
    inputs.hold !== undefined && !/^[a-z0-9]{8}$/.test(inputs.hold)
      ? [`${spell('hold')} is ${JSON.stringify(inputs.hold)}: expected the id of a hold, such as 3f9ac01b.`]
      : [],
  run: async (context) => (await import('./run/hold-backup.ts')).runReleaseHold(context),
});
