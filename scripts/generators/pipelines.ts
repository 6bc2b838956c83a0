// The composed pipelines, ready to copy: what `lifeboat init` would write for the example project.
import { initFiles, PIPELINE_PATH, WORKFLOW_PATH, type InitAnswers } from '../../shared/config/init.ts';
import { mongodbComponent } from '../../shared/mongodb/init.ts';
import { REPOSITORY, TAG, TASK_VERSION } from '../../shared/cli/project.ts';

/** The project of the examples. */
export const EXAMPLE: InitAnswers = {
  name: 'rocketchat-production',
  store: 'https://stdrprod.blob.core.windows.net/backups',
  vault: 'https://kv-dr-prod.vault.azure.net',
  component: 'mongodb',
  of: mongodbComponent(),
  retention: '7-4-6',
  rpo: '24h',
  rto: '90m',
  hour: 2,
  github: true,
  azure: true,
  serviceConnection: 'backup-connection',
  branch: 'main',
};

const TARGETS: Record<string, string> = {
  'dr.yml': 'pipelines/dr.yml',
  [WORKFLOW_PATH]: 'pipelines/github/scheduled-backup.yml',
  [PIPELINE_PATH]: 'pipelines/azure/scheduled-backup.yml',
};

/** Path from the project's root → content. */
export function pipelineFiles(): Map<string, string> {
  const files = initFiles(EXAMPLE, { repository: REPOSITORY, tag: TAG, taskMajor: TASK_VERSION.Major });
  return new Map(files.map(({ path, content }) => [TARGETS[path] as string, content]));
}
