// What `import-backup` takes and puts out.
import type { AnyKind } from '../../kinds/registry.ts';
import type { StepContext } from '../../step/define.ts';
import { input } from '../../step/input.ts';
import { azureInputs, copyInputs, keyInputs, lockInputs, newTargetInputs, storeInputs } from '../../session/inputs.ts';

export const inputs = {
  ...newTargetInputs,
  file: input.path({ summary: 'The old backup file, downloaded.', example: 'old-backup.tar.gz', required: true }),
  timestamp: input.timestamp({
    summary: "When the old backup was made, in UTC; taken from the file's name when absent.",
    example: '20241201_120000',
  }),
  passphrase: input.secret({ summary: 'Passphrase of a file that openssl enc encrypted.' }),
  passphraseSecret: input.string({
    summary: 'Or the name of the secret in the vault that holds it.',
    example: 'backup-key-20241201-120000',
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
  items: { summary: 'How much is in it, in the unit of its kind.' },
  sha256: { summary: 'SHA-256 of the old file.' },
  storedBytes: { summary: 'Size in the store in bytes.' },
  seconds: { summary: 'Duration in seconds, the reading back included.' },
};

/** All inputs, with the name of an old backup of these kinds as the example. */
export function inputsOf(kinds: readonly AnyKind[]): typeof inputs {
  return { ...inputs, file: { ...inputs.file, example: kinds[0]?.old?.example ?? '' } };
}

/** All outputs: `items` has the name of each kind's unit, too. */
export function outputsOf(kinds: readonly AnyKind[]): typeof outputs {
  return { ...outputs, ...Object.fromEntries(kinds.map(({ unit }) => [unit, { summary: `Number of ${unit}.` }])) };
}

export type Context = StepContext<typeof inputs, keyof typeof outputs>;
