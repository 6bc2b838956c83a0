// Inputs that several steps share, so that one thing is called the same everywhere.
import type { DestroyingInputs, Spell } from '../step/define.ts';
import { inGroup, input, type InputSpec } from '../step/input.ts';
import { componentProblem, newComponentProblem, prefixProblem } from '../step/names.ts';
import type { Timestamp } from '../step/timestamp.ts';

const component = {
  summary:
    'Name of the component in dr.yml, which is also the folder of its backups in the store. Not needed when dr.yml has only one that fits, or when the step works on all of them. Without dr.yml a first backup is called as its kind is, and what reads takes the only component in the store.',
  example: 'mongodb',
  config: '.',
} as const;

/** Which file and which component a step is about. */
export const targetInputs = {
  config: input.path({
    summary:
      'Path of dr.yml; when absent, the one in the working folder, or above it in the same repository. A step also works from inputs alone.',
    example: 'dr.yml',
  }),
  component: input.name(componentProblem, component),
  name: input.name(prefixProblem, {
    summary: 'Name of what is protected: the top folder in the store, and what you type to confirm a restore.',
    example: 'rocketchat-production',
    config: '/name',
    default: 'lifeboat',
  }),
};

/** The same for steps that make backups: what is made must not be taken for what a restore has kept. */
export const newTargetInputs = { ...targetInputs, component: input.name(newComponentProblem, component) };

/** Where the bytes lie. */
export const storeInputs = inGroup('Store', {
  store: input.string({
    summary:
      'Where backups are kept: the name of a store in dr.yml, https://<account>.blob.core.windows.net/<container>, s3://<bucket>, sftp://<user>@<host>/<path>, or a folder.',
    example: 'https://stdrprod.blob.core.windows.net/backups',
    config: 'store',
    required: true,
  }),
  storeSas: input.secret({
    summary: 'Shared access signature for an Azure Blob store, where signing in with an identity is not possible.',
  }),
  storePatience: input.duration({
    summary:
      'How long to wait for a store that stops answering in the middle of a run, so that a lost connection does not waste hours of work. 0s gives up after a few attempts.',
    default: '15m',
  }),
});

/** The summary of the store of a step that reads what lies in any of them. */
export const ANY_STORE = {
  summary:
    'Only this store: the name of a store in dr.yml, or an address. When absent, every store that dr.yml names as the home of the components.',
};

/** How much of the line to the store a step may take. */
export const trafficInputs = inGroup('Store', {
  limitRate: input.size({
    summary: 'Limit on bytes per second to and from the store, for a shared line.',
    example: '20MiB',
  }),
});

/** Waiting for another run that is at work on the same component. */
export const lockInputs = inGroup('Store', {
  lockWait: input.duration({
    summary:
      'How long to wait for another run that is at work on the same component before refusing. The log says who is at work. 0s refuses at once.',
    default: '10m',
  }),
});

/** Where copies lie. */
export const copyInputs = inGroup('Store', {
  copies: input.list({
    summary: 'Stores that get copies: names of stores in dr.yml, or addresses, separated by commas.',
    example: 'offsite',
    config: 'copies',
  }),
});

/** Where a backup may be read from besides its own store. */
export const sourceInputs = inGroup('Store', {
  copies: input.list({
    summary:
      'Stores with copies: tried, the nearest first, when the backup is missing or damaged in its own store or that store does not answer.',
    example: 'offsite',
    config: 'copies',
  }),
  fromStore: input.string({
    summary: 'Read the backup from this store only: the name of a store in dr.yml, or an address.',
    example: 'offsite',
  }),
});

/** Which backup is read. */
export const chosenInputs = {
  timestamp: input.chosenTimestamp({
    summary: 'Which backup: its timestamp, or latest, which means the latest verified one and is the default.',
    example: '20241201_120000',
  }),
  allowOlder: input.flag({
    summary: 'Take the latest verified backup even if a newer attempt failed or is suspect.',
    default: 'false',
  }),
};

/** Where the keys lie. */
export const keyInputs = inGroup('Keys', {
  vault: input.string({
    summary:
      'Where keys are kept: https://<name>.vault.azure.net or a folder. Each backup has its own, as the secret lifeboat-<component>-<timestamp>.',
    example: 'https://kv-dr-prod.vault.azure.net',
    config: '/vault',
  }),
  recipients: input.list({
    summary: 'Who can open a backup, each one alone: vault, key-vault-key:<key URL>, escrow:<public key file>. Usually vault.',
    example: 'vault, escrow:escrow-public.pem',
    config: '/keys',
  }),
});

/** Opening a backup takes one recipient; these choose which. */
export const unlockInputs = inGroup('Keys', {
  openWith: input.choice(['any', 'vault', 'key-vault-key', 'escrow'], {
    summary: 'Which recipient opens the backup; "escrow" proves that it opens without the vault.',
    default: 'any',
  }),
  escrowKey: input.path({ summary: 'Private key file (PEM) of the escrow recipient.', example: 'escrow-private.pem' }),
  escrowPassphrase: input.secret({ summary: 'Passphrase of the escrow private key, when it has one.' }),
});

/** Signing in to Azure. */
export const azureInputs = inGroup('Azure sign-in', {
  azureSubscription: input.serviceConnection({
    summary: 'Azure service connection to sign in with (workload identity federation, or a service principal).',
    hosts: ['azure'],
  }),
  azureClientId: input.string({
    summary: 'Client id of the Entra application or managed identity to sign in as (GitHub OIDC needs it together with the tenant id).',
    example: '11111111-2222-3333-4444-555555555555',
  }),
  azureTenantId: input.string({ summary: 'Entra tenant id.', example: '66666666-7777-8888-9999-000000000000' }),
  azureClientSecret: input.secret({
    summary: 'Client secret of the Entra application. Prefer federation, which needs no secret.',
  }),
  azureAudience: input.string({
    summary: 'Audience of the OIDC token that is exchanged for an Azure one.',
    default: 'api://AzureADTokenExchange',
  }),
  azureAuthority: input.string({
    summary: 'Address of the Entra login service, for sovereign clouds and private installations.',
    example: 'https://login.microsoftonline.us',
  }),
});

/** What opening a store reads of a call. Steps whose stores come from dr.yml alone have fewer of them. */
export type PlaceInputs = Pick<typeof targetInputs, 'config'> & {
  name: InputSpec<string>;
  store?: InputSpec<string | undefined>;
  storeSas?: typeof storeInputs.storeSas;
  storePatience?: typeof storeInputs.storePatience;
} & typeof azureInputs;

/** What opening keys reads of a call. */
export type OpeningInputs = Pick<typeof keyInputs, 'vault'> & Partial<Pick<typeof keyInputs, 'recipients'> & typeof unlockInputs>;

/** What the record of a run, its audit entry and its announcement say of a call. */
export type RecordedInputs = Pick<typeof targetInputs, 'config' | 'name'> &
  Partial<Pick<DestroyingInputs, 'dryRun' | 'reason'>> & { timestamp?: InputSpec<Timestamp | undefined> };

/** What is wrong with the inputs that choose a key recipient. */
export function unlockProblems(
  { openWith, escrowKey }: { openWith?: string | undefined; escrowKey?: string | undefined },
  spell: Spell<'openWith' | 'escrowKey'>,
): string[] {
  return openWith === 'escrow' && escrowKey === undefined
    ? [`${spell('openWith')} is escrow, but ${spell('escrowKey')} does not say where the private key file is.`]
    : [];
}
