// The step `release-hold`.
import { defineStep } from '../step/define.ts';
import { input } from '../step/input.ts';
import { azureInputs, storeInputs, targetInputs } from './inputs.ts';

export const releaseHold = defineStep({
  name: 'release-hold',
  title: 'Lifeboat: release a hold',
  summary: 'Takes a hold away, so that retention may remove the backup again.',
  description:
    'Takes away one hold by its id, or all holds of a backup, in every store of the component that dr.yml names. Nothing is removed by this: ' +
    'the next apply-retention judges the backup by its rules.',
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
      summary: 'Only this store: a store of dr.yml by name, or an address. Without it, every store that dr.yml names for the component.',
      example: 'primary',
    }),
    ...azureInputs,
  },
  outputs: { released: { summary: 'Number of holds taken away.' } },
  examples: [{ what: 'All holds of a backup', args: '--component mongodb --timestamp 20241201_120000' }],
  check: (inputs, spell) =>
    inputs.hold !== undefined && !/^[a-z0-9]{8}$/.test(inputs.hold)
      ? [`${spell('hold')} is ${JSON.stringify(inputs.hold)}: expected the id of a hold, such as 3f9ac01b.`]
      : [],
  run: async (context) => (await import('./run/hold-backup.ts')).runReleaseHold(context),
});
