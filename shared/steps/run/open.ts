// From a step's inputs to the things it works with: the store, the key recipients, the names. Every step opens them here.
import type { TokenCredential } from '@azure/core-auth';
import type { DrConfig } from '../../config/dr-config.ts';
import { nearestSpelling } from '../../config/spelling.ts';
import type { InputValues, StepContext } from '../../step/define.ts';
import { UsageError } from '../../step/errors.ts';
import type { Host } from '../../step/host.ts';
import { openStore, parseStoreAddress, secretInStoreAddress, type StoreConfig } from '../../stores/open.ts';
import type { Store } from '../../stores/store.ts';
import { openRecipients, openVault, parseRecipient } from '../../vaults/open.ts';
import type { KeyRecipient } from '../../vaults/vault.ts';
import type { azureInputs, OpeningInputs, PlaceInputs, storeInputs } from '../inputs.ts';
import { openDrFile } from './dr-file.ts';

/** How to sign in to Azure. */
export type SignInInputs = InputValues<typeof azureInputs>;

/** Where a step's backups lie. */
export interface Place {
  store: Store;
  /** Folder in the store: the name of what is protected. */
  prefix: string;
  /** Signs in to Azure, once, when something asks. */
  credential: () => Promise<TokenCredential>;
}

/** Opens the store of a call. @throws UsageError */
export async function openPlace(context: StepContext<PlaceInputs & Pick<typeof storeInputs, 'store'>>): Promise<Place> {
  return openPlaceAt(context, context.inputs.store);
}

/**
 * Opens a store by its name in dr.yml or by its address, signed in as the call says.
 * @param patience milliseconds for which it is waited for when it goes away; as the call says when absent
 * @throws UsageError
 */
export async function openPlaceAt(context: StepContext<PlaceInputs>, address: string, patience?: number): Promise<Place> {
  const { host } = context;
  const credential = signInOf(context);
  const store = await openStore(await storeTarget(context, address), {
    credential,
    patience: patience ?? context.inputs.storePatience,
    debug: (message) => {
      host.debug(message);
    },
    notice: (message) => {
      host.notice(message);
    },
  });
  return { store, prefix: context.inputs.name, credential };
}

/** A store of dr.yml by name, else the address itself; with the SAS where one was given. */
async function storeTarget(context: StepContext<PlaceInputs>, address: string): Promise<string | StoreConfig> {
  const inAddress = secretInStoreAddress(address);
  if (inAddress !== undefined) context.host.mask(inAddress);
  const dr = await openDrFile(context);
  if (dr && !dr.hasStore(address)) refuseUnknownName(dr, address);
  const config = dr?.hasStore(address) ? await dr.store(address) : parseStoreAddress(address);
  const { store, storeSas } = context.inputs;
  // It is for the store of the call; copies lie in other accounts, which it does not open.
  const isFor = storeSas !== undefined && config.kind === 'azure-blob' && (store === undefined || address === store);
  return isFor ? { ...config, sas: storeSas.reveal() } : config;
}

/**
 * A word alone names a store wherever dr.yml has stores: a misspelt one must not become a folder of that name.
 * @throws UsageError
 */
function refuseUnknownName({ dr, label }: DrConfig, address: string): void {
  const names = Object.keys(dr.stores ?? {});
  if (names.length === 0 || !/^[^./\\:][^/\\:]*$/.test(address)) return;
  const near = nearestSpelling(address, names);
  throw new UsageError(`${label} has no store ${JSON.stringify(address)}.`, {
    fix: `${near === undefined ? `It has: ${names.join(', ')}.` : `Did you mean ${near}?`} A folder of that name is written ./${address}.`,
  });
}

/**
 * Opens the key recipients of a call, in the order in which they are tried.
 * @throws UsageError when nobody could open a backup
 */
export async function openKeys(context: StepContext<OpeningInputs>, place: Pick<Place, 'credential'>): Promise<KeyRecipient[]> {
  const { inputs, host } = context;
  const { openWith = 'any' } = inputs;
  const wanted = (inputs.recipients ?? (inputs.vault === undefined ? [] : ['vault'])).map(parseRecipient);
  if (inputs.escrowKey !== undefined && !wanted.some(({ kind }) => kind === 'escrow')) wanted.push({ kind: 'escrow' });
  if (wanted.length === 0) {
    throw new UsageError('Nobody could open the backup: no key recipient is set.', {
      fix: `Set ${host.spell('vault')} to a Key Vault or a folder, or ${host.spell('recipients')} (dr.yml: vault, keys).`,
    });
  }
  const chosen = wanted.filter(({ kind }) => openWith === 'any' || kind === openWith || (openWith === 'vault' && perBackup.has(kind)));
  if (chosen.length === 0) {
    throw new UsageError(
      `${host.spell('openWith')} is ${openWith}, but the key recipients are ${wanted.map(({ kind }) => kind).join(', ')}.`,
      {
        fix: `Add it to ${host.spell('recipients')}, or choose another one.`,
      },
    );
  }
  const needsVault = chosen.some(({ kind }) => kind !== 'escrow');
  const vault = inputs.vault !== undefined && needsVault ? await openVault(inputs.vault, { credential: place.credential }) : undefined;
  return openRecipients(chosen, {
    credential: place.credential,
    ...(vault ? { vault } : {}),
    escrow: {
      ...(inputs.escrowKey === undefined ? {} : { privateKey: inputs.escrowKey }),
      ...(inputs.escrowPassphrase === undefined ? {} : { passphrase: inputs.escrowPassphrase }),
    },
  });
}

const perBackup: ReadonlySet<string> = new Set(['vault', 'key-vault-secret', 'folder']);

/** The credential of a call, made when something asks. */
export function signInOf(context: StepContext<typeof azureInputs>): Place['credential'] {
  return once(() => credentialFrom(context.host, context.inputs));
}

/** The credential that sign-in inputs describe. @throws UsageError when they make no way to sign in */
export async function credentialFrom(host: Host, inputs: SignInInputs): Promise<TokenCredential> {
  const { azureCredential } = await import('../../azure/sign-in.ts');
  return azureCredential({
    host,
    audience: inputs.azureAudience,
    ...(inputs.azureSubscription === undefined ? {} : { serviceConnection: inputs.azureSubscription }),
    ...(inputs.azureClientId === undefined ? {} : { clientId: inputs.azureClientId }),
    ...(inputs.azureTenantId === undefined ? {} : { tenantId: inputs.azureTenantId }),
    ...(inputs.azureClientSecret === undefined ? {} : { clientSecret: inputs.azureClientSecret }),
    ...(inputs.azureAuthority === undefined ? {} : { authorityHost: inputs.azureAuthority }),
  });
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => (made ??= make());
}
