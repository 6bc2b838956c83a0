// `lifeboat init`: the first hour. Asks on a terminal or takes flags, writes dr.yml and the nightly workflow or pipeline.
import type { Command } from 'commander';
import { defineStep } from '../../shared/step/define.ts';
import { input } from '../../shared/step/input.ts';
import { REPOSITORY, TAG, TASK_VERSION } from '../generators/project.ts';
import { addStepCommand } from './step-command.ts';

/** The command as a step: it runs on the terminal host like any other. */
export const init = defineStep({
  name: 'init',
  title: 'Lifeboat: init',
  summary: 'Writes a commented dr.yml, and the GitHub workflow or Azure pipeline of the nightly backup.',
  description:
    'Asks for what is not given, on a terminal. Everything can be given by flags; --yes takes the defaults without asking. ' +
    'No file is overwritten without --force.',
  effects: 'writes',
  inputs: {
    name: input.string({
      summary: "Name of what is protected: the prefix in the store, and what is typed to confirm a restore. The folder's name when absent.",
      example: 'rocketchat-production',
    }),
    store: input.string({
      summary: 'Where backups go: https://<account>.blob.core.windows.net/<container>, or a folder.',
      example: 'https://stdrprod.blob.core.windows.net/backups',
    }),
    vault: input.string({
      summary: 'Where keys go: https://<name>.vault.azure.net, or a folder.',
      example: 'https://kv-dr-prod.vault.azure.net',
    }),
    component: input.string({ summary: 'Name of the MongoDB in dr.yml.', default: 'mongodb' }),
    escrow: input.path({ summary: 'Public key file (PEM) that can open backups when the vault is gone.', example: 'escrow-public.pem' }),
    retention: input.string({ summary: 'How long backups stay: daily-weekly-monthly, or days.', default: '7-4-6' }),
    rpo: input.string({ summary: 'How much work may be lost.', default: '24h' }),
    rto: input.string({ summary: 'How long a recovery may take.', default: '90m' }),
    hour: input.integer({ summary: 'Hour of the nightly run, UTC; the minute comes from the name.', default: '2' }),
    schedule: input.string({
      summary: 'When, instead of every night: cron, or what cron cannot say; UTC unless a time zone follows.',
      example: 'first sunday at 00:17 Europe/Berlin',
    }),
    github: input.flag({ summary: 'Write the GitHub workflow.' }),
    azure: input.flag({ summary: 'Write the Azure pipeline.' }),
    serviceConnection: input.string({ summary: 'Name of the Azure service connection, for the pipeline.', default: 'backup-connection' }),
    branch: input.string({ summary: 'Branch whose pipeline runs on schedule on Azure.', default: 'main' }),
    folder: input.path({ summary: 'The repository: where the files go.', default: '.' }),
    yes: input.flag({ summary: 'Ask nothing; take the defaults.', default: 'false' }),
    force: input.flag({ summary: 'Overwrite files that are there.', default: 'false' }),
  },
  outputs: {},
  examples: [
    { what: 'Asks', args: '' },
    {
      what: 'Without a question',
      args: '--yes --store https://stdrprod.blob.core.windows.net/backups --vault https://kv-dr-prod.vault.azure.net --github',
    },
  ],
  check: (inputs, spell) => (inputs.hour < 0 || inputs.hour > 23 ? [`${spell('hour')} is ${inputs.hour}: expected 0 to 23.`] : []),
  run: async (context) =>
    (await import('./init-run.ts')).runInit(context, { repository: REPOSITORY, tag: TAG, taskMajor: TASK_VERSION.Major }),
});

/** Adds `init` to the CLI. */
export function register(program: Command): void {
  addStepCommand(program, init);
}
