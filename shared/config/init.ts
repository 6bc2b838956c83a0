// The first files of a project: dr.yml with comments, and the workflow or pipeline that backs up every night.
import type { InitComponent } from '../backup/kind-init.ts';
import { quoted, scalar } from '../schema/yaml-text.ts';
import { isUtcCron, utcCrons } from './ci-cron.ts';
import { stableMinute } from './jitter.ts';

/** Where the actions and tasks are published. */
export interface Published {
  /** `owner/name` on GitHub. */
  repository: string;
  /** Moving tag, such as `v1`. */
  tag: string;
  /** Major version of the Azure tasks. */
  taskMajor: number;
}

export interface InitAnswers {
  name: string;
  /** `https://<account>.blob.core.windows.net/<container>`, `s3://<bucket>?region=…`, `sftp://<user>@<host>/<path>?fingerprint=…`, or a folder. */
  store: string;
  /** `https://<name>.vault.azure.net`, or a folder. */
  vault: string;
  component: string;
  /** What its kind says of it. */
  of: InitComponent;
  /** Public key file of an escrow recipient. */
  escrow?: string | undefined;
  /** As in dr.yml: `7-4-6`, `14d`. */
  retention: string;
  rpo: string;
  rto: string;
  /** Hour of the nightly run, UTC. */
  hour: number;
  /** As in dr.yml, instead of nightly: `first sunday at 00:17 Europe/Berlin`. */
  schedule?: string | undefined;
  github: boolean;
  azure: boolean;
  /** Name of the Azure service connection, for the pipeline. */
  serviceConnection: string;
  /** Branch whose pipeline runs on schedule. */
  branch: string;
}

/** Something to do that no file can do. */
export interface RemainingWork {
  where: string;
  /** A sentence or a command line each. */
  what: string[];
}

export interface InitFile {
  path: string;
  content: string;
}

/** How an escrow pair is made. */
export const ESCROW_COMMANDS: readonly string[] = [
  'openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:4096 -aes-256-cbc -out escrow-private.pem',
  'openssl pkey -in escrow-private.pem -pubout -out escrow-public.pem',
];
export const WORKFLOW_PATH = '.github/workflows/lifeboat-backup.yml';
export const PIPELINE_PATH = 'azure-pipelines-backup.yml';

/** actions/checkout v5.0.0, by its commit: a tag can be moved. */
const CHECKOUT = 'actions/checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8 # v5.0.0';
/** azure/login v2.3.0, likewise. */
const AZURE_LOGIN = 'azure/login@a457da9ea143d694b1b9c7c869ebb04ebe844ef5 # v2.3.0';
const GUARDED = 'at least as often as the schedule in dr.yml; "due" ends the runs in between';
/** Minutes after which a run is taken for hung. */
const RUN_MINUTES = 120;

/** The files for these answers. What is wrong with an answer shows when the dr.yml is parsed. */
export function initFiles(answers: InitAnswers, published: Published): InitFile[] {
  return [
    { path: 'dr.yml', content: drYaml(answers, published) },
    ...(answers.github ? [{ path: WORKFLOW_PATH, content: workflowYaml(answers, published) }] : []),
    ...(answers.azure ? [{ path: PIPELINE_PATH, content: pipelineYaml(answers, published) }] : []),
  ];
}

/** How the CI system starts the runs. */
interface Timing {
  title: string;
  crons: string[];
  /** The crons come more often than the schedule: `backup-all --due` knows when it is meant. */
  guarded: boolean;
}

function timingOf(answers: InitAnswers): Timing {
  const { schedule } = answers;
  if (schedule === undefined) return { title: 'Nightly backup', crons: [nightlyCron(answers)], guarded: false };
  return { title: 'Backup', crons: utcCrons(schedule, new Date()), guarded: !isUtcCron(schedule) };
}

/** The nightly schedule, UTC: off the full hour, at a minute of its own. */
export function nightlyCron({ name, hour }: Pick<InitAnswers, 'name' | 'hour'>): string {
  return `${stableMinute(name)} ${hour} * * *`;
}

function drYaml(answers: InitAnswers, { repository, tag }: Published): string {
  const { name, vault, component, of, escrow, retention, rpo, rto } = answers;
  return lines(
    `# yaml-language-server: $schema=https://raw.githubusercontent.com/${repository}/${tag}/dr.schema.json`,
    '# What is protected, where it goes, how long it stays. Check this file: lifeboat config validate. See its defaults: lifeboat config show',
    'version: 1',
    `name: ${scalar(name)} # the top folder in the store; you type it to confirm a restore`,
    '',
    'objectives:',
    `  rpo: ${scalar(rpo)} # how much work may be lost`,
    `  rto: ${scalar(rto)} # how long a recovery may take`,
    '',
    'stores:',
    `  primary: ${storeEntry(answers)}`,
    '',
    '# Where the keys are kept, one per backup. Never in the same place as the backups.',
    `vault: ${isHttps(vault) ? `{ kind: azure-key-vault, url: ${quoted(vault)} }` : `{ kind: folder, path: ${quoted(vault)} }`}`,
    ...keyLines(vault, escrow),
    '',
    'components:',
    `  ${scalar(component)}:`,
    `    kind: ${scalar(of.kind)}`,
    ...of.yaml.map((line) => `    ${line}`),
    '    store: primary',
    `    retention: { preset: ${quoted(retention)} } # 7-4-6 keeps 7 daily, 4 weekly, 6 monthly`,
    `    schedule: ${quoted(answers.schedule ?? nightlyCron(answers))} # UTC${answers.schedule === undefined ? '' : ' unless it names a time zone'}. The CI system starts the runs; Lifeboat uses this to notice a missing one`,
  );
}

function keyLines(vault: string, escrow: string | undefined): string[] {
  const own = `  - { kind: ${isHttps(vault) ? 'key-vault-secret' : 'folder'} } # a key of its own for each backup`;
  if (escrow !== undefined) {
    return [
      'keys:',
      own,
      `  - { kind: escrow, publicKey: ${quoted(escrow)} } # opens every backup when the vault is gone; keep the private half off line`,
    ];
  }
  return [
    '# keys: # who can open a backup, each one alone. An escrow key saves you when the vault is gone: docs/operations.md says how to make one.',
    `# ${own}`,
    '#   - { kind: escrow, publicKey: escrow-public.pem }',
  ];
}

function storeEntry({ store, github, azure }: InitAnswers): string {
  if (isFolder(store)) return `{ kind: folder, path: ${quoted(store)} }`;
  const url = new URL(store);
  if (url.protocol === 's3:') return s3Entry(url);
  if (url.protocol === 'sftp:') return sftpEntry(url, github || azure);
  const [account = '', ...domain] = url.hostname.split('.');
  const [container = '', ...folder] = url.pathname.split('/').filter((segment) => segment !== '');
  return [
    `{ kind: azure-blob, account: ${scalar(account)}, container: ${scalar(container)}`,
    ...(folder.length > 0 ? [`prefix: ${quoted(folder.join('/'))}`] : []),
    ...(domain.join('.') === 'blob.core.windows.net' ? [] : [`endpoint: ${quoted(url.origin)}`]),
  ]
    .join(', ')
    .concat(' }');
}

/** Credentials come from the environment, as every S3 client finds them. */
function s3Entry(url: URL): string {
  const prefix = decodeURIComponent(url.pathname).replace(/^\/+|\/+$/g, '');
  const settings = ['region', 'endpoint', 'storageClass', 'lockDays'].flatMap((name) => {
    const value = url.searchParams.get(name);
    return value === null ? [] : [`${name}: ${/^\d+$/.test(value) ? value : scalar(value)}`];
  });
  return `{ ${['kind: s3', `bucket: ${scalar(url.hostname)}`, ...(prefix === '' ? [] : [`prefix: ${quoted(prefix)}`]), ...settings].join(', ')} }`;
}

/** @param inCi a CI system signs in with the text of a key, a person with the SSH agent */
function sftpEntry(url: URL, inCi: boolean): string {
  // `/~/` starts a path in the user's home.
  const path = decodeURIComponent(url.pathname).replace(/^\/~\/?/, '');
  const keyFile = url.searchParams.get('keyFile');
  return `{ ${[
    'kind: sftp',
    `host: ${scalar(url.hostname)}`,
    ...(url.port === '' ? [] : [`port: ${url.port}`]),
    `user: ${scalar(decodeURIComponent(url.username))}`,
    `path: ${quoted(path)}`,
    `fingerprint: ${quoted(url.searchParams.get('fingerprint') ?? '')}`,
    ...(keyFile === null ? (inCi ? ['privateKey: "${env:SFTP_PRIVATE_KEY}"'] : []) : [`keyFile: ${quoted(keyFile)}`]),
  ].join(', ')} }`;
}

/** Variables with secrets that a run needs in its environment. */
function secretNames({ store, of, github, azure }: InitAnswers): string[] {
  return [
    ...of.variables.map(({ name }) => name),
    ...(/^s3:/i.test(store) ? ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'] : []),
    ...(/^sftp:/i.test(store) && (github || azure) && !store.includes('keyFile=') ? ['SFTP_PRIVATE_KEY'] : []),
  ];
}

function workflowYaml(answers: InitAnswers, { repository, tag }: Published): string {
  const azure = usesAzure(answers);
  const { title, crons, guarded } = timingOf(answers);
  return lines(
    `name: ${title}`,
    'on:',
    '  schedule:',
    ...crons.map(
      (cron) => `    - cron: ${quoted(cron)} # UTC; ${guarded ? GUARDED : 'off the full hour, where GitHub delays or drops runs'}`,
    ),
    '  workflow_dispatch:',
    'permissions: {}',
    'concurrency:',
    `  group: lifeboat-backup-${answers.name} # never two at once, and never cancel one half way`,
    '  cancel-in-progress: false',
    'jobs:',
    '  backup:',
    keptFolder(answers) === undefined
      ? '    runs-on: ubuntu-latest'
      : `    runs-on: self-hosted # the ${keptFolder(answers)} is a folder: a hosted runner would throw it away`,
    `    timeout-minutes: ${RUN_MINUTES}`,
    '    permissions:',
    '      contents: read # dr.yml',
    ...(azure ? ['      id-token: write # sign in to Azure without a stored secret'] : []),
    '    steps:',
    `      - uses: ${CHECKOUT}`,
    '        with:',
    '          persist-credentials: false',
    ...(azure && answers.of.cluster ? CLUSTER_LOGIN : []),
    `      - uses: ${repository}/actions/backup-all@${tag}`,
    ...envLines(answers, (name) => `\${{ secrets.${name} }}`),
    '        with:',
    '          config: dr.yml',
    ...(guarded ? ["          due: ${{ github.event_name == 'schedule' }} # started by hand it backs up in any case"] : []),
    ...(azure ? ['          azure-client-id: ${{ vars.AZURE_CLIENT_ID }}', '          azure-tenant-id: ${{ vars.AZURE_TENANT_ID }}'] : []),
  );
}

/** The `env:` of a step, at its depth in both files. */
function envLines(answers: InitAnswers, valueOf: (name: string) => string): string[] {
  const names = secretNames(answers);
  return names.length === 0 ? [] : ['        env:', ...names.map((name) => `          ${name}: ${valueOf(name)}`)];
}

/** Steps of a workflow that give kubectl a kubeconfig for a cluster of AKS. */
const CLUSTER_LOGIN = [
  `      - uses: ${AZURE_LOGIN}`,
  '        with:',
  '          client-id: ${{ vars.AZURE_CLIENT_ID }}',
  '          tenant-id: ${{ vars.AZURE_TENANT_ID }}',
  '          subscription-id: ${{ vars.AZURE_SUBSCRIPTION_ID }}',
  '      - name: Log in to the cluster',
  '        run: az aks get-credentials --resource-group "$RESOURCE_GROUP" --name "$CLUSTER" # with Entra sign-in it needs kubelogin, too',
  '        env:',
  '          RESOURCE_GROUP: ${{ vars.AKS_RESOURCE_GROUP }}',
  '          CLUSTER: ${{ vars.AKS_CLUSTER }}',
];

function pipelineYaml(answers: InitAnswers, { taskMajor }: Published): string {
  const { title, crons, guarded } = timingOf(answers);
  return lines(
    'trigger: none',
    'pr: none',
    'schedules:',
    ...crons.flatMap((cron) => [
      `  - cron: ${quoted(cron)} # UTC; ${guarded ? GUARDED : 'a schedule set in the web page would win over this one'}`,
      `    displayName: ${title}`,
      `    branches: { include: [${scalar(answers.branch)}] }`,
      '    always: true # without it nothing runs while the branch does not change',
    ]),
    keptFolder(answers) === undefined
      ? 'pool: { vmImage: ubuntu-latest }'
      : `pool: { name: Default } # the ${keptFolder(answers)} is a folder: a hosted agent would throw it away`,
    'jobs:',
    '  - job: backup',
    `    timeoutInMinutes: ${RUN_MINUTES}`,
    '    steps:',
    '      - checkout: self',
    '        fetchDepth: 1',
    ...(usesAzure(answers) && answers.of.cluster ? clusterLoginTask(answers.serviceConnection) : []),
    `      - task: BackupAll@${taskMajor}`,
    '        inputs:',
    '          config: dr.yml',
    ...(guarded ? ["          due: ${{ eq(variables['Build.Reason'], 'Schedule') }} # started by hand it backs up in any case"] : []),
    ...(usesAzure(answers) ? [`          azureSubscription: ${scalar(answers.serviceConnection)}`] : []),
    ...envLines(answers, (name) => `$(${name}) # a secret variable of the pipeline`),
  );
}

/** The task that gives kubectl a kubeconfig for a cluster of AKS, for the rest of the job. */
function clusterLoginTask(serviceConnection: string): string[] {
  return [
    '      - task: Kubernetes@1',
    '        displayName: Log in to the cluster',
    '        inputs:',
    '          connectionType: Azure Resource Manager',
    `          azureSubscriptionEndpoint: ${scalar(serviceConnection)}`,
    '          azureResourceGroup: $(AKS_RESOURCE_GROUP)',
    '          kubernetesCluster: $(AKS_CLUSTER)',
    '          command: login',
  ];
}

/** What to do before the first run besides writing files, by place; places without work are left out. */
export function remainingWork(answers: InitAnswers): RemainingWork[] {
  return [
    { where: 'On GitHub', what: answers.github ? githubWork(answers) : [] },
    { where: 'On Azure Pipelines', what: answers.azure ? pipelinesWork(answers) : [] },
    { where: 'In the cluster', what: clusterWork(answers) },
    { where: 'Here', what: [...folderWork(answers), ...localWork(answers)] },
  ].filter(({ what }) => what.length > 0);
}

function githubWork(answers: InitAnswers): string[] {
  const azure = usesAzure(answers);
  return [
    ...secretNames(answers).map((name) =>
      name === 'SFTP_PRIVATE_KEY' ? `gh secret set ${name} < ~/.ssh/id_ed25519` : `gh secret set ${name}`,
    ),
    ...(azure
      ? [
          'gh variable set AZURE_CLIENT_ID  # of an Entra application with a federated credential for this repository',
          'gh variable set AZURE_TENANT_ID',
        ]
      : []),
    ...(azure && answers.of.cluster
      ? ['gh variable set AZURE_SUBSCRIPTION_ID', 'gh variable set AKS_RESOURCE_GROUP', 'gh variable set AKS_CLUSTER']
      : []),
  ];
}

function pipelinesWork(answers: InitAnswers): string[] {
  const azure = usesAzure(answers);
  const secrets = secretNames(answers);
  const parts = [
    ...(azure && answers.of.cluster ? ['the variables AKS_RESOURCE_GROUP and AKS_CLUSTER'] : []),
    ...(secrets.length > 0 ? [`the secret variable${secrets.length > 1 ? 's' : ''} ${secrets.join(' and ')}`] : []),
  ];
  const variables = parts.length === 0 ? '' : ` with ${parts.join(' and ')}`;
  return [
    'Install the Lifeboat extension in the organisation, once: README, "Nightly backup on Azure Pipelines", says how.',
    `Create a pipeline from ${PIPELINE_PATH}${variables}.`,
    ...(azure ? [`Create the service connection ${answers.serviceConnection} (workload identity federation).`] : []),
  ];
}

function clusterWork(answers: InitAnswers): string[] {
  const { cluster } = answers.of;
  if (cluster === undefined) return [];
  const elsewhere = (answers.github || answers.azure) && !usesAzure(answers);
  return [...cluster, ...(elsewhere ? ['Give the machine that runs the backups kubectl and a kubeconfig that reaches the cluster.'] : [])];
}

function localWork(answers: InitAnswers): string[] {
  const looks = (name: string): string => answers.of.variables.find((one) => one.name === name)?.looks ?? '…';
  return [
    ...(answers.of.cluster
      ? ['az aks get-credentials --resource-group <group> --name <cluster>  # or any other kubeconfig that reaches it']
      : []),
    ...secretNames(answers).map((name) =>
      name === 'SFTP_PRIVATE_KEY' ? `export ${name}="$(cat ~/.ssh/id_ed25519)"` : `export ${name}='${looks(name)}'`,
    ),
  ];
}

/** What to mind about folders: keys must not end up in version control, nor backups in a checkout that is cleaned. */
function folderWork({ store, vault, github, azure }: InitAnswers): string[] {
  const folders = [...new Set([store, vault])].filter(isFolder);
  const below = folders.filter((folder) => !/^(?:\/|[A-Za-z]:|\.\.)/.test(folder));
  return [
    ...(below.length > 0 ? [`Keep ${below.join(' and ')} out of version control (.gitignore).`] : []),
    ...(below.length > 0 && (github || azure)
      ? [`Give ${below.join(' and ')} absolute paths outside the checkout in dr.yml: the CI system cleans the checkout before each run.`]
      : []),
  ];
}

/** The commands that come next, in order. */
export const NEXT_COMMANDS: readonly string[] = ['lifeboat config validate', 'lifeboat doctor', 'lifeboat backup-all'];

function usesAzure({ store, vault }: InitAnswers): boolean {
  return isHttps(store) || isHttps(vault);
}

/** Which of the two is a folder, and would not outlive a hosted machine. */
function keptFolder({ store, vault }: InitAnswers): 'store' | 'vault' | undefined {
  if (isFolder(store)) return 'store';
  return isFolder(vault) ? 'vault' : undefined;
}

function isFolder(address: string): boolean {
  return !/^(?:https|s3|sftp):/i.test(address);
}

function isHttps(address: string): boolean {
  return /^https:\/\//i.test(address);
}

function lines(...all: string[]): string {
  return `${all.join('\n')}\n`;
}
