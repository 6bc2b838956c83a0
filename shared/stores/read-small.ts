// Reading a small object whole, for stores that have no shorter way than their stream.
import { ObjectMissingError, StoreError } from './errors.ts';
import type { Store } from './store.ts';

const DEFAULT_MAX_BYTES = 64 << 20;

/** See Store.read. @throws StoreError when the object is larger than it may be */
export async function readSmall(
  store: Pick<Store, 'stat' | 'open' | 'location'>,
  name: string,
  options: Parameters<Store['read']>[1] = {},
): Promise<Uint8Array | undefined> {
  const { maxBytes = DEFAULT_MAX_BYTES, signal } = options;
  const info = await store.stat(name, signal);
  if (!info) return undefined;
  if (info.size > maxBytes) throw new StoreError(`${name} in ${store.location} is ${info.size} bytes, more than the ${maxBytes} expected.`);
  const chunks: Uint8Array[] = [];
  try {
    for await (const chunk of store.open(name, { signal, length: maxBytes })) chunks.push(chunk);
  } catch (thrown) {
    if (thrown instanceof ObjectMissingError) return undefined;
    throw thrown;
  }
  return Buffer.concat(chunks);
}
