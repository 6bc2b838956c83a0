// Joins what several producers make into one stream, with a bound on what waits in between.

/** Hands one item over; resolves when the reader has taken enough of what was put before. */
export type Put<T> = (item: T) => Promise<void>;

/**
 * Runs the producers side by side, at most `width` at a time, and yields what they put, in the order of putting. A producer waits while
 * `waiting` items are unread. When one fails, or the reader stops, the others are stopped at their next `put`, and awaited.
 */
export async function* merge<T>(
  producers: readonly ((put: Put<T>) => Promise<void>)[],
  { width, waiting }: { width: number; waiting: number },
): AsyncGenerator<T> {
  const queue: T[] = [];
  let wakeReader: () => void = () => undefined;
  let writers: (() => void)[] = [];
  const state = { failure: undefined as { thrown: unknown } | undefined, stopped: false, running: 0, next: 0 };
  const put: Put<T> = async (item) => {
    while (queue.length >= waiting && !state.stopped) await new Promise<void>((resolve) => writers.push(resolve));
    if (state.stopped) throw new StoppedError();
    queue.push(item);
    wakeReader();
  };
  const worker = async (): Promise<void> => {
    for (let index = state.next++; index < producers.length && !state.stopped; index = state.next++) {
      await (producers[index] as (put: Put<T>) => Promise<void>)(put);
    }
  };
  const wakeWriters = (): void => {
    const sleeping = writers;
    writers = [];
    for (const wake of sleeping) wake();
  };
  state.running = Math.min(width, producers.length);
  const workers = Array.from({ length: state.running }, () =>
    worker()
      .catch((thrown: unknown) => {
        if (!(thrown instanceof StoppedError)) state.failure ??= { thrown };
        state.stopped = true;
        wakeWriters();
      })
      .finally(() => {
        state.running -= 1;
        wakeReader();
      }),
  );
  try {
    for (;;) {
      if (state.failure) throw state.failure.thrown;
      const item = queue.shift();
      if (item !== undefined) {
        wakeWriters();
        yield item;
      } else if (state.running === 0) return;
      else await new Promise<void>((resolve) => (wakeReader = resolve));
    }
  } finally {
    state.stopped = true;
    wakeWriters();
    await Promise.all(workers);
  }
}

class StoppedError extends Error {}
