// How long to wait before something is asked again: doubling delays, a random spread, and what the service itself asks for.

/** The delays of one kind of work. */
export interface Backoff {
  /** Before the second attempt, milliseconds. Each later one is twice as long. */
  firstMs: number;
  /** No delay grows beyond this, milliseconds; the spread comes on top. Default: none. */
  longestMs?: number | undefined;
  /** A delay is multiplied by a random number between these two, so that many clients do not come back at the same moment. Default: by 1. */
  spread?: readonly [least: number, most: number] | undefined;
}

/**
 * Milliseconds to wait after an attempt that failed.
 * @param attempt its number, from 1
 */
export function delayAfter(
  attempt: number,
  { firstMs, longestMs = Infinity, spread: [least, most] = [1, 1] }: Backoff,
  random: () => number = Math.random,
): number {
  return Math.min(longestMs, firstMs * 2 ** (attempt - 1)) * (least + (most - least) * random());
}

/**
 * Milliseconds that an answer asks to wait: `Retry-After` in seconds or as a date (RFC 9110 10.2.3), or Azure's headers in milliseconds,
 * which are finer. Undefined when it does not ask, or not in a way that can be read. A date in the past means now: 0.
 * @param header reads a header by its name in lower case
 */
export function retryAfterMs(header: (name: string) => string | undefined | null, now: Date = new Date()): number | undefined {
  const milliseconds = wholeNumber(header('retry-after-ms') ?? header('x-ms-retry-after-ms'));
  if (milliseconds !== undefined) return milliseconds;
  const text = header('retry-after');
  const seconds = wholeNumber(text);
  if (seconds !== undefined) return seconds * 1000;
  const date = Date.parse(text ?? '');
  return Number.isNaN(date) ? undefined : Math.max(0, date - now.getTime());
}

function wholeNumber(text: string | undefined | null): number | undefined {
  return text !== undefined && text !== null && /^\s*\d+\s*$/.test(text) ? Number(text) : undefined;
}
