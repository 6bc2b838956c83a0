// A stream that takes no more than its share of a line: a token bucket in front of it.
import { systemClock, type Clock } from './clock.ts';

/** What may pass at once after a pause, in seconds of the rate. */
const BURST_SECONDS = 0.25;

export interface RateLimit {
  /** At most so many bytes per second, over any time longer than a second. More than 0. */
  bytesPerSecond: number;
  clock?: Clock | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * Passes a stream on, no faster than it may. A piece larger than the bucket passes whole and is paid for before the next one.
 * @throws CancelledError when the signal is aborted during a wait
 */
export async function* limitRate<T extends Uint8Array>(source: AsyncIterable<T>, limit: RateLimit): AsyncGenerator<T, void> {
  const { bytesPerSecond, clock = systemClock, signal } = limit;
  if (!(bytesPerSecond > 0)) throw new RangeError(`a rate of ${bytesPerSecond} bytes per second`);
  const most = bytesPerSecond * BURST_SECONDS;
  let tokens = most;
  let last = clock.monotonic();
  for await (const piece of source) {
    const now = clock.monotonic();
    tokens = Math.min(most, tokens + ((now - last) / 1000) * bytesPerSecond);
    last = now;
    if (tokens < 0) await clock.sleep((-tokens / bytesPerSecond) * 1000, signal);
    tokens -= piece.length;
    yield piece;
  }
}
