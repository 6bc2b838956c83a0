// The first files of a project: dr.yml with comments, and the workflow or pipeline that backs up every night.
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
  /** `https://<account>.blob.core.windows.net/<container>`, or a folder. */
  store: string;
  /** `https://<name>.vault.azure.net`, or a folder. */
  vault: string;
  component: string;
  /** The pod that runs MongoDB; absent where a connection string reaches it. */
  kubernetes?: InitPod | undefined;
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

/** A pod as dr.yml names it: by labels or by name. */
export interface InitPod {
  namespace: string;
  selector?: string | undefined;
  pod?: string | undefined;
  container?: string | undefined;
  context?: string | undefined;
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

/** The label that Helm charts of MongoDB give their pods. */
export const USUAL_SELECTOR = 'app.kubernetes.io/name=mongodb';
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
  const { name, store, vault, component, kubernetes, escrow, retention, rpo, rto } = answers;
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
    `  primary: ${storeEntry(store)}`,
    '',
    '# Where the keys are kept, one per backup. Never in the same place as the backups.',
    `vault: ${isHttps(vault) ? `{ kind: azure-key-vault, url: ${quoted(vault)} }` : `{ kind: folder, path: ${quoted(vault)} }`}`,
    ...keyLines(vault, escrow),
    '',
    'components:',
    `  ${scalar(component)}:`,
    '    kind: mongodb',
    '    source:',
    ...(kubernetes === undefined
      ? ['      uri: "${env:MONGODB_URI}" # never a secret itself, only where it comes from']
      : podLines(kubernetes)),
    '    store: primary',
    `    retention: { preset: ${quoted(retention)} } # 7-4-6 keeps 7 daily, 4 weekly, 6 monthly`,
    `    schedule: ${quoted(answers.schedule ?? nightlyCron(answers))} # UTC${answers.schedule === undefined ? '' : ' unless it names a time zone'}. The CI system starts the runs; Lifeboat uses this to notice a missing one`,
    '    # exclude: [rocketchat.rocketchat_sessions] # databases or collections to leave out',
  );
}

function podLines({ namespace, selector, pod, container, context }: InitPod): string[] {
  const names = Object.entries({ context, namespace, selector, pod, container });
  return [
    '      kubernetes: # mongodump and mongorestore run inside the pod, through kubectl exec',
    ...names.flatMap(([key, value]) => (value === undefined ? [] : [`        ${key}: ${scalar(value)}`])),
    '        # uri: "${env:MONGODB_URI}" # as seen from inside the pod; needed where its environment holds no root password',
  ];
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

function storeEntry(store: string): string {
  if (!isHttps(store)) return `{ kind: folder, path: ${quoted(store)} }`;
  const url = new URL(store);
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
    isHttps(answers.store)
      ? '    runs-on: ubuntu-latest'
      : '    runs-on: self-hosted # the store is a folder: a hosted runner would throw it away',
    `    timeout-minutes: ${RUN_MINUTES}`,
    '    permissions:',
    '      contents: read # dr.yml',
    ...(azure ? ['      id-token: write # sign in to Azure without a stored secret'] : []),
    '    steps:',
    `      - uses: ${CHECKOUT}`,
    '        with:',
    '          persist-credentials: false',
    ...(azure && answers.kubernetes ? CLUSTER_LOGIN : []),
    `      - uses: ${repository}/actions/backup-all@${tag}`,
    ...(answers.kubernetes ? [] : ['        env:', '          MONGODB_URI: ${{ secrets.MONGODB_URI }}']),
    '        with:',
    '          config: dr.yml',
    ...(guarded ? ["          due: ${{ github.event_name == 'schedule' }} # started by hand it backs up in any case"] : []),
    ...(azure ? ['          azure-client-id: ${{ vars.AZURE_CLIENT_ID }}', '          azure-tenant-id: ${{ vars.AZURE_TENANT_ID }}'] : []),
  );
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
    isHttps(answers.store)
      ? 'pool: { vmImage: ubuntu-latest }'
      : 'pool: { name: Default } # the store is a folder: a hosted agent would throw it away',
    'jobs:',
    '  - job: backup',
    `    timeoutInMinutes: ${RUN_MINUTES}`,
    '    steps:',
    '      - checkout: self',
    '        fetchDepth: 1',
    ...(usesAzure(answers) && answers.kubernetes ? clusterLoginTask(answers.serviceConnection) : []),
    `      - task: BackupAll@${taskMajor}`,
    '        inputs:',
    '          config: dr.yml',
    ...(guarded ? ["          due: ${{ eq(variables['Build.Reason'], 'Schedule') }} # started by hand it backs up in any case"] : []),
    ...(usesAzure(answers) ? [`          azureSubscription: ${scalar(answers.serviceConnection)}`] : []),
    ...(answers.kubernetes ? [] : ['        env:', '          MONGODB_URI: $(MONGODB_URI) # a secret variable of the pipeline']),
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
    { where: 'In the cluster', what: answers.kubernetes ? clusterWork(answers) : [] },
    { where: 'Here', what: [...folderWork(answers), ...localWork(answers)] },
  ].filter(({ what }) => what.length > 0);
}

function githubWork(answers: InitAnswers): string[] {
  const azure = usesAzure(answers);
  return [
    ...(answers.kubernetes ? [] : ['gh secret set MONGODB_URI']),
    ...(azure
      ? [
          'gh variable set AZURE_CLIENT_ID  # of an Entra application with a federated credential for this repository',
          'gh variable set AZURE_TENANT_ID',
        ]
      : []),
    ...(azure && answers.kubernetes
      ? ['gh variable set AZURE_SUBSCRIPTION_ID', 'gh variable set AKS_RESOURCE_GROUP', 'gh variable set AKS_CLUSTER']
      : []),
  ];
}

function pipelinesWork(answers: InitAnswers): string[] {
  const azure = usesAzure(answers);
  const variables = answers.kubernetes
    ? azure
      ? ' with the variables AKS_RESOURCE_GROUP and AKS_CLUSTER'
      : ''
    : ' with the secret variable MONGODB_URI';
  return [
    `Create a pipeline from ${PIPELINE_PATH}${variables}.`,
    ...(azure ? [`Create the service connection ${answers.serviceConnection} (workload identity federation).`] : []),
  ];
}

function clusterWork(answers: InitAnswers): string[] {
  const elsewhere = (answers.github || answers.azure) && !usesAzure(answers);
  return [
    'Let the identity find pods and exec into them: docs/operations.md, "MongoDB in the cluster", has the role to apply.',
    ...(elsewhere ? ['Give the machine that runs the backups kubectl and a kubeconfig that reaches the cluster.'] : []),
  ];
}

function localWork({ kubernetes }: InitAnswers): string[] {
  return kubernetes
    ? ['az aks get-credentials --resource-group <group> --name <cluster>  # or any other kubeconfig that reaches it']
    : ["export MONGODB_URI='mongodb://…'"];
}

/** What to mind about folders: keys must not end up in version control, nor backups in a checkout that is cleaned. */
function folderWork({ store, vault, github, azure }: InitAnswers): string[] {
  const folders = [...new Set([store, vault])].filter((address) => !isHttps(address));
  const below = folders.filter((folder) => !/^(?:\/|[A-Za-z]:|\.\.)/.test(folder));
  return [
    ...(store === vault ? ['Give the keys a place of their own: whoever gets hold of the backups must not get the keys with them.'] : []),
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

function isHttps(address: string): boolean {
  return /^https:\/\//i.test(address);
}

/** Plain where YAML reads it back as the same text, else quoted. */
function scalar(text: string): string {
  return /^(?:[A-Za-z][A-Za-z0-9_./-]*|\d+[smhdw])$/.test(text) && !/^(?:true|false|null|yes|no|on|off|y|n)$/i.test(text)
    ? text
    : quoted(text);
}

/** JSON strings are YAML strings. */
function quoted(text: string): string {
  return JSON.stringify(text);
}

function lines(...all: string[]): string {
  return `${all.join('\n')}\n`;
}
