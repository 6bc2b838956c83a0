// Takes a lock, or waits for it: two runs that exclude each other come one after the other, and only one that waits in vain is refused.
import { setTimeout as sleep } from 'node:timers/promises';
import { formatSeconds } from '../step/format.ts';
import { LockedError } from './errors.ts';
import type { Lock, LockOptions, Store } from './store.ts';

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 5000;

/** How long to wait for a lock, and who is told. */
export interface LockWait {
  /** Milliseconds; refused at once when 0 or absent. */
  lockWait?: number | undefined;
  /** Told once, before the first pause: who holds the lock, and how long is waited for it. */
  onNotice?: ((message: string) => void) | undefined;
}

/**
 * Takes the lock, waiting for the run that holds it.
 * @throws LockedError when it is still held at the end of the wait; StoreError
 */
export async function lockInTurn(store: Store, name: string, options: LockOptions, { lockWait = 0, onNotice }: LockWait): Promise<Lock> {
  const deadline = performance.now() + lockWait;
  for (let pause = FIRST_PAUSE_MS, told = false; ; pause = Math.min(LONGEST_PAUSE_MS, pause * 2)) {
    try {
      return await store.lock(name, options);
    } catch (thrown) {
      const left = deadline - performance.now();
      if (!(thrown instanceof LockedError) || left <= 0) throw thrown;
      if (!told) onNotice?.(`${thrown.message} Waiting for it, at most ${formatSeconds(lockWait / 1000)}.`);
      told = true;
      await sleep(Math.min(pause, left), undefined, { signal: options.signal });
    }
  }
}
