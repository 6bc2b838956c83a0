// Repeats a request that failed for a passing reason. The SDK's own policy ignores Retry-After and 429 and gives a hung connection no limit.
import { cancelled, throwIfCancelled } from '../../step/errors.ts';
import { SignInUnreachableError } from '../../azure/sign-in-errors.ts';
import { systemClock } from '../../tools/clock.ts';
import { delayAfter, retryAfterMs, type Backoff } from '../../tools/retry.ts';
import { azureFailure } from './errors.ts';
import { isTimeout, type Away } from '../patience.ts';

const MAX_ATTEMPTS = 6;
/** Between half and all of the doubling delay. */
const BACKOFF: Backoff = { firstMs: 400, longestMs: 30_000, spread: [0.5, 1] };
/** The longest Retry-After that is waited for; a longer one is an outage and is reported. */
const MAX_RETRY_AFTER_MS = 120_000;

const RETRYABLE_STATUS = new Set([408, 429, 500, 502, 503, 504]);
/** Answers that say "damaged on the way": the checksum of the block did not match. */
const DAMAGED = new Set(['Md5Mismatch', 'Crc64Mismatch']);
/** No answer, but asking again cannot help, or hardly: a wrong name, a certificate. */
const FINAL_NETWORK_CODES = /^(ERR_TLS|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|ERR_INVALID|ERR_SSL|EPROTO)/;

/** Thrown by a request's own checks: the answer was incomplete. */
export class IncompleteAnswerError extends Error {
  readonly code = 'INCOMPLETE_ANSWER';
}

const TOO_LATE = new IncompleteAnswerError('no answer in time');

export interface RetryOptions {
  signal?: AbortSignal | undefined;
  /** Limit of one attempt. A connection that hangs is given up after it and the request sent again. */
  timeoutMs: number;
  /** For tests. */
  sleep?: (milliseconds: number, signal: AbortSignal | undefined) => Promise<unknown>;
  random?: () => number;
}

/**
 * Sends a request up to six times: when the service is busy (waits as long as Retry-After says), when the connection breaks or hangs,
 * when a checksum did not match. Anything else is thrown at once.
 * @param request gets the number of the attempt, from 1: a write that is sent again may have succeeded before
 * @throws CancelledError when the signal is aborted; else what the last attempt threw
 */
export async function retrying<T>(request: (signal: AbortSignal, attempt: number) => Promise<T>, options: RetryOptions): Promise<T> {
  let failure: Error | undefined;
  for (let attempt = 1; ; attempt += 1) {
    // A time limit of the caller's is no cancel: what was in the way is the reason.
    if (failure !== undefined && isTimeout(options.signal)) throw failure;
    throwIfCancelled(options.signal);
    const timeout = new AbortController();
    const timer = setTimeout(() => {
      timeout.abort(new IncompleteAnswerError(`no answer within ${Math.round(options.timeoutMs / 1000)} seconds`));
    }, options.timeoutMs).unref();
    try {
      return await request(options.signal ? AbortSignal.any([options.signal, timeout.signal]) : timeout.signal, attempt);
    } catch (thrown) {
      if (options.signal?.aborted) throw isTimeout(options.signal) ? (failure ?? TOO_LATE) : cancelled(options.signal);
      const reason = timeout.signal.aborted ? (timeout.signal.reason as Error) : namedRightly(thrown);
      failure = reason as Error;
      const wait = delayBefore(reason, attempt, options.random ?? Math.random);
      if (wait === undefined) throw reason;
      try {
        await (options.sleep ?? systemClock.sleep)(wait, options.signal);
      } catch (cause) {
        if (isTimeout(options.signal)) throw reason;
        throw options.signal ? cancelled(options.signal) : cause;
      }
    } finally {
      clearTimeout(timer);
    }
  }
}

/** The SDK says "aborted" as well of an answer whose connection broke in the middle: when we aborted nothing, that is it. */
function namedRightly(thrown: unknown): unknown {
  return thrown instanceof Error && thrown.name === 'AbortError'
    ? new IncompleteAnswerError('the connection broke', { cause: thrown })
    : thrown;
}

/** Milliseconds to wait before the next attempt; undefined when there should be none. */
function delayBefore(thrown: unknown, attempt: number, random: () => number): number | undefined {
  if (attempt >= MAX_ATTEMPTS) return undefined;
  const failure = azureFailure(thrown);
  if (!failure) return undefined;
  const { status, code } = failure;
  if (status === 0) {
    if (FINAL_NETWORK_CODES.test(code) || (code === 'ENOTFOUND' && attempt >= 2)) return undefined;
  } else if (!RETRYABLE_STATUS.has(status) && !DAMAGED.has(code)) {
    return undefined;
  }
  const asked = retryAfterMs((name) => failure.headers?.get(name));
  if (asked !== undefined) return asked > MAX_RETRY_AFTER_MS ? undefined : asked;
  return delayAfter(attempt, BACKOFF, random);
}

/** Whether a failure that stayed after all attempts says that the service, or the way to it, is away for a while. */
export function azureAway(thrown: unknown): Away | undefined {
  if (thrown instanceof SignInUnreachableError) return { reason: 'the sign-in service cannot be reached' };
  const failure = azureFailure(thrown);
  if (!failure) return undefined;
  const { status, code, headers } = failure;
  if (status === 0 ? FINAL_NETWORK_CODES.test(code) : !RETRYABLE_STATUS.has(status)) return undefined;
  return { reason: status === 0 ? code || 'no answer' : `status ${status}`, retryAfterMs: retryAfterMs((name) => headers?.get(name)) };
}
