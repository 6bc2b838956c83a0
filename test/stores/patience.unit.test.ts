// How long a store that is away is waited for, on a clock that tests turn.
import { expect, test } from '@jest/globals';
import { CancelledError, UserError } from '../../shared/step/errors.ts';
import { StoreError } from '../../shared/stores/errors.ts';
import { explained, Patience, WaitedInVain, type Away } from '../../shared/stores/patience.ts';
import type { Clock } from '../../shared/tools/clock.ts';

const MINUTE = 60_000;
const gone = new Error('connect ECONNREFUSED');
const awayOf = (thrown: unknown): Away | undefined => (thrown === gone ? { reason: 'ECONNREFUSED' } : undefined);

function turning(): Clock & { waits: number[] } {
  let now = 0;
  const waits: number[] = [];
  return {
    waits,
    now: () => new Date(Date.UTC(2025, 0, 1, 12) + now),
    monotonic: () => now,
    async sleep(milliseconds) {
      waits.push(milliseconds);
      now += milliseconds;
    },
  };
}

/** A store that has answered once. */
async function known(options: { limitMs?: number } = {}) {
  const clock = turning();
  const notices: string[] = [];
  const patience = new Patience('https://store', { ...options, clock, notice: (message) => notices.push(message) });
  await patience.through(async () => 'hello', awayOf, undefined);
  return { clock, notices, patience };
}

/** Work that fails so many times. */
function failing(times: number): (round: number) => Promise<number> {
  return async (round) => {
    if (round <= times) throw gone;
    return round;
  };
}

test('waits longer and longer, up to half a minute, and says since when and for how long', async () => {
  const { clock, notices, patience } = await known();
  expect(await patience.through(failing(6), awayOf, undefined)).toBe(7);
  expect(clock.waits).toEqual([5000, 10_000, 20_000, 30_000, 30_000, 30_000]);
  expect(notices).toEqual([
    'https://store has not answered since 12:00:00 UTC (ECONNREFUSED). Waiting up to 15m 00s for it; nothing is lost meanwhile.',
    'https://store answers again after 2m 05s: going on where it was.',
  ]);
});

test('gives up after the limit, and the error says how long it waited', async () => {
  const { clock, patience } = await known({ limitMs: 10 * MINUTE });
  const failure: unknown = await patience.through(failing(Infinity), awayOf, undefined).catch((thrown: unknown) => thrown);
  expect(failure).toBeInstanceOf(WaitedInVain);
  expect(clock.monotonic()).toBeGreaterThan(9 * MINUTE);
  expect(clock.monotonic()).toBeLessThanOrEqual(10 * MINUTE);
  // Tidying up after that does not wait once more.
  await expect(patience.through(failing(Infinity), awayOf, undefined)).rejects.toBe(gone);
  const error = explained(failure, () => new StoreError('Writing data in https://store failed: nobody is there.', { fix: 'Look.' }));
  expect(error.message).toMatch(/^Writing data in https:\/\/store failed: nobody is there\. It was waited for 9m \d\ds\.$/);
  expect([error.fix, error.cause]).toEqual(['Look.', gone]);
});

test('one request that never succeeds is given up although others do', async () => {
  const { patience } = await known({ limitMs: MINUTE });
  const stubborn = async (): Promise<never> => {
    await patience.through(async () => 'fine', awayOf, undefined);
    throw gone;
  };
  await expect(patience.through(stubborn, awayOf, undefined)).rejects.toThrow(WaitedInVain);
});

test('a store that never answered, a refusal, and a limit of nothing are not waited for', async () => {
  const clock = turning();
  const fresh = new Patience('https://store', { clock });
  await expect(fresh.through(failing(Infinity), awayOf, undefined)).rejects.toBe(gone);
  const refusal = new UserError('403');
  const { patience } = await known();
  await expect(patience.through(() => Promise.reject(refusal), awayOf, undefined)).rejects.toBe(refusal);
  const impatient = await known({ limitMs: 0 });
  await expect(impatient.patience.through(failing(Infinity), awayOf, undefined)).rejects.toBe(gone);
  expect([...clock.waits, ...impatient.clock.waits]).toEqual([]);
});

test('a Retry-After is kept to, unless it lies behind the limit', async () => {
  const { clock, patience } = await known();
  const asked = (ms: number) => (): Away => ({ reason: 'status 503', retryAfterMs: ms });
  expect(await patience.through(failing(1), asked(4 * MINUTE), undefined)).toBe(2);
  expect(clock.waits).toEqual([4 * MINUTE]);
  await expect(patience.through(failing(1), asked(60 * MINUTE), undefined)).rejects.toThrow(WaitedInVain);
});

test('a cancel ends the wait; a time limit of the caller names what was in the way', async () => {
  const { patience } = await known();
  const slow: Clock = {
    ...turning(),
    sleep: (_milliseconds, signal) =>
      new Promise((_resolve, reject) => {
        signal?.addEventListener('abort', () => {
          reject(new CancelledError());
        });
      }),
  };
  const waiting = new Patience('https://store', { clock: slow });
  await waiting.through(async () => 'hello', awayOf, undefined);
  const cancel = new AbortController();
  setTimeout(() => {
    cancel.abort();
  }, 30);
  await expect(waiting.through(failing(Infinity), awayOf, AbortSignal.timeout(5))).rejects.toBe(gone);
  await expect(waiting.through(failing(Infinity), awayOf, cancel.signal)).rejects.toThrow(CancelledError);
  await expect(waiting.through(failing(Infinity), awayOf, undefined)).rejects.toBe(gone);
  expect(patience.limitMs).toBe(15 * MINUTE);
});
