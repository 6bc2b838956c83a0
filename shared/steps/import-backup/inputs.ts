// What `import-backup` takes and puts out.
import type { StepContext } from '../../step/define.ts';
import { input } from '../../step/input.ts';
import { azureInputs, copyInputs, keyInputs, lockInputs, newTargetInputs, storeInputs } from '../../session/inputs.ts';

export const inputs = {
  ...newTargetInputs,
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
  ...lockInputs,
  ...copyInputs,
  ...keyInputs,
  ...azureInputs,
};

export const outputs = {
  timestamp: { summary: 'Timestamp of the imported backup.' },
  backup: { summary: 'The backup within the store: <name>/<component>/<timestamp>.' },
  documents: { summary: 'Number of documents.' },
  sha256: { summary: 'SHA-256 of the old file.' },
  storedBytes: { summary: 'Size in the store in bytes.' },
  seconds: { summary: 'Duration in seconds, the reading back included.' },
};

export type Context = StepContext<typeof inputs, keyof typeof outputs>;
