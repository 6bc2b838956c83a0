// `lifeboat init`: the first hour. Asks on a terminal or takes flags, writes dr.yml and the nightly workflow or pipeline.
import type { Command } from 'commander';
import { defineStep } from '../step/define.ts';
import { inputs } from './init-inputs.ts';
import { REPOSITORY, TAG, TASK_VERSION } from './project.ts';
import { addStepCommand } from './step-command.ts';

/** The command as a step: it runs on the terminal host like any other. */
export const init = defineStep({
  name: 'init',
  title: 'Lifeboat: init',
  summary: 'Writes a commented dr.yml, and the GitHub workflow or Azure pipeline for the nightly backup.',
  description:
    'On a terminal it asks for what you did not give as an option; --yes takes the defaults instead of asking. ' +
    'It overwrites no file without --force, and then only dr.yml and what is asked for by --github and --azure.',
  effects: 'writes',
  inputs,
  outputs: {},
  examples: [
    { what: 'With questions', args: '' },
    {
      what: 'For a MongoDB inside a cluster',
      args: '--kubernetes-namespace rocketchat --kubernetes-selector app.kubernetes.io/name=mongodb',
    },
    {
      what: 'Without questions',
      args: '--yes --store https://stdrprod.blob.core.windows.net/backups --vault https://kv-dr-prod.vault.azure.net --github',
    },
  ],
  check: (inputs, spell) => [
    ...(inputs.hour < 0 || inputs.hour > 23 ? [`${spell('hour')} is ${inputs.hour}: expected 0 to 23.`] : []),
    ...(inputs.kubernetesNamespace === undefined
      ? (['kubernetesSelector', 'kubernetesPod', 'kubernetesContainer', 'kubernetesContext'] as const)
          .filter((name) => inputs[name] !== undefined)
          .map((name) => `${spell(name)} goes with ${spell('kubernetesNamespace')}, which is missing.`)
      : []),
  ],
  run: async (context) =>
    (await import('./init-run.ts')).runInit(context, { repository: REPOSITORY, tag: TAG, taskMajor: TASK_VERSION.Major }),
});

/** Adds `init` to the CLI. */
export function register(program: Command): void {
  addStepCommand(program, init);
}
