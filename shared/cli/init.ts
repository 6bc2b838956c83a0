// `lifeboat init`: the first hour. Asks on a terminal or takes flags, writes dr.yml and the nightly workflow or pipeline.
import type { Command } from 'commander';
import { defineStep } from '../step/define.ts';
import { USUAL_SELECTOR } from '../config/init.ts';
import { inGroup, input } from '../step/input.ts';
import { REPOSITORY, TAG, TASK_VERSION } from './project.ts';
import { addStepCommand } from './step-command.ts';

const podInputs = inGroup('MongoDB inside a cluster, reached by kubectl exec instead of a connection string', {
  kubernetesNamespace: input.string({ summary: 'Namespace of the pod that runs MongoDB.', example: 'rocketchat' }),
  kubernetesSelector: input.string({ summary: `Label selector of its pods; ${USUAL_SELECTOR} when absent.`, example: USUAL_SELECTOR }),
  kubernetesPod: input.string({ summary: 'One pod by name, instead of a selector.', example: 'mongodb-0' }),
  kubernetesContainer: input.string({
    summary: 'The container with mongodump and mongorestore. Not needed when the pod has only one, or names its default.',
    example: 'mongodb',
  }),
  kubernetesContext: input.string({ summary: 'Context in the kubeconfig; the current one when absent.', example: 'aks-prod' }),
});

/** The command as a step: it runs on the terminal host like any other. */
export const init = defineStep({
  name: 'init',
  title: 'Lifeboat: init',
  summary: 'Writes a commented dr.yml, and the GitHub workflow or Azure pipeline for the nightly backup.',
  description:
    'On a terminal it asks for what you did not give as an option; --yes takes the defaults instead of asking. ' +
    'It overwrites no file without --force, and then only dr.yml and what is asked for by --github and --azure.',
  effects: 'writes',
  inputs: {
    name: input.string({
      summary:
        "Name of what is protected: the top folder in the store, and what you type to confirm a restore. The folder's name when absent.",
      example: 'rocketchat-production',
    }),
    store: input.string({
      summary:
        'Where backups go: https://<account>.blob.core.windows.net/<container>, s3://<bucket>?region=<region>, sftp://<user>@<host>/<path>?fingerprint=SHA256:…, or a folder.',
      example: 'https://stdrprod.blob.core.windows.net/backups',
    }),
    vault: input.string({
      summary: 'Where keys go: https://<name>.vault.azure.net, or a folder. Never where the backups go.',
      example: 'https://kv-dr-prod.vault.azure.net',
    }),
    component: input.string({ summary: 'Name of the MongoDB in dr.yml.', default: 'mongodb' }),
    ...podInputs,
    escrow: input.path({
      summary: 'Public key file (PEM) whose private half can open backups when the vault is gone. docs/operations.md says how to make one.',
      example: 'escrow-public.pem',
    }),
    retention: input.string({ summary: 'How long backups stay: 7-4-6 (daily-weekly-monthly), or 14d.', default: '7-4-6' }),
    rpo: input.string({ summary: 'How much work may be lost (recovery point objective).', default: '24h' }),
    rto: input.string({ summary: 'How long a recovery may take (recovery time objective).', default: '90m' }),
    hour: input.integer({ summary: 'Hour of the nightly run, UTC; the minute comes from the name.', default: '2' }),
    schedule: input.string({
      summary: 'Instead of every night: cron, or words such as "first sunday at 00:17". UTC unless a time zone follows.',
      example: 'first sunday at 00:17 Europe/Berlin',
    }),
    github: input.flag({ summary: 'Write the GitHub workflow.' }),
    azure: input.flag({ summary: 'Write the Azure pipeline.' }),
    serviceConnection: input.string({ summary: 'Name of the Azure service connection, for the pipeline.', default: 'backup-connection' }),
    branch: input.string({ summary: 'Branch whose Azure pipeline runs on schedule.', default: 'main' }),
    folder: input.path({ summary: 'The repository that the files are written to; the working folder when absent.' }),
    yes: input.flag({ summary: 'Ask nothing: take the defaults.', default: 'false' }),
    force: input.flag({
      summary: 'Overwrite dr.yml, and with --github or --azure the workflow or pipeline, when they exist.',
      default: 'false',
    }),
  },
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
