// Fetches the ranges of one object ahead of its reader, several at a time, and hands them on in order.
import { throwIfCancelled } from '../step/errors.ts';

export interface RangesAhead {
  /** First byte, and the byte after the last. */
  from: number;
  end: number;
  rangeBytes: number;
  /** Ranges under way at the same time. */
  ahead: number;
  signal?: AbortSignal | undefined;
  /** Fetches [from, to) whole; its signal is aborted when the reader stops. */
  fetch: (from: number, to: number, signal: AbortSignal) => Promise<Uint8Array>;
}

/** The bytes in order. @throws whatever `fetch` throws, at the place where those bytes would come */
export async function* readAhead({ from, end, rangeBytes, ahead, signal: given, fetch }: RangesAhead): AsyncGenerator<Uint8Array, void> {
  const stop = new AbortController();
  const signal = given ? AbortSignal.any([given, stop.signal]) : stop.signal;
  const pending: Promise<Uint8Array>[] = [];
  let next = from;
  try {
    for (;;) {
      while (pending.length < ahead && next < end) {
        const range = fetch(next, Math.min(next + rangeBytes, end), signal);
        // Its turn may never come when an earlier one fails.
        range.catch(() => undefined);
        pending.push(range);
        next += rangeBytes;
      }
      const first = pending.shift();
      if (!first) return;
      const bytes = await first;
      // What is here already would pass without asking.
      throwIfCancelled(given);
      yield bytes;
    }
  } finally {
    stop.abort();
  }
}
