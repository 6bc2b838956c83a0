// Turns progress updates into text: a live line for a terminal, a few plain lines for a log that people scroll through later.
import { formatBytes, formatCount, formatSeconds } from '../step/format.ts';
import type { Progress } from '../step/host.ts';

/** The rate is taken over the last seconds, so that it follows a slow store but does not flicker. */
const RATE_WINDOW_MS = 5000;
/** A plain log gets a line when a phase begins to be long, and then this often. */
const PLAIN_EVERY_MS = 30_000;

/** Follows one phase after another and knows rate and time left. Times are monotonic milliseconds. */
export class ProgressText {
  #phase: string | undefined;
  #samples: { at: number; done: number }[] = [];
  #lastPlain = 0;

  /** Takes an update; returns true when it begins a new phase. */
  update(progress: Progress, now: number): boolean {
    const begins = progress.phase !== this.#phase;
    if (begins) {
      this.#phase = progress.phase;
      this.#samples = [];
      this.#lastPlain = now;
    }
    this.#samples.push({ at: now, done: progress.done });
    // Keep one sample older than the window: the rate spans the whole window.
    while (this.#samples.length > 2 && now - (this.#samples[1] as { at: number }).at > RATE_WINDOW_MS) this.#samples.shift();
    return begins;
  }

  /** True once every 30 seconds within a phase: when a plain log should get a line. */
  plainLineDue(now: number): boolean {
    if (now - this.#lastPlain < PLAIN_EVERY_MS) return false;
    this.#lastPlain = now;
    return true;
  }

  /** Units per second over the window; undefined until there is something to measure. */
  rate(): number | undefined {
    const first = this.#samples[0];
    const last = this.#samples[this.#samples.length - 1];
    if (first === undefined || last === undefined || last.at - first.at < 200) return undefined;
    return (last.done - first.done) / ((last.at - first.at) / 1000);
  }

  /** `Dumping  1.2 GiB of 3.4 GiB (35%)  84 MiB/s  26s left  rocketchat.messages` */
  line(progress: Progress): string {
    const { done, total, unit, phase, detail } = progress;
    const amount = (value: number): string => (unit === 'bytes' ? formatBytes(value) : formatCount(Math.round(value)));
    const parts = [phase];
    // An estimate that turned out too low is not shown as 104%.
    const known = total !== undefined && total > 0 && done <= total ? total : undefined;
    const counted = `${amount(done)}${known === undefined ? '' : ` of ${amount(known)}`}`;
    parts.push(`${counted}${unit === 'bytes' ? '' : ` ${unit}`}${known === undefined ? '' : ` (${Math.floor((done / known) * 100)}%)`}`);
    const rate = this.rate();
    if (rate !== undefined && rate > 0) {
      parts.push(`${amount(rate)}/s`);
      if (known !== undefined && done < known) parts.push(`${formatSeconds((known - done) / rate)} left`);
    }
    if (detail !== undefined && detail !== '') parts.push(detail);
    return parts.join('  ');
  }
}
