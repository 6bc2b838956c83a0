// From a step's inputs to the things it works with: the store, the key recipients, the names. Every step opens them here.
import type { Place } from '../backup/place.ts';
import type { DrConfig } from '../config/dr-config.ts';
import { nearestSpelling } from '../schema/spelling.ts';
import { sessionOf } from './session.ts';
import type { StepContext } from '../step/define.ts';
import { UsageError } from '../step/errors.ts';
import { parseStoreAddress, secretInStoreAddress, storeKind, type StoreConfig } from '../stores/open.ts';
import { openRecipients, parseRecipient } from '../vaults/open.ts';
import type { KeyRecipient } from '../vaults/vault.ts';
import type { OpeningInputs, PlaceInputs, storeInputs } from './inputs.ts';

export interface PlaceOptions {
  /** Milliseconds for which the store is waited for when it goes away; as the call says when absent. */
  patience?: number | undefined;
  /** The run makes backups: a folder that is not there yet is made. For all others it is a disk that is not mounted, or a wrong path. */
  makes?: boolean | undefined;
}

/** Opens the store of a call. @throws UsageError */
export async function openPlace(
  context: StepContext<PlaceInputs & Pick<typeof storeInputs, 'store'>>,
  options: PlaceOptions = {},
): Promise<Place> {
  return openPlaceAt(context, context.inputs.store, options);
}

/**
 * Opens a store by its name in dr.yml or by its address, signed in as the call says.
 * @throws UsageError
 */
export async function openPlaceAt(
  context: StepContext<PlaceInputs>,
  address: string,
  { patience, makes }: PlaceOptions = {},
): Promise<Place> {
  const { name, storePatience } = context.inputs;
  const store = await sessionOf(context).store(await storeConfig(context, address), { patience: patience ?? storePatience, makes });
  return { store, prefix: name };
}

/** A store of dr.yml by name, else the address itself; with the SAS where one was given. */
async function storeConfig(context: StepContext<PlaceInputs>, address: string): Promise<StoreConfig> {
  const inAddress = secretInStoreAddress(address);
  if (inAddress !== undefined) context.host.mask(inAddress);
  const dr = await sessionOf(context).dr();
  if (dr && !dr.hasStore(address)) refuseUnknownName(dr, address);
  const config = dr?.hasStore(address) ? await dr.store(address) : parseStoreAddress(address);
  const { store, storeSas } = context.inputs;
  // It is for the store of the call; copies lie in other accounts, which it does not open.
  const isFor = storeSas !== undefined && (store === undefined || address === store);
  return (isFor ? storeKind(config.kind)?.withSas?.(config, storeSas.reveal()) : undefined) ?? config;
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
 * @param options.makes as PlaceOptions has it, for a vault that is a folder
 * @throws UsageError when no one could open a backup
 */
export async function openKeys(context: StepContext<OpeningInputs>, { makes }: Pick<PlaceOptions, 'makes'> = {}): Promise<KeyRecipient[]> {
  const { inputs, host } = context;
  const session = sessionOf(context);
  const { openWith = 'any' } = inputs;
  const wanted = (inputs.recipients ?? (inputs.vault === undefined ? [] : ['vault'])).map(parseRecipient);
  if (inputs.escrowKey !== undefined && !wanted.some(({ kind }) => kind === 'escrow')) wanted.push({ kind: 'escrow' });
  if (wanted.length === 0) {
    throw new UsageError('No one could open the backup: no key recipient is set.', {
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
  const vault = inputs.vault !== undefined && needsVault ? await session.vault(inputs.vault, { makes }) : undefined;
  return openRecipients(chosen, {
    credential: () => session.credential(),
    ...(vault ? { vault } : {}),
    escrow: {
      privateKey: inputs.escrowKey,
      passphrase: inputs.escrowPassphrase,
    },
  });
}

const perBackup: ReadonlySet<string> = new Set(['vault', 'key-vault-secret', 'folder']);
