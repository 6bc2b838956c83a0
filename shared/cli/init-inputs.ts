// What `lifeboat init` may be told instead of asking for it.
import { initInputsOf } from './init-kind.ts';
import type { Kinds } from '../kinds/registry.ts';
import type { StepContext } from '../step/define.ts';
import { input } from '../step/input.ts';

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
  kind: input.string({ summary: 'Kind of what is protected. On a terminal it is asked for when there are several.' }),
  component: input.string({ summary: 'Name of the component in dr.yml; that of its kind when absent.' }),
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

/** All inputs, in the order in which people read them. */
export function inputsOf(kinds: Kinds): typeof inputs {
  const {
    name,
    store,
    vault,
    kind: { summary },
    component,
    ...others
  } = inputs;
  const kind = input.choice(kinds.names, { summary });
  return { name, store, vault, kind, component, ...initInputsOf(kinds), ...others };
}

export type Context = StepContext<typeof inputs>;
