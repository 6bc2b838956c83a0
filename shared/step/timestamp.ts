// A backup's identity within its component: `YYYYMMDD_HHMMSS` in UTC, as in `--timestamp 20241201_120000`.

declare const brand: unique symbol;
/** `YYYYMMDD_HHMMSS`, UTC. Sorts by time as plain text. */
export type Timestamp = string & { readonly [brand]: 'Timestamp' };

const SHAPE = /^(\d{4})(\d{2})(\d{2})_(\d{2})(\d{2})(\d{2})$/;

/** The timestamp of a moment, cut to the second. */
export function formatTimestamp(date: Date): Timestamp {
  return date.toISOString().slice(0, 19).replaceAll('-', '').replaceAll(':', '').replace('T', '_') as Timestamp;
}

/** Reads a timestamp; undefined when the text is not one, or names a moment that does not exist (30 February). */
export function parseTimestamp(text: string): Timestamp | undefined {
  const date = dateOf(text);
  return date && formatTimestamp(date) === text ? (text as Timestamp) : undefined;
}

/** The moment a timestamp names. */
export function timestampToDate(timestamp: Timestamp): Date {
  return dateOf(timestamp) as Date;
}

function dateOf(text: string): Date | undefined {
  const match = SHAPE.exec(text);
  if (!match) return undefined;
  const [year, month, day, hour, minute, second] = match.slice(1).map(Number) as [number, number, number, number, number, number];
  const date = new Date(Date.UTC(year, month - 1, day, hour, minute, second));
  return Number.isNaN(date.getTime()) ? undefined : date;
}
