// Which stores share a component's backups: each of two says so of the other before the first byte is copied, so that nobody forgets a key
// that a copy still needs, whatever the call or dr.yml say.
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { copyRecordName, copyRecordsFolder } from './layout.ts';
import type { CopyPlace } from './leftovers.ts';

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

/** Records in both places that the other one has, or is about to have, the same backups. Again is no error. @throws StoreError */
export async function recordCopies(one: CopyPlace, other: CopyPlace, component: string, now: Date, signal?: AbortSignal): Promise<void> {
  await record(one, other, component, now, signal);
  await record(other, one, component, now, signal);
}

async function record(at: CopyPlace, other: CopyPlace, component: string, now: Date, signal: AbortSignal | undefined): Promise<void> {
  const of = { store: other.store.location, prefix: other.prefix };
  if (placeKey(of) === placeKey({ store: at.store.location, prefix: at.prefix })) return;
  const id = createHash('sha256').update(placeKey(of)).digest('hex').slice(0, 16);
  const name = copyRecordName(at.prefix, component, id);
  if (await at.store.stat(name, signal)) return;
  const body = { formatVersion: 1, component, ...of, recorded: now.toISOString() };
  await at.store.write(name, Buffer.from(`${JSON.stringify(body, null, 2)}\n`), { contentType: 'application/json', signal });
}

/** The stores that a place names. @throws StoreError */
export async function copyRecords({ store, prefix }: CopyPlace, component: string, signal?: AbortSignal): Promise<CopyRecord[]> {
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
