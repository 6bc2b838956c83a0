// Keeps a lock alive while it is held, and tells its holder as soon as it can no longer be sure of it.
import { StoreError } from './errors.ts';
import type { Lock } from './store.ts';

export interface Heartbeat {
  /** The lock's name and store, for messages. */
  what: string;
  /** Milliseconds after which others may take the lock when it was not renewed. */
  expiresAfter: number;
  /** Milliseconds after the expiry for which the holder goes on when the store cannot be asked: no other run may have taken the lock. */
  graceMs?: number | undefined;
  /** `performance.now()` from just before the lock was taken: the expiry counts from there. */
  since: number;
  /** Renews. False: another run has it. Throws when the store could not be asked; it is then asked again until the expiry. */
  renew(signal: AbortSignal): Promise<boolean>;
  release(): Promise<void>;
}

/** A lock that renews itself three times per expiry. Its timers do not keep the process alive. */
export function keepAlive(heartbeat: Heartbeat): Lock {
  const lost = new AbortController();
  const stopping = new AbortController();
  let renewedAt = heartbeat.since;
  let renewing: Promise<void> = Promise.resolve();
  let renewTimer: NodeJS.Timeout | undefined;
  let expiryTimer: NodeJS.Timeout | undefined;
  let released: Promise<void> | undefined;

  const stop = (): void => {
    clearTimeout(renewTimer);
    clearTimeout(expiryTimer);
    stopping.abort();
  };
  const lose = (why: string, cause?: unknown): void => {
    stop();
    lost.abort(
      new StoreError(`The lock ${heartbeat.what} was lost: ${why}.`, {
        fix: 'Whatever ran under it was stopped. Look for a second run on the same component, then start again.',
        cause,
      }),
    );
  };
  const schedule = (delay: number): void => {
    renewTimer = setTimeout(() => {
      renewing = beat();
    }, delay).unref();
  };
  const watchExpiry = (cause?: unknown): void => {
    clearTimeout(expiryTimer);
    const left = renewedAt + heartbeat.expiresAfter + (heartbeat.graceMs ?? 0) - performance.now();
    expiryTimer = setTimeout(() => {
      lose('it could not be renewed in time', cause);
    }, left).unref();
  };
  const beat = async (): Promise<void> => {
    const startedAt = performance.now();
    try {
      const held = await heartbeat.renew(AbortSignal.any([stopping.signal, AbortSignal.timeout(Math.ceil(heartbeat.expiresAfter / 3))]));
      if (stopping.signal.aborted) return;
      if (!held) {
        lose('another run has taken it');
        return;
      }
      renewedAt = startedAt;
      watchExpiry();
      schedule(heartbeat.expiresAfter / 3);
    } catch (thrown) {
      if (stopping.signal.aborted) return;
      watchExpiry(thrown);
      schedule(heartbeat.expiresAfter / 10);
    }
  };
  watchExpiry();
  schedule(heartbeat.expiresAfter / 3);

  return {
    lost: lost.signal,
    release() {
      released ??= (async () => {
        stop();
        await renewing;
        // When the store cannot be reached now, the expiry frees the lock; the work under it is done either way.
        if (!lost.signal.aborted) await heartbeat.release().catch(() => undefined);
      })();
      return released;
    },
  };
}

/** The longest that a lock's record may keep others out, milliseconds. Ours say a minute; a damaged one could say a million years. */
const LONGEST_EXPIRY_MS = 600_000;

/** How long a lock lasts after its last heartbeat, milliseconds. @param recorded what its record says @param wanted what the next holder asks for */
export function believedExpiry(recorded: number | undefined, wanted: number): number {
  return Math.min(recorded ?? wanted, Math.max(wanted, LONGEST_EXPIRY_MS));
}
