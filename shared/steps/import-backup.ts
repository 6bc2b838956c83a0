// The step `import-backup`.
import { defineStep } from '../step/define.ts';
import { input } from '../step/input.ts';
import { azureInputs, copyInputs, keyInputs, storeInputs, targetInputs } from './inputs.ts';

export const importBackup = defineStep({
  name: 'import-backup',
  title: 'Lifeboat: import an old backup',
  summary: 'Imports an old mongodump backup, encrypted with openssl or not, as a verified backup.',
  description:
    'Reads archives of mongodump (--archive, with or without --gzip) and tar files of its folders, plain or inside openssl enc -aes-256-cbc ' +
    '(-pbkdf2, or the older -md md5 and sha256), checks every document, and stores it encrypted anew under its old timestamp, so that history is kept. ' +
    'The old file stays as it is.',
  effects: 'writes',
  componentKind: 'mongodb',
  inputs: {
    ...targetInputs,
    file: input.path({ summary: 'The old backup file, downloaded.', example: 'mongodb_20241201_120000.tar.gz.enc', required: true }),
    timestamp: input.timestamp({
      summary: "When the old backup was made, in UTC; taken from the file's name when absent.",
      example: '20241201_120000',
    }),
    passphrase: input.secret({ summary: 'Passphrase of a file that openssl enc encrypted.' }),
    passphraseSecret: input.string({
      summary: 'Or the name of the secret in the vault that holds it.',
      example: 'mongodb-backup-key-20241201-120000',
    }),
    iterations: input.integer({ summary: 'The -iter that openssl enc -pbkdf2 was given, if any.', default: '10000' }),
    ...storeInputs,
    ...copyInputs,
    ...keyInputs,
    ...azureInputs,
  },
  outputs: {
    timestamp: { summary: 'Timestamp of the imported backup.' },
    backup: { summary: 'The backup within the store: <name>/<component>/<timestamp>.' },
    documents: { summary: 'Number of documents.' },
    sha256: { summary: 'SHA-256 of the old file.' },
    storedBytes: { summary: 'Size in the store in bytes.' },
    seconds: { summary: 'Duration in seconds, the reading back included.' },
  },
  examples: [
    { what: 'One file; the passphrase comes from LIFEBOAT_PASSPHRASE', args: '--file mongodb_20241201_120000.tar.gz.enc' },
    {
      what: 'The passphrase is in the vault, and the file name has no timestamp',
      args: '--file old.archive.gz.enc --timestamp 20241201_120000 --passphrase-secret mongodb-backup-key',
    },
  ],
  check: (inputs, spell) => [
    ...(inputs.iterations < 1 || inputs.iterations > 100_000_000
      ? [`${spell('iterations')} is ${inputs.iterations}: expected 1 to 100,000,000.`]
      : []),
    ...(inputs.passphrase !== undefined && inputs.passphraseSecret !== undefined
      ? [`${spell('passphrase')} and ${spell('passphraseSecret')} exclude each other.`]
      : []),
    ...(inputs.passphraseSecret !== undefined && inputs.vault === undefined
      ? [`${spell('passphraseSecret')} names a secret, but ${spell('vault')} is not set.`]
      : []),
  ],
  run: async (context) => (await import('./run/import-backup.ts')).runImportBackup(context),
});
