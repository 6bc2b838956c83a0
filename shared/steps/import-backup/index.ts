// The step `import-backup`.
import { defineStep } from '../../step/define.ts';
import { inputs, outputs } from './inputs.ts';

export const importBackup = defineStep({
  name: 'import-backup',
  title: 'Lifeboat: import an old backup',
  noun: 'Import',
  summary: 'Imports an old mongodump backup, encrypted with openssl or not, as a verified backup.',
  description:
    'Reads archives of mongodump (--archive, with or without --gzip) and tar files of its folders, plain or inside openssl enc -aes-256-cbc ' +
    '(-pbkdf2, or the older -md md5 and sha256), checks every document, and stores it encrypted anew under its old timestamp, so that history is kept. ' +
    'The old file stays as it is.',
  effects: 'writes',
  componentKind: 'mongodb',
  inputs,
  outputs,
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
  run: async (context) => (await import('./run.ts')).runImportBackup(context),
});
