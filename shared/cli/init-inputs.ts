// What `lifeboat init` may be told instead of asking for it.
import { USUAL_SELECTOR } from '../config/init.ts';
import type { StepContext } from '../step/define.ts';
import { inGroup, input } from '../step/input.ts';

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

export const inputs = {
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
};

export type Context = StepContext<typeof inputs>;
