// Time as a dependency, so that tests can turn the clock.
import { setTimeout as delay } from 'node:timers/promises';
import { CancelledError } from '../step/errors.ts';

export interface Clock {
  /** Wall-clock time; may jump. For timestamps only. */
  now(): Date;
  /** Milliseconds from an arbitrary start; never goes back. For durations and time-outs. */
  monotonic(): number;
  /**
   * Waits.
   * @throws CancelledError when the signal is aborted meanwhile.
   */
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => new Date(),
  monotonic: () => performance.now(),
  async sleep(milliseconds, signal) {
    try {
      await delay(milliseconds, undefined, signal ? { signal } : undefined);
    } catch (cause) {
      throw new CancelledError('Cancelled.', { cause });
    }
  },
};
