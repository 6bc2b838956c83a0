// `lifeboat decrypt`: the break-glass command. It needs no store, no catalog and no dr.yml.
import type { Command } from 'commander';
import { defineStep } from '../step/define.ts';
import { inputs } from '../steps/decrypt/inputs.ts';
import { addStepCommand } from './step-command.ts';

/** The command as a step: it runs on the terminal host like any other. */
export const decrypt = defineStep({
  name: 'decrypt',
  title: 'Lifeboat: decrypt',
  summary: 'Break glass: turns a downloaded backup and its key into a plain file.',
  description:
    'Takes the object "data" of a backup as it is in the store, and one way to open it: the value of its secret in a file, the escrow private ' +
    'key, or a vault. With the manifest everything is checked against it; without it, a content that is known is parsed to its end.',
  effects: 'reads',
  inputs,
  outputs: {},
  examples: [
    {
      what: 'With the value of the secret in a file',
      args: '--data data --manifest manifest.json --key-file key.txt --output dump.archive',
    },
    { what: 'With the escrow key', args: '--data data --manifest manifest.json --escrow-key escrow-private.pem --output dump.archive' },
  ],
  run: async (context) => (await import('../steps/decrypt/run.ts')).runDecrypt(context),
});

/** Adds `decrypt` to the CLI. */
export function register(program: Command): void {
  addStepCommand(program, decrypt);
}
