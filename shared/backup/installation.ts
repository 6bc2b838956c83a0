// Whose backups these are: a mark beside them knows the vaults of the installation that writes there, as fingerprints. Two installations with
// one store and one name would restore and remove each other's backups.
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { RefusedError } from '../step/errors.ts';
import { parseTimestamp, type Timestamp } from '../step/timestamp.ts';
import type { Store } from '../stores/store.ts';
import type { KeyRecipient } from '../vaults/vault.ts';
import { begunName } from './layout.ts';
import { openBackup } from './read.ts';

/** One component in one store, and who asks. */
export interface Claim {
  store: Store;
  prefix: string;
  component: string;
  /** Nothing can be told without any. */
  recipients: readonly KeyRecipient[];
  signal?: AbortSignal | undefined;
}

const markSchema = z.looseObject({ installations: z.array(z.string()).optional() });
/** A vault that was moved has another address; whether it is the same one, the newest backups tell. */
const NEWEST = 5;

/** True for a store that several installations can reach. */
export function keepsMark({ onDisk, isService }: Pick<Store, 'onDisk' | 'isService'>): boolean {
  return onDisk === true || isService === true;
}

/** The installation as a mark names it: a digest per vault, none of which tells an address. Escrow keys are often shared. */
export function installationIds(recipients: readonly KeyRecipient[], prefix: string): string[] {
  const vaults = recipients.filter(({ kind }) => kind !== 'escrow');
  return (vaults.length > 0 ? vaults : recipients).map(({ kind, location }) =>
    createHash('sha256').update(`${kind}\n${location}\n${prefix}`).digest('hex').slice(0, 16),
  );
}

/**
 * Why a component's backups in a store are not those of the installation that has these keys; undefined when they are, or nothing says whose
 * they are. @throws StoreError
 */
export async function otherInstallation(claim: Claim): Promise<RefusedError | undefined> {
  const { store, prefix, component, recipients, signal } = claim;
  if (!keepsMark(store) || recipients.length === 0) return undefined;
  const name = begunName(prefix, component);
  const known = idsIn(await store.read(name, { signal }));
  const own = installationIds(recipients, prefix);
  if (known.length === 0 || known.some((id) => own.includes(id)) || (await opensNewest(claim))) return undefined;
  const vaults = recipients.map(({ location }) => location).join(', ');
  return new RefusedError(
    `The backups of ${component} below ${prefix} in ${store.location} belong to another installation: their keys are not in ${vaults}.`,
    {
      fix: `Give this installation another name, another component or another store. If it is the same one and its vault was replaced, delete ${name} in the store.`,
    },
  );
}

/**
 * Says in the mark that this installation writes here. Where a container lets nothing be changed, the mark stays as it is.
 * @throws RefusedError when another one does; StoreError
 */
export async function joinInstallation(claim: Claim): Promise<void> {
  const { store, prefix, component, recipients, signal } = claim;
  if (!keepsMark(store)) return;
  const other = await otherInstallation(claim);
  if (other) throw other;
  const name = begunName(prefix, component);
  const bytes = await store.read(name, { signal });
  const known = idsIn(bytes);
  const installations = [...new Set([...known, ...installationIds(recipients, prefix)])];
  if (installations.length === known.length) return;
  try {
    await store.write(name, markBytes({ ...parsed(bytes), component, installations }), { contentType: 'application/json', signal });
  } catch (thrown) {
    // Immutable: the newest backups go on telling whose they are.
    if (signal?.aborted || store.onDisk || bytes === undefined) throw thrown;
  }
}

/** A mark's content. */
export function markBytes(body: Record<string, unknown>): Buffer {
  return Buffer.from(`${JSON.stringify({ formatVersion: 1, ...body }, null, 2)}\n`);
}

async function opensNewest({ store, prefix, component, recipients, signal }: Claim): Promise<boolean> {
  const timestamps: Timestamp[] = [];
  const folder = begunName(prefix, component).replace(/[^/]*$/, '');
  for await (const { name } of store.list(folder, signal)) {
    const [time = '', file] = name.slice(folder.length).split('/');
    const timestamp = file === 'manifest.json' ? parseTimestamp(time) : undefined;
    if (timestamp !== undefined) timestamps.push(timestamp);
  }
  for (const timestamp of timestamps.slice(-NEWEST)) {
    try {
      await openBackup({ store, prefix, component, timestamp, recipients, signal });
      return true;
    } catch {
      if (signal?.aborted) throw signal.reason;
    }
  }
  return false;
}

function idsIn(bytes: Uint8Array | undefined): readonly string[] {
  return parsed(bytes).installations ?? [];
}

function parsed(bytes: Uint8Array | undefined): z.infer<typeof markSchema> {
  try {
    return markSchema.parse(JSON.parse(Buffer.from(bytes ?? Buffer.from('{}')).toString()));
  } catch {
    return {};
  }
}
