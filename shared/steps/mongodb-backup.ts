// The step `mongodb-backup`.
import { defineStep } from '../step/define.ts';
import { sourceProblems } from './inputs.ts';
import { inputs, outputs } from './mongodb-backup/inputs.ts';

export const mongodbBackup = defineStep({
  name: 'mongodb-backup',
  title: 'Lifeboat: MongoDB backup',
  summary: 'Backs up a MongoDB, encrypted, and proves that the backup can be read back before it counts.',
  description:
    'Dumps the databases as one stream, checks every document on the way, compresses and encrypts it into the store, reads it back from there ' +
    'and compares counts and digests of every collection. Only then is the backup listed. An empty or suddenly smaller dump gives the outcome ' +
    'partial. Nothing is written to the local disk.',
  effects: 'writes',
  componentKind: 'mongodb',
  inputs,
  outputs,
  examples: [
    { what: 'Everything from dr.yml', args: '--component mongodb' },
    {
      what: 'Without dr.yml (the connection string comes from the environment: LIFEBOAT_MONGODB_URI)',
      args: '--store https://stdrprod.blob.core.windows.net/backups --vault https://kv-dr-prod.vault.azure.net',
    },
    { what: 'Into a folder, one database only', args: '--store /mnt/backups --vault /mnt/keys --include rocketchat' },
  ],
  check: (inputs, spell) => [
    ...sourceProblems(inputs, spell),
    ...(inputs.compressionLevel < 1 || inputs.compressionLevel > 19
      ? [`${spell('compressionLevel')} is ${inputs.compressionLevel}: expected 1 to 19.`]
      : []),
    ...(inputs.maxShrink < 1 || inputs.maxShrink > 100 ? [`${spell('maxShrink')} is ${inputs.maxShrink}: expected 1 to 100 percent.`] : []),
  ],
  run: async (context) => (await import('./run/mongodb-backup.ts')).runMongodbBackup(context),
});
