// Asks the API server until it answers: repeats what may be repeated, waits as it is asked to, renews a login that ran out.
import { cancelled, isDefect } from '../step/errors.ts';
import { systemClock, type Clock } from '../tools/clock.ts';
import { systemCode } from '../tools/http.ts';
import { delayAfter, retryAfterMs, type Backoff } from '../tools/retry.ts';
import { ApiError, isWrongServer, unreachable } from './api-error.ts';
import type { ApiAnswer, ApiRequest, Connection } from './connection.ts';

export interface RequestPatience {
  /** How long an API server that has answered before is waited for, milliseconds. Default 60,000: a restart takes seconds. */
  limitMs?: number | undefined;
  /** Told before each wait. `status` is undefined when there was no answer. */
  onWait?: ((why: { status: number | undefined; waitMs: number }) => void) | undefined;
  clock?: Clock | undefined;
}

/** A request, and whether it does no harm to send it twice. Default: only what reads. */
export interface RepeatableRequest extends ApiRequest {
  repeatable?: boolean | undefined;
}

const BACKOFF: Backoff = { firstMs: 250, longestMs: 5_000, spread: [0.8, 1.2] };
const LIMIT_MS = 60_000;
/** One that has never answered is more likely named wrongly than away. */
const FIRST_LIMIT_MS = 3_000;
/** So often an answer of trouble is believed to pass: about four seconds. What stands behind it may be gone for good. */
const MOST_TROUBLE = 4;
/** With these, nothing was sent. */
const NOT_SENT = /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH)$/;

/** Why to ask again. */
interface Again {
  status?: number;
  /** What it asks for. */
  waitMs?: number | undefined;
  error: unknown;
}

export class Requests {
  readonly #connection: Connection;
  readonly #patience: RequestPatience;
  readonly #clock: Clock;
  #answered = false;

  constructor(connection: Connection, patience: RequestPatience = {}) {
    this.#connection = connection;
    this.#patience = patience;
    this.#clock = patience.clock ?? systemClock;
  }

  /**
   * The answer to a request, of status 2xx.
   * @throws ApiError when the server says no; ClusterUnreachableError when it does not answer; CancelledError
   */
  async send(request: RepeatableRequest): Promise<ApiAnswer> {
    const since = this.#clock.monotonic();
    for (let attempt = 1, renewed = false; ; attempt += 1) {
      const result = await this.#once(request);
      if ('text' in result) return result;
      if (result.status === 401 && !renewed) {
        renewed = true;
        await this.#connection.renewLogin();
        continue;
      }
      const limitMs = this.#answered ? (this.#patience.limitMs ?? LIMIT_MS) : FIRST_LIMIT_MS;
      const waitMs = Math.max(result.waitMs ?? 0, delayAfter(attempt, BACKOFF));
      const tooOften = result.status !== undefined && result.status >= 500 && attempt > MOST_TROUBLE;
      if (result.status === 401 || tooOften || this.#clock.monotonic() - since + waitMs > limitMs) throw result.error;
      this.#patience.onWait?.({ status: result.status, waitMs });
      await this.#clock.sleep(waitMs, request.signal);
    }
  }

  async #once(request: RepeatableRequest): Promise<ApiAnswer | Again> {
    const { method, path, signal, repeatable = method === 'GET' } = request;
    let answer: ApiAnswer;
    try {
      answer = await this.#connection.send(request);
    } catch (thrown) {
      if (signal?.aborted) throw cancelled(signal, thrown);
      if (isDefect(thrown)) throw thrown;
      const code = systemCode(thrown);
      const error = unreachable(thrown, this.#connection.server);
      if (error === thrown || isWrongServer(code) || !(repeatable || NOT_SENT.test(code))) throw error;
      return { error };
    }
    this.#answered = true;
    const { status, headers, text } = answer;
    if (status >= 200 && status < 300) return answer;
    const error = new ApiError(status, text, { method, path });
    const waitMs = retryAfterMs((name) => [headers[name]].flat()[0]);
    // A request that was turned away, or whose login was not taken, was not begun.
    if (status === 429 || status === 401) return { status, waitMs, error };
    const trouble = status === 502 || status === 503 || status === 504 || (status === 500 && method === 'GET');
    if (trouble && repeatable) return { status, waitMs, error };
    throw error;
  }
}
