// Clocks for waiting without waiting.
import { setTimeout as delay } from 'node:timers/promises';
import { CancelledError } from '../../shared/step/errors.ts';
import type { Clock } from '../../shared/tools/clock.ts';

/** Sleeps a small part of what is asked, and its monotonic time goes on by the whole. Remembers the naps. */
export class HurriedClock implements Clock {
  readonly naps: number[] = [];
  readonly #factor: number;
  #ahead = 0;

  constructor(factor = 100) {
    this.#factor = factor;
  }

  now(): Date {
    return new Date();
  }

  monotonic(): number {
    return performance.now() + this.#ahead;
  }

  async sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
    this.naps.push(milliseconds);
    this.#ahead += milliseconds;
    try {
      await delay(milliseconds / this.#factor, undefined, signal ? { signal } : undefined);
    } catch (cause) {
      throw new CancelledError('Cancelled.', { cause });
    }
  }
}
