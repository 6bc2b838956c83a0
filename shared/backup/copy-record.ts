// Which stores share a component's backups: each of two says so of the other before the first byte is copied, so that no run forgets a key
// that a copy still needs, whatever the call or dr.yml say.
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { StoreError } from '../stores/errors.ts';
import { copyRecordName, copyRecordsFolder } from './layout.ts';
import type { Place } from './place.ts';

const MAX_RECORD_BYTES = 64 * 1024;
const recordSchema = z.object({ formatVersion: z.literal(1), store: z.string().min(1), prefix: z.string() });

/** Another store with the same backups. */
export interface CopyRecord {
  /** The object's name. */
  name: string;
  /** The other store's address and the folder in it; undefined when the record cannot be read. */
  store: string | undefined;
  prefix: string;
}

/** What tells two places apart. */
export function placeKey({ store, prefix }: { store: string; prefix: string }): string {
  return JSON.stringify([store, prefix]);
}

/**
 * Records in both places that the other one has, or is about to have, the same backups. Again is no error.
 * @param from where the backups are
 * @param to where the copies go, which learns of it first: so it must know every store that knows it
 * @throws StoreError also when `to` lies on a disk and has lost what it knew: the disk is not mounted
 */
export async function recordCopies(from: Place, to: Place, component: string, now: Date, signal?: AbortSignal): Promise<void> {
  if (placeKey(placeOf(from)) === placeKey(placeOf(to))) return;
  const [atFrom, atTo] = [recordName(from, to, component), recordName(to, from, component)];
  const [isKnown, knows] = [await from.store.stat(atFrom, signal), await to.store.stat(atTo, signal)];
  if (isKnown && !knows && to.store.onDisk) {
    throw new StoreError(
      `${to.store.location} should have copies of ${component} from ${from.store.location}, and knows nothing of them.`,
      {
        fix: `Mount its disk, then run this again. If the copies are lost, remove ${atFrom} from ${from.store.location}: they are made anew.`,
      },
    );
  }
  if (!knows) await record(to, atTo, from, component, now, signal);
  if (!isKnown) await record(from, atFrom, to, component, now, signal);
}

function placeOf({ store, prefix }: Place): { store: string; prefix: string } {
  return { store: store.location, prefix };
}

/** The name of the record at a place that tells of another one. */
function recordName(at: Place, other: Place, component: string): string {
  const id = createHash('sha256')
    .update(placeKey(placeOf(other)))
    .digest('hex')
    .slice(0, 16);
  return copyRecordName(at.prefix, component, id);
}

async function record(
  { store }: Place,
  name: string,
  other: Place,
  component: string,
  now: Date,
  signal: AbortSignal | undefined,
): Promise<void> {
  const body = { formatVersion: 1, component, ...placeOf(other), recorded: now.toISOString() };
  await store.write(name, Buffer.from(`${JSON.stringify(body, null, 2)}\n`), { contentType: 'application/json', signal });
}

/** The stores that a place names. @throws StoreError */
export async function copyRecords({ store, prefix }: Place, component: string, signal?: AbortSignal): Promise<CopyRecord[]> {
  const records: CopyRecord[] = [];
  for await (const { name } of store.list(copyRecordsFolder(prefix, component), signal)) {
    const bytes = await store.read(name, { maxBytes: MAX_RECORD_BYTES, signal });
    // Removed since the listing, by a person who knows that the other store is gone.
    if (bytes) records.push({ name, ...contentOf(bytes) });
  }
  return records;
}

function contentOf(bytes: Uint8Array): Pick<CopyRecord, 'store' | 'prefix'> {
  try {
    const { store, prefix } = recordSchema.parse(JSON.parse(Buffer.from(bytes).toString()));
    return { store, prefix };
  } catch {
    return { store: undefined, prefix: '' };
  }
}
