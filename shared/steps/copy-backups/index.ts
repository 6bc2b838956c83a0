// The step `copy-backups`.
import { defineStep } from '../../step/define.ts';
import { inputs, outputs } from './inputs.ts';

export const copyBackupsStep = defineStep({
  name: 'copy-backups',
  title: 'Lifeboat: copy backups',
  noun: 'Copying',
  summary: 'Copies missing backups to the other stores, and proves each copy by reading it back.',
  description:
    'Copies the encrypted bytes as they are, reads them back from the copy, compares them with the manifest, and writes the manifest last. ' +
    'Needs no key; with one, the manifests are proved, too. You can interrupt it and run it again at any time. When a copy fails, the outcome is partial.',
  effects: 'writes',
  inputs,
  outputs,
  examples: [
    { what: 'To the stores that dr.yml names', args: '--component mongodb' },
    { what: 'Everything, to a bucket', args: "--copies 's3://dr-copies?region=eu-central-1' --days 0" },
  ],
  check: (inputs, spell) => (inputs.days < 0 ? [`${spell('days')} is ${inputs.days}: expected 0 or more.`] : []),
  run: async (context) => (await import('./run.ts')).runCopyBackups(context),
});
