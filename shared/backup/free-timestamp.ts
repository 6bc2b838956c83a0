// The timestamp of a backup, or of a recovery point, that was not given one: now, or the next second that is still free.
import { formatTimestamp, type Timestamp } from '../step/timestamp.ts';

const SECOND_MS = 1000;

/** @param taken timestamps that there are already */
export function nextFreeTimestamp(now: Date, taken: Iterable<Timestamp>): Timestamp {
  const there = new Set(taken);
  for (let time = now.getTime(); ; time += SECOND_MS) {
    const timestamp = formatTimestamp(new Date(time));
    if (!there.has(timestamp)) return timestamp;
  }
}

/** The same, but later than all that there are: for what is told apart by being the last, also after a clock that went back. */
export function nextLaterTimestamp(now: Date, taken: Iterable<Date>): Timestamp {
  let time = now.getTime();
  for (const other of taken) time = Math.max(time, other.getTime() + SECOND_MS);
  return formatTimestamp(new Date(time));
}
