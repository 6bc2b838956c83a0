// Whether the keys of backups lie in the same place as the backups.
import { UserError } from '../step/errors.ts';
import type { StepContext } from '../step/define.ts';
import type { Store } from '../stores/store.ts';
import { liesWithin } from '../vaults/beside.ts';
import type { KeyRecipient } from '../vaults/vault.ts';
import type { PlaceInputs } from './inputs.ts';
import { openPlaceAt } from './open.ts';

/** One sentence about a store that lies in the same folder as the vault; undefined when they are apart. */
export async function keysBeside(vaultFolder: string, store: Pick<Store, 'kind' | 'location'>): Promise<string | undefined> {
  if (store.kind !== 'folder' || !(await liesWithin(vaultFolder, store.location))) return undefined;
  return (
    `The keys lie with the backups: the vault ${vaultFolder} and the store ${store.location} are one place. ` +
    'A copy or a thief takes both, and both are lost together. Move the vault to another disk or machine, or use a Key Vault.'
  );
}

/** The same for the store of a run and its copies, for each folder that keeps keys. */
export async function keysBesideDoubts(
  context: StepContext<PlaceInputs>,
  { store, copies = [], recipients }: { store: Store; copies?: readonly string[] | undefined; recipients: readonly KeyRecipient[] },
): Promise<string[]> {
  const vaults = new Set(recipients.filter(({ kind }) => kind === 'folder').map(({ location }) => location));
  if (vaults.size === 0) return [];
  const stores = [store, ...(await Promise.all(copies.map((name) => openedStore(context, name)))).filter((one) => one !== undefined)];
  const found = await Promise.all([...vaults].flatMap((vault) => stores.map((one) => keysBeside(vault, one))));
  return [...new Set(found.filter((doubt) => doubt !== undefined))];
}

/** A store that cannot be opened is told by the work with it. */
async function openedStore(context: StepContext<PlaceInputs>, name: string): Promise<Store | undefined> {
  try {
    return (await openPlaceAt(context, name, { makes: true })).store;
  } catch (thrown) {
    if (thrown instanceof UserError) return undefined;
    throw thrown;
  }
}
