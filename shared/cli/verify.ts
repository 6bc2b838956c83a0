// `lifeboat verify [timestamp]`: backup-validation under the name people look for.
import type { Command } from 'commander';
import { contextWith, defineStep } from '../step/define.ts';
import { input, optional } from '../step/input.ts';
import { inputs as validationInputs, outputs as validationOutputs } from '../steps/backup-validation/inputs.ts';
import { ANY_STORE, azureInputs, keyInputs, storeInputs, targetInputs, unlockInputs } from '../session/inputs.ts';
import { addStepCommand } from './step-command.ts';

/** The command as a step. */
export const verify = defineStep({
  name: 'verify',
  title: 'Lifeboat: verify',
  summary: 'Verifies the latest backup, a given one, or all of them; short for backup-validation.',
  description:
    'Reads, decrypts and parses backups to the last document. With --all, every stored byte of every backup; with --detailed, also every document.',
  effects: 'reads',
  inputs: {
    ...targetInputs,
    ...storeInputs,
    store: optional(storeInputs.store, ANY_STORE),
    ...keyInputs,
    ...unlockInputs,
    timestamp: input.chosenTimestamp({
      summary: 'Only this backup, of every component: its timestamp, or latest. The latest of each component when absent.',
      example: '20241201_120000',
    }),
    all: input.flag({ summary: 'All backups, not only the latest.', default: 'false' }),
    repair: validationInputs.repair,
    detailed: input.flag({ summary: 'With --all: also every document, not just every stored byte.', default: 'false' }),
    ...azureInputs,
  },
  outputs: validationOutputs,
  examples: [
    { what: 'The latest', args: '' },
    { what: 'A given one', args: '20241201_120000' },
    { what: 'All of them, to the last document', args: '--all --detailed' },
  ],
  check: (inputs, spell) => (inputs.all && inputs.timestamp !== undefined ? [`${spell('all')} and a timestamp exclude each other.`] : []),
  run: async (context) => {
    const { all, detailed } = context.inputs;
    const inputs = {
      ...context.inputs,
      type: 'all' as const,
      // Every backup is younger than this.
      days: all ? WHOLE_HISTORY_DAYS : undefined,
      depth: all && !detailed ? ('stored' as const) : ('full' as const),
      subset: undefined,
    };
    const { runBackupValidation } = await import('../steps/backup-validation/run.ts');
    return runBackupValidation(contextWith<typeof validationInputs, keyof typeof validationOutputs>(context, inputs));
  },
});

/** A hundred years. */
const WHOLE_HISTORY_DAYS = 36_525;

/** Adds `verify` to the CLI. */
export function register(program: Command): void {
  addStepCommand(program, verify, { positional: ['timestamp'] });
}
