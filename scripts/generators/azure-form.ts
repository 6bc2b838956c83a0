// How the inputs of a task look in the form of Azure Pipelines: words for people, groups that are open, inputs that appear when they matter.
import { kebabCase, type InputSpec } from '../../shared/step/input.ts';
import { describeInput } from '../../shared/cli/describe.ts';

/** Labels by input name; what is not here is its own name in words. */
const LABELS: Record<string, string> = {
  allowOlder: 'Allow an older backup',
  azureAudience: 'Token audience',
  azureAuthority: 'Entra login address',
  azureClientId: 'Client id',
  azureClientSecret: 'Client secret',
  azureSubscription: 'Azure service connection',
  azureTenantId: 'Tenant id',
  channel: 'Kind of channel',
  component: 'Component in dr.yml',
  config: 'Path of dr.yml',
  confirm: 'Type the name to confirm',
  copies: 'Stores with copies',
  days: 'Last N days',
  depth: 'How deep to look',
  dryRun: 'Dry run: only show the plan',
  due: 'Only when a backup is due',
  engine: 'Dump engine',
  escrowKey: 'Escrow private key file',
  escrowPassphrase: 'Passphrase of the escrow key',
  exclude: 'Leave out',
  failOn: 'Fail from this severity on',
  file: 'Dump file or folder',
  from: 'E-mail sender',
  fromStore: 'Read only from this store',
  grace: 'How late a backup may be',
  hold: 'Hold id',
  holdFor: 'Hold for how long',
  include: 'Only these databases or collections',
  iterations: 'Key derivation rounds (openssl -iter)',
  keepDaily: 'Keep daily',
  limitRate: 'Bandwidth limit',
  lockWait: 'Wait for another run',
  maxShrink: 'Suspect after this loss (%)',
  message: 'Text to add',
  metricsFile: 'Metrics file',
  metricsFormat: 'Format of the metrics file',
  mongodbUri: 'MongoDB connection string',
  name: 'Name of what is protected',
  next: 'Command to run next',
  notify: 'Tell the channels of dr.yml',
  only: 'Only these checks',
  openWith: 'Open the backup with',
  outcome: 'How it ended',
  passphrase: 'Passphrase of the dump',
  passphraseSecret: 'Vault secret with the passphrase',
  plan: 'Saved plan to carry out',
  preset: 'Preset, such as 7-4-6',
  publish: 'Keep the result as status.json',
  pushGateway: 'Prometheus push gateway',
  pushGatewayAuth: 'Push gateway sign-in',
  reason: 'Reason, for the audit log',
  recipients: 'Who can open the backup',
  rehydrate: 'Bring back from the archive tier',
  rehydrateWait: 'Wait for the archive tier',
  rename: 'Rename (from=to)',
  replace: 'Replace collections that hold documents',
  results: 'Results of the jobs',
  rollback: 'Roll back the last restore',
  safetyBackup: 'Back up first what is replaced',
  savePlan: 'Save the plan as a file',
  store: 'Store of the backups',
  storePatience: 'Wait for a store that is away',
  storeSas: 'SAS of the store',
  subset: 'Only part n/t of the data',
  targetDatabase: 'Restore into this database',
  timeout: 'Time limit of each check',
  timestamp: 'Timestamp of the backup',
  to: 'E-mail recipients',
  tolerance: 'Tolerance in percent',
  type: 'Kind of backup',
  url: 'Address of the channel',
  vault: 'Vault of the keys',
  verify: 'How much to read back',
  verifyFirst: 'Prove the backup before the target is touched',
};

/** `keepWithinDaily` → `Keep within daily`, unless people call it something else. */
export function labelOf(name: string): string {
  const words = kebabCase(name).replaceAll('-', ' ');
  return LABELS[name] ?? words.charAt(0).toUpperCase() + words.slice(1);
}

/** Groups that most people leave alone. */
const CLOSED = new Set(['MongoDB inside a cluster', 'Rules (instead of those in dr.yml)']);

/** A group of the form. */
export function formGroup(group: string): Record<string, unknown> {
  return { name: groupName(group), displayName: group, isExpanded: !CLOSED.has(group) };
}

/** `Azure sign-in` → `azureSignIn`. */
export function groupName(group: string): string {
  return group
    .replace(/[^A-Za-z0-9]+(.)?/g, (_, letter: string | undefined) => letter?.toUpperCase() ?? '')
    .replace(/^./, (c) => c.toLowerCase());
}

/** When an input appears, by its name: only then does it mean anything. */
const VISIBLE: Record<string, string> = {
  kubernetesSelector: 'kubernetesNamespace != ""',
  kubernetesPod: 'kubernetesNamespace != ""',
  kubernetesContainer: 'kubernetesNamespace != ""',
  kubernetesContext: 'kubernetesNamespace != ""',
  compressionLevel: 'compression != none',
  escrowPassphrase: 'escrowKey != ""',
  from: 'channel = email',
  to: 'channel = email',
  iterations: 'passphrase != "" || passphraseSecret != ""',
  metricsFormat: 'metricsFile != ""',
  pushGatewayAuth: 'pushGateway != ""',
  rehydrateWait: 'rehydrate != no',
  safetyBackup: 'replace = true || rollback = true',
};

/** The rule, when the task has every input that it speaks of. */
export function visibleRule(name: string, inputs: readonly string[]): string | undefined {
  const rule = VISIBLE[name];
  const others = rule?.match(/\b[a-z][A-Za-z]*(?= !?= )/g) ?? [];
  return others.every((other) => inputs.includes(other)) ? rule : undefined;
}

/** The explanation behind the "i"; a secret's says how to give it. */
export function helpOf(name: string, spec: InputSpec<unknown>): string {
  if (spec.kind !== 'secret') return describeInput(spec);
  const variable = kebabCase(name).replaceAll('-', '_').toUpperCase();
  return `${describeInput(spec)} Put \`$(${variable})\` here: a secret variable of the pipeline, never the secret itself.`;
}
