// `lifeboat decrypt`: the break-glass command. It needs no store, no catalog and no dr.yml.
import type { Command } from 'commander';
import { defineStep } from '../../shared/step/define.ts';
import { input } from '../../shared/step/input.ts';
import { azureInputs, unlockInputs } from '../../shared/steps/inputs.ts';
import { addStepCommand } from './step-command.ts';

/** The command as a step: it runs on the terminal host like any other. */
export const decrypt = defineStep({
  name: 'decrypt',
  title: 'Lifeboat: decrypt',
  summary: 'Break glass: turns a downloaded backup and its key into a plain archive.',
  description:
    'Takes the object "data" of a backup as it is in the store, and one way to open it: the value of its secret in a file, the escrow private ' +
    'key, or a vault. With the manifest everything is checked against it; without it, the archive is parsed to its last collection.',
  effects: 'reads',
  inputs: {
    data: input.path({ summary: 'The data object, downloaded.', example: 'data', required: true }),
    manifest: input.path({ summary: 'The manifest.json beside it.', example: 'manifest.json' }),
    metadata: input.path({ summary: "The data object's metadata as JSON, when the manifest is lost.", example: 'metadata.json' }),
    keyFile: input.path({
      summary: 'File with the value of the secret lifeboat-<component>-<timestamp>; without manifest and metadata, with the content key.',
      example: 'key.txt',
    }),
    vault: input.string({ summary: 'The vault that has the key.', example: 'https://kv-dr-prod.vault.azure.net' }),
    escrowKey: unlockInputs.escrowKey,
    escrowPassphrase: unlockInputs.escrowPassphrase,
    output: input.path({ summary: 'Where to write the plain archive (mode 0600).', example: 'dump.archive', required: true }),
    force: input.flag({ summary: 'Overwrite the output file if it exists.', default: 'false' }),
    ...azureInputs,
  },
  outputs: {},
  examples: [
    {
      what: 'With the value of the secret in a file',
      args: '--data data --manifest manifest.json --key-file key.txt --output dump.archive',
    },
    { what: 'With the escrow key', args: '--data data --manifest manifest.json --escrow-key escrow-private.pem --output dump.archive' },
  ],
  run: async (context) => (await import('../../shared/steps/run/decrypt.ts')).runDecrypt(context),
});

/** Adds `decrypt` to the CLI. */
export function register(program: Command): void {
  addStepCommand(program, decrypt);
}
