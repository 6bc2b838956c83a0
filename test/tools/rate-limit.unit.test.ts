import { describe, expect, test } from '@jest/globals';
import { CancelledError } from '../../shared/step/errors.ts';
import type { Clock } from '../../shared/tools/clock.ts';
import { limitRate } from '../../shared/tools/rate-limit.ts';

/** Time passes only while somebody sleeps, and by `tick` when told. */
function handClock(): Clock & { tick(milliseconds: number): void } {
  let at = 1000;
  return {
    now: () => new Date(at),
    monotonic: () => at,
    sleep(milliseconds, signal) {
      if (signal?.aborted) return Promise.reject(new CancelledError());
      at += milliseconds;
      return Promise.resolve();
    },
    tick: (milliseconds) => {
      at += milliseconds;
    },
  };
}

async function* pieces(count: number, bytes: number): AsyncGenerator<Uint8Array> {
  for (let n = 0; n < count; n += 1) {
    await Promise.resolve();
    yield new Uint8Array(bytes).fill(n);
  }
}

describe('a limited stream', () => {
  test.each([10, 1000, 64_000, 300_000])('of pieces of %i bytes takes as long as its rate says, and gives every byte', async (bytes) => {
    const clock = handClock();
    const count = Math.ceil(1_000_000 / bytes);
    let received = 0;
    for await (const piece of limitRate(pieces(count, bytes), { bytesPerSecond: 100_000, clock })) received += piece.length;
    expect(received).toBe(count * bytes);
    const seconds = (clock.monotonic() - 1000) / 1000;
    // The first quarter of a second is free, and the last piece is not waited for.
    expect(seconds).toBeGreaterThanOrEqual((received - bytes) / 100_000 - 0.26);
    expect(seconds).toBeLessThanOrEqual(received / 100_000);
  });

  test('a source that is slower is not slowed down', async () => {
    const clock = handClock();
    for await (const piece of limitRate(pieces(50, 1000), { bytesPerSecond: 100_000, clock })) clock.tick(piece.length / 50);
    expect(clock.monotonic() - 1000).toBe(50 * 20);
  });

  test('a long pause saves no more than a quarter of a second', async () => {
    const clock = handClock();
    let n = 0;
    for await (const piece of limitRate(pieces(100, 1000), { bytesPerSecond: 10_000, clock })) {
      expect(piece).toHaveLength(1000);
      if (n === 0) clock.tick(3_600_000);
      n += 1;
    }
    expect(clock.monotonic() - 1000 - 3_600_000).toBeGreaterThanOrEqual(9400);
  });

  test('ends its wait when it is cancelled', async () => {
    const signal = AbortSignal.abort();
    const run = async (): Promise<void> => {
      for await (const piece of limitRate(pieces(3, 100_000), { bytesPerSecond: 1000, signal })) expect(piece[0]).toBe(0);
    };
    await expect(run()).rejects.toThrow(CancelledError);
  });
});
