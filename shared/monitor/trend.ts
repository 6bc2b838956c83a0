// How the newest backup stands against those before it: change in per cent and a row of bars, from a listing alone.
import type { ListedBackup } from '../catalog/list.ts';

/** Backups that a trend looks at, the newest one included. */
export const TREND_BACKUPS = 10;

const BARS = '▁▂▃▄▅▆▇█';
/** The bars span at least this part of the largest value, so that a wobble of a few per cent does not look like a leap. */
const SMALLEST_SPAN = 0.25;

/** One figure of the newest backup against the same figure of those before it. */
export interface FigureTrend {
  /** Oldest first, the newest backup last. */
  values: readonly number[];
  newest: number;
  last: number;
  /** Mean of all before the newest. */
  average: number;
  /** In per cent; undefined against nothing. */
  againstLast: number | undefined;
  againstAverage: number | undefined;
}

export interface Trend {
  /** Oldest first, the newest one last; at most TREND_BACKUPS. */
  backups: readonly ListedBackup[];
  /** Bytes in the store. */
  stored: FigureTrend;
  /** Milliseconds, the reading back included; undefined where too few backups tell theirs. */
  duration: FigureTrend | undefined;
}

/**
 * The trend that ends with a backup.
 * @param backups of one component, oldest first
 * @returns undefined when there is nothing to compare the backup with
 */
export function trendOf(backups: readonly ListedBackup[], timestamp: string): Trend | undefined {
  const known: readonly ListedBackup[] = backups
    .filter((backup) => backup.timestamp <= timestamp && ['verified', 'committed', 'suspect'].includes(backup.state))
    .slice(-TREND_BACKUPS);
  if (known.at(-1)?.timestamp !== timestamp) return undefined;
  const stored = figureTrend(known.map(({ dataBytes }) => dataBytes));
  const duration = known.at(-1)?.durationMs === undefined ? undefined : figureTrend(known.flatMap(({ durationMs }) => durationMs ?? []));
  return stored && { backups: known, stored, duration };
}

function figureTrend(values: readonly number[]): FigureTrend | undefined {
  const before: readonly number[] = values.slice(0, -1);
  const newest = values.at(-1);
  const last = before.at(-1);
  if (newest === undefined || last === undefined) return undefined;
  const average = before.reduce((sum, value) => sum + value, 0) / before.length;
  return { values, newest, last, average, againstLast: change(last, newest), againstAverage: change(average, newest) };
}

function change(from: number, to: number): number | undefined {
  return from > 0 ? ((to - from) / from) * 100 : undefined;
}

/** One bar per value, what is level in the middle: `▂▂▃▃▅█`, `▅▅▅▅`. */
export function sparkline(values: readonly number[]): string {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const span = Math.max(high - low, high * SMALLEST_SPAN);
  const bottom = (low + high) / 2 - span / 2;
  const bar = (value: number): number => (span <= 0 ? 0 : Math.round(((value - bottom) / span) * (BARS.length - 1)));
  return values.map((value) => BARS[bar(value)] ?? '').join('');
}

/** `+12 %`, `-3 %`, `±0 %`, `8 times as much`; `-` where there is nothing to compare with. */
export function changeText(percent: number | undefined): string {
  if (percent === undefined) return '-';
  if (percent >= 400) return `${(percent / 100 + 1).toFixed(0)} times as much`;
  const whole = Math.round(percent);
  return whole === 0 ? '±0 %' : `${whole > 0 ? '+' : '-'}${Math.abs(whole)} %`;
}
