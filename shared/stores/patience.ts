// Waits for a store that was there and is away: a connection lost for minutes must not throw away the hours before.
import { errorMessage, isDefect, UserError } from '../step/errors.ts';
import { formatSeconds } from '../step/format.ts';
import { systemClock, type Clock } from '../tools/clock.ts';
import { delayAfter, type Backoff } from '../tools/retry.ts';
import { StoreError } from './errors.ts';

/** As long as restic waits. A server's session, and with it the dump that stands still meanwhile, lives for 30 minutes. */
export const DEFAULT_PATIENCE_MS = 15 * 60_000;
const BACKOFF: Backoff = { firstMs: 5_000, longestMs: 30_000 };

export interface PatienceOptions {
  /** How long a store that has answered before is waited for, milliseconds; 0: not at all. Default 15 minutes. */
  limitMs?: number | undefined;
  /** Told when the waiting begins and how it ends. */
  notice?: ((message: string) => void) | undefined;
  clock?: Clock | undefined;
}

/** Why a store is thought to be away for a while. */
export interface Away {
  /** In a few words: `ECONNREFUSED`, `503`. */
  reason: string;
  /** It asked for so much time. */
  retryAfterMs?: number | undefined;
}

/** The patience of one opened store, shared by all that is asked of it at the same time. */
export class Patience {
  readonly limitMs: number;
  readonly #what: string;
  readonly #notice: (message: string) => void;
  readonly clock: Clock;
  /** A store that has never answered is more likely named wrongly than away. */
  #answered = false;
  /** When the outage began that was told of, by the monotonic clock. */
  #awaySince: number | undefined;

  /** @param what the store's location, for messages */
  constructor(what: string, { limitMs = DEFAULT_PATIENCE_MS, notice, clock }: PatienceOptions = {}) {
    this.#what = what;
    this.limitMs = limitMs;
    this.#notice = notice ?? (() => undefined);
    this.clock = clock ?? systemClock;
  }

  /**
   * Does the work, again and again while the store is away, for as long as the limit. The work makes its own few quick attempts.
   * @param work gets the number of the round, from 1: in a later one, what was asked before may have happened
   * @param awayOf tells whether an error means that the store is away; undefined: it is an answer
   * @throws WaitedInVain when the limit has passed; whatever else the work throws
   */
  async through<T>(
    work: (round: number) => Promise<T>,
    awayOf: (thrown: unknown) => Away | undefined,
    signal: AbortSignal | undefined,
  ): Promise<T> {
    let since: number | undefined;
    let last: unknown;
    for (let round = 1; ; round += 1) {
      try {
        const result = await work(round);
        this.#back();
        return result;
      } catch (thrown) {
        // A time limit of the caller's is no cancel: what was in the way is the reason.
        if (isTimeout(signal)) throw last ?? thrown;
        if (signal?.aborted) {
          this.#giveUp();
          throw thrown;
        }
        last = thrown;
        const away = awayOf(thrown);
        if (!away) {
          // A refusal is an answer; an error of ours (a failed sign-in) is none.
          if (!(thrown instanceof UserError)) this.#back();
          throw thrown;
        }
        since ??= this.clock.monotonic();
        await this.#pause(away, thrown, { round, since, signal });
      }
    }
  }

  async #pause(
    away: Away,
    thrown: unknown,
    { round, since, signal }: { round: number; since: number; signal: AbortSignal | undefined },
  ): Promise<void> {
    if (!this.#answered || this.limitMs === 0) throw thrown;
    const waited = this.clock.monotonic() - since;
    const pause = Math.max(away.retryAfterMs ?? 0, Math.min(delayAfter(round, BACKOFF), this.limitMs / 4));
    // A short limit is asked at its end once more; a Retry-After beyond it is not waited for.
    if (waited + pause > this.limitMs) {
      this.#giveUp();
      throw new WaitedInVain(thrown, waited);
    }
    this.#leave(away);
    try {
      await this.clock.sleep(pause, signal);
    } catch (cancelled) {
      if (isTimeout(signal)) throw thrown;
      this.#giveUp();
      throw cancelled;
    }
  }

  /** The user has stopped waiting: what is tidied up after that must not wait again. */
  #giveUp(): void {
    if (this.#awaySince !== undefined) this.#answered = false;
  }

  #leave({ reason }: Away): void {
    if (this.#awaySince !== undefined) return;
    this.#awaySince = this.clock.monotonic();
    const at = this.clock.now().toISOString().slice(11, 19);
    this.#notice(
      `${this.#what} has not answered since ${at} UTC (${reason}). Waiting up to ${formatSeconds(this.limitMs / 1000)} for it; nothing is lost meanwhile.`,
    );
  }

  #back(): void {
    this.#answered = true;
    if (this.#awaySince === undefined) return;
    const seconds = (this.clock.monotonic() - this.#awaySince) / 1000;
    this.#awaySince = undefined;
    this.#notice(`${this.#what} answers again after ${formatSeconds(seconds)}: going on where it was.`);
  }
}

/** The store was waited for and did not come back; `cause` is the last failure. */
export class WaitedInVain extends Error {
  readonly waitedMs: number;

  constructor(cause: unknown, waitedMs: number) {
    super(errorMessage(cause), { cause });
    this.name = 'WaitedInVain';
    this.waitedMs = waitedMs;
  }
}

/**
 * Makes a store's error of anything thrown; says how long the store was waited for, where it was.
 * @throws what was thrown when it is a defect of the program
 */
export function explained(thrown: unknown, explain: (thrown: unknown) => UserError): UserError {
  if (isDefect(thrown)) throw thrown;
  if (!(thrown instanceof WaitedInVain)) return explain(thrown);
  const error = explain(thrown.cause);
  return new StoreError(`${error.message.replace(/\.$/, '')}. It was waited for ${formatSeconds(thrown.waitedMs / 1000)}.`, {
    fix: error.fix ?? 'Check the network, then run this again.',
    cause: thrown.cause,
  });
}

/** True when the signal was aborted by a time limit, not by the user. */
export function isTimeout(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true && (signal.reason as { name?: unknown } | undefined)?.name === 'TimeoutError';
}
