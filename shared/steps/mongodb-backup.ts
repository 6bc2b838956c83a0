// The step `mongodb-backup`.
import { defineStep } from '../step/define.ts';
import { input } from '../step/input.ts';
import {
  azureInputs,
  copyInputs,
  keyInputs,
  kubernetesInputs,
  mongodbInputs,
  sourceProblems,
  storeInputs,
  targetInputs,
  trafficInputs,
} from './inputs.ts';

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
  inputs: {
    ...targetInputs,
    ...mongodbInputs,
    ...kubernetesInputs,
    ...storeInputs,
    ...copyInputs,
    ...trafficInputs,
    ...keyInputs,
    timestamp: input.timestamp({
      summary: "The backup's timestamp, for a recovery point with several components; the start time when absent.",
      example: '20241201_120000',
    }),
    verify: input.choice(['full', 'sample', 'none'], {
      summary: 'How much is read back from the store before the backup counts. Only full makes it "verified".',
      config: 'verify',
      default: 'full',
    }),
    compression: input.choice(['zstd', 'none'], { summary: 'How the dump is compressed.', config: 'compression.kind', default: 'zstd' }),
    compressionLevel: input.integer({ summary: 'zstd level, 1 (fast) to 19 (small).', config: 'compression.level', default: '3' }),
    maxShrink: input.integer({
      summary:
        'Mark the backup as suspect when a collection, or the whole, has lost more than this percentage of its documents since the last verified backup.',
      config: 'limits.maxShrink',
      default: '50',
    }),
    ...azureInputs,
  },
  outputs: {
    timestamp: { summary: 'Timestamp of the backup, for --timestamp of the other steps.' },
    backup: { summary: 'The backup within the store: <name>/<component>/<timestamp>.' },
    location: { summary: 'Where the backup is kept.' },
    documents: { summary: 'Number of documents.' },
    plainBytes: { summary: 'Size of the dump in bytes, before compression.' },
    storedBytes: { summary: 'Size in the store in bytes.' },
    verified: { summary: 'true when the backup was read back in full and proved equal.' },
    seconds: { summary: 'Duration in seconds, the reading back included.' },
  },
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
