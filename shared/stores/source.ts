// Takes a stream of bytes apart for a store: notices a cancel while the source is silent, and cuts the bytes into blocks.
import { cancelled, type CancelledError } from '../step/errors.ts';

/**
 * The same stream; throws as soon as the signal is aborted, even while the source has nothing to give.
 * @throws CancelledError
 */
export async function* cancellable(source: AsyncIterable<Uint8Array>, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array, void> {
  if (!signal) {
    yield* source;
    return;
  }
  const iterator = source[Symbol.asyncIterator]();
  let rejectPending: ((reason: CancelledError) => void) | undefined;
  const onAbort = (): void => rejectPending?.(cancelled(signal));
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    for (;;) {
      if (signal.aborted) throw cancelled(signal);
      // Not Promise.race: racing against one long-lived promise would keep every chunk in memory.
      const next = await new Promise<IteratorResult<Uint8Array>>((resolve, reject) => {
        rejectPending = reject;
        iterator.next().then(resolve, reject);
      });
      if (next.done) return;
      yield next.value;
    }
  } finally {
    signal.removeEventListener('abort', onAbort);
    const closed = iterator.return?.();
    // A generator that is stuck in its `next` closes only after that; a cancel must not wait for it.
    if (signal.aborted) closed?.catch(() => undefined);
    else await closed;
  }
}

/**
 * Cuts a stream into blocks, copying each byte once. Every block but the last is full.
 * @param take gives the buffer of the next block; its length is the block's size. Called only when there is something to put in.
 */
export async function* blocks(source: AsyncIterable<Uint8Array>, take: (index: number) => Buffer): AsyncGenerator<Buffer, void> {
  let index = 0;
  let buffer: Buffer | undefined;
  let filled = 0;
  for await (const chunk of source) {
    for (let at = 0; at < chunk.length;) {
      buffer ??= take(index);
      const count = Math.min(chunk.length - at, buffer.length - filled);
      buffer.set(chunk.subarray(at, at + count), filled);
      at += count;
      filled += count;
      if (filled === buffer.length) {
        yield buffer;
        buffer = undefined;
        filled = 0;
        index += 1;
      }
    }
  }
  if (buffer) yield buffer.subarray(0, filled);
}
