// `lifeboat init`: the first hour. Asks on a terminal or takes flags, writes dr.yml and the nightly workflow or pipeline.
import type { Command } from 'commander';
import { anySpelling } from '../backup/kind.ts';
import { KINDS, type Kinds } from '../kinds/registry.ts';
import { defineStep, type AnyStep } from '../step/define.ts';
import { inputsOf } from './init-inputs.ts';
import { REPOSITORY, TAG, TASK_VERSION } from './project.ts';
import { addStepCommand } from './step-command.ts';

/** The command as a step: it runs on the terminal host like any other. */
export function initOf(kinds: Kinds): AnyStep {
  const inits = kinds.all.flatMap(({ init }) => init ?? []);
  return defineStep({
    name: 'init',
    title: 'Lifeboat: init',
    summary: 'Writes a commented dr.yml, and the GitHub workflow or Azure pipeline for the nightly backup.',
    description:
      'On a terminal it asks for what you did not give as an option; --yes takes the defaults instead of asking. ' +
      'It overwrites no file without --force, and then only dr.yml and what is asked for by --github and --azure.',
    effects: 'writes',
    inputs: inputsOf(kinds),
    outputs: {},
    examples: [
      { what: 'With questions', args: '' },
      ...inits.flatMap(({ examples }) => examples),
      {
        what: 'Without questions',
        args: '--yes --store https://stdrprod.blob.core.windows.net/backups --vault https://kv-dr-prod.vault.azure.net --github',
      },
    ],
    check: (inputs, spell) => [
      ...(inputs.hour < 0 || inputs.hour > 23 ? [`${spell('hour')} is ${inputs.hour}: expected 0 to 23.`] : []),
      ...(kinds.find(inputs.kind ?? kinds.names[0])?.init?.check?.(inputs, anySpelling(spell)) ?? []),
    ],
    run: async (context) =>
      (await import('./init-run.ts')).runInit(context, kinds, { repository: REPOSITORY, tag: TAG, taskMajor: TASK_VERSION.Major }),
  });
}

export const init = initOf(KINDS);

/** Adds `init` to the CLI. */
export function register(program: Command): void {
  addStepCommand(program, init);
}
