// Numbers as people read them: the one place, so that terminal, summaries and reports agree.

const SIZE_NAMES = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** `1536` → `1.5 KiB`. Binary units, at most three significant digits. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let step = 0;
  while (value >= 1023.5 && step < SIZE_NAMES.length - 1) {
    value /= 1024;
    step += 1;
  }
  const digits = step === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${Number(value.toFixed(digits))} ${SIZE_NAMES[step] as string}`;
}

/** `83.4` seconds → `1m 23s`; below ten seconds with one decimal. */
export function formatSeconds(seconds: number): string {
  if (seconds < 9.95) return `${seconds.toFixed(1)}s`;
  const whole = Math.round(seconds);
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor((whole % 3600) / 60);
  const rest = whole % 60;
  if (hours > 0) return `${hours}h ${String(minutes).padStart(2, '0')}m`;
  if (minutes > 0) return `${minutes}m ${String(rest).padStart(2, '0')}s`;
  return `${rest}s`;
}

/** `1234567` → `1,234,567`. */
export function formatCount(count: number): string {
  return count.toLocaleString('en-US');
}

/** Bytes over seconds → `12.3 MiB/s`; `-` when no time passed. */
export function formatRate(bytes: number, seconds: number): string {
  return seconds > 0 ? `${formatBytes(bytes / seconds)}/s` : '-';
}

/** `3` and `backup` → `3 backups`. */
export function plural(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? '' : 's'}`;
}

/** `20241201_120000`-like age text for a moment in the past: `5 minutes ago`, `3 days ago`. */
export function formatAge(then: Date, now: Date): string {
  const seconds = (now.getTime() - then.getTime()) / 1000;
  if (seconds < 0) return 'in the future';
  if (seconds < 90) return 'just now';
  if (seconds < 5400) return `${plural(Math.round(seconds / 60), 'minute')} ago`;
  if (seconds < 129_600) return `${plural(Math.round(seconds / 3600), 'hour')} ago`;
  return `${plural(Math.round(seconds / 86_400), 'day')} ago`;
}

/** `a, b and 3 more`. */
export function listed(names: readonly string[], most = 5): string {
  const shown = names.slice(0, most).join(', ');
  return names.length > most ? `${shown} and ${formatCount(names.length - most)} more` : shown;
}

/** `12 documents`, `1 document`: a number of what a kind counts in the plural. */
export function items(count: number, unit: string): string {
  return plural(count, unit.replace(/s$/, ''));
}
