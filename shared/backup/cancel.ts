// Ending a stream that can be waited for no longer.
import { CancelledError, UserError } from '../step/errors.ts';

/**
 * Passes a stream on until the signal is aborted, even while the source hangs. The source is told to end (`return`) without waiting for it.
 * @throws CancelledError, or the signal's reason when that is an error of ours (a lock that was lost)
 */
export async function* untilAborted<T>(source: AsyncIterable<T>, signal: AbortSignal | undefined): AsyncGenerator<T> {
  const iterator = source[Symbol.asyncIterator]();
  let reject: (reason: unknown) => void = () => undefined;
  const onAbort = (): void => {
    reject(abortError(signal));
  };
  signal?.addEventListener('abort', onAbort, { once: true });
  const state = { ended: false, waiting: false };
  try {
    for (;;) {
      if (signal?.aborted) throw abortError(signal);
      const result = await new Promise<IteratorResult<T>>((resolve, refuse) => {
        reject = refuse;
        state.waiting = true;
        iterator.next().then(resolve, refuse);
      });
      state.waiting = false;
      if (result.done) {
        state.ended = true;
        return;
      }
      yield result.value;
    }
  } finally {
    signal?.removeEventListener('abort', onAbort);
    const returned = state.ended ? undefined : iterator.return?.();
    // A source that hangs in `next` would make us wait for ever; any other gets the time to end its child or close its file.
    if (state.waiting) returned?.catch(() => undefined);
    else await returned;
  }
}

/** What to throw for an aborted signal: its reason when it is an error made for people, else CancelledError. */
export function abortError(signal: AbortSignal | undefined): Error {
  const reason: unknown = signal?.reason;
  return reason instanceof UserError ? reason : new CancelledError('Cancelled.', { cause: reason });
}
