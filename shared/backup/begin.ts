// The first backup of a component in a store: a disk that is not mounted is an empty folder, which looks like a new store. A vault that
// keeps the keys of earlier backups knows better.
import { createHash } from 'node:crypto';
import { errorMessage } from '../step/errors.ts';
import { StoreError } from '../stores/errors.ts';
import type { Store } from '../stores/store.ts';
import type { KeyRecipient } from '../vaults/vault.ts';
import { installationIds, keepsMark, markBytes } from './installation.ts';
import { begunName } from './layout.ts';

export interface Beginning {
  store: Store;
  prefix: string;
  component: string;
  recipients: readonly KeyRecipient[];
  now: Date;
  onNotice?: ((message: string) => void) | undefined;
  signal?: AbortSignal | undefined;
}

/** What a key says of the store that its backup lies in; no address, which readers of the vault need not know. */
export function storeMark({ location }: Pick<Store, 'location'>): string {
  return createHash('sha256').update(location).digest('hex').slice(0, 16);
}

/**
 * Called when a store has no backup of a component. Leaves a mark there before the first key is made, which says whose backups these are, and
 * so that a first backup on a disk that is killed does not look like a store that was lost.
 * @throws StoreError when a vault has keys of backups that were made in this very store
 */
export async function beginHere(beginning: Beginning): Promise<void> {
  const { store, prefix, component, recipients, now, signal } = beginning;
  if (!keepsMark(store)) return;
  const mark = begunName(prefix, component);
  if (await store.stat(mark, signal)) return;
  // A service that is not there says so.
  for (const recipient of store.onDisk ? recipients : []) {
    const known = await knownTo(recipient, beginning);
    if (known.length === 0 || (await areUnderAnotherName(known, beginning))) continue;
    const many = known.length === 1 ? 'a backup' : `${known.length} backups`;
    throw new StoreError(
      `${store.location} has no backup of ${component}, but ${recipient.location} keeps the keys of ${many} that went there, the latest at ${known.at(-1)}.`,
      { fix: `Mount its disk, then run this again. If those backups are lost and this is a new beginning, create the file ${mark} there.` },
    );
  }
  const body = { component, begun: now.toISOString(), installations: installationIds(recipients, prefix) };
  await store.write(mark, markBytes(body), { contentType: 'application/json', signal });
}

/** True when the disk is there, and has one of these backups under another name: two installations may share a store and a vault. */
async function areUnderAnotherName(known: readonly string[], { store, component, signal }: Beginning): Promise<boolean> {
  for await (const { name } of store.list('', signal)) {
    const [file, timestamp = '', whose] = name.split('/').reverse();
    if (file === 'manifest.json' && whose === component && known.includes(timestamp)) return true;
  }
  return false;
}

/** Timestamps, oldest first; none when the recipient cannot say. */
async function knownTo(recipient: KeyRecipient, { store, component, onNotice, signal }: Beginning): Promise<string[]> {
  try {
    return ((await recipient.backupsIn?.(storeMark(store), component, signal)) ?? []).sort();
  } catch (thrown) {
    if (signal?.aborted) throw thrown;
    onNotice?.(`Whether ${store.location} has had backups of ${component} is not known: ${errorMessage(thrown)}`);
    return [];
  }
}
