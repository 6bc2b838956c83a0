// Lengths of time by the calendar, as retention rules say them: `14d`, `36h`, `3mo`, `1y6mo`.

/** Years, months and days follow the calendar; the rest is exact. */
export interface Period {
  years: number;
  months: number;
  days: number;
  milliseconds: number;
}

/** What a period looks like. `m` is minutes, as in every other duration of ours; a month is `mo`. */
export const PERIOD_PATTERN = String.raw`(?:\d{1,6}(?:y|mo|w|d|h|m|s))+`;

const PART = /(\d{1,6})(y|mo|w|d|h|m|s)/g;
const EXACT: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1000 };

/** Reads a period longer than nothing. @throws Error with the expected shape */
export function parsePeriod(text: string): Period {
  const period: Period = { years: 0, months: 0, days: 0, milliseconds: 0 };
  if (!new RegExp(`^${PERIOD_PATTERN}$`).test(text)) throw new Error('expected a length of time, such as 14d, 8w, 3mo or 1y');
  for (const [, amount, unit = ''] of text.matchAll(PART)) {
    const count = Number(amount);
    if (unit === 'y') period.years += count;
    else if (unit === 'mo') period.months += count;
    else if (unit === 'w') period.days += 7 * count;
    else if (unit === 'd') period.days += count;
    else period.milliseconds += count * (EXACT[unit] as number);
  }
  if (isEmptyPeriod(period)) throw new Error('expected a length of time longer than zero');
  return period;
}

/** True when it has no length. */
export function isEmptyPeriod({ years, months, days, milliseconds }: Period): boolean {
  return years === 0 && months === 0 && days === 0 && milliseconds === 0;
}

/** `1y6mo`, `14d`, `36h`. */
export function formatPeriod({ years, months, days, milliseconds }: Period): string {
  const parts = [`${years}y`, `${months}mo`, `${days}d`].filter((part) => !part.startsWith('0'));
  let rest = milliseconds;
  for (const [unit, size] of Object.entries(EXACT)) {
    const count = Math.floor(rest / size);
    if (count > 0) parts.push(`${count}${unit}`);
    rest %= size;
  }
  return parts.join('');
}

/**
 * The moment a period before another one, counted on a calendar `offsetMinutes` east of UTC. A day that does not exist runs over
 * into the next month (a month before 31 March is 3 March), as Go's time.AddDate and therefore restic have it.
 */
export function before(moment: Date, { years, months, days, milliseconds }: Period, offsetMinutes = 0): Date {
  const offset = offsetMinutes * 60_000;
  const local = new Date(moment.getTime() + offset);
  local.setUTCFullYear(local.getUTCFullYear() - years, local.getUTCMonth() - months, local.getUTCDate() - days);
  return new Date(local.getTime() - offset - milliseconds);
}
