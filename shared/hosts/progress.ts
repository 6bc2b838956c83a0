// Turns progress updates into text: a live line for a terminal, a few plain lines for a log that people scroll through later.
import { formatBytes, formatCount, formatSeconds } from '../step/format.ts';
import type { Progress } from '../step/host.ts';
import { cutToWidth, displayWidth } from './text-layout.ts';

/** The rate is taken over the last seconds, so that it follows a slow store but does not flicker. */
const RATE_WINDOW_MS = 5000;
/** Updates come in bursts; a longer pause than this is a standstill. */
const STANDSTILL_MS = 1500;
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

  /**
   * Units per second over the window; undefined until there is something to measure.
   * @param now lets the rate fall while no update comes, so that stalled work does not look busy
   */
  rate(now?: number): number | undefined {
    const first = this.#samples[0];
    const last = this.#samples[this.#samples.length - 1];
    if (first === undefined || last === undefined) return undefined;
    const until = Math.max(last.at, now === undefined || now - last.at < STANDSTILL_MS ? 0 : now);
    return until - first.at < 200 ? undefined : (last.done - first.done) / ((until - first.at) / 1000);
  }

  /**
   * `Dumping  1.2 GiB of 3.4 GiB (35%)  84 MiB/s  26s left  rocketchat.messages`
   * @param width columns there are: what matters least goes first, the time left last
   * @param now see `rate`
   */
  line(progress: Progress, width = Infinity, now?: number): string {
    const { done, total, unit, phase, detail = '' } = progress;
    const amount = (value: number): string => (unit === 'bytes' ? formatBytes(value) : formatCount(Math.round(value)));
    // An estimate that turned out too low is not shown as 104%.
    const known = total !== undefined && total > 0 && done <= total ? total : undefined;
    const share = known === undefined ? '' : `${Math.floor((done / known) * 100)}%`;
    const counted = `${amount(done)}${known === undefined ? '' : ` of ${amount(known)}`}${unit === 'bytes' ? '' : ` ${unit}`}`;
    const perSecond = this.rate(now);
    const moving = perSecond !== undefined && perSecond > 0 ? perSecond : undefined;
    const rate = moving === undefined ? '' : `${amount(moving)}/s`;
    const left = moving === undefined || known === undefined || done >= known ? '' : `${formatSeconds((known - done) / moving)} left`;
    const full = joined(phase, share === '' ? counted : `${counted} (${share})`, rate, left);
    const room = width - displayWidth(full) - GAP.length;
    if (detail === '' || room >= NARROWEST_DETAIL) return joined(full, detail === '' ? '' : cutToWidth(detail, room));
    const shorter = [
      full,
      joined(phase, share === '' ? counted : `${counted} (${share})`, left),
      joined(phase, share || amount(done), left),
    ];
    return cutToWidth(shorter.find((line) => displayWidth(line) <= width) ?? joined(phase, share || amount(done)), width);
  }
}

const GAP = '  ';
/** A detail that would be cut to less says nothing. */
const NARROWEST_DETAIL = 12;

function joined(...parts: string[]): string {
  return parts.filter((part) => part !== '').join(GAP);
}
