// Shows phases while they run: a table that redraws itself on a terminal, a plain line per event elsewhere.
import { styleText } from 'node:util';
import { isPlain } from '../../shared/hosts/terminal-abilities.ts';
import { formatBytes, formatCount, formatSeconds } from '../../shared/step/format.ts';
import type { Progress } from '../../shared/step/host.ts';
import { bar, clip, MARKS, phaseNotes, phaseTable, verdictLine, type Paint } from './phase-table.ts';
import type { DrillResult, PhaseState } from './phase-facts.ts';

export interface PhaseView {
  started(phase: PhaseState): void;
  progressed(phase: PhaseState): void;
  ended(phase: PhaseState): void;
  log(line: string): void;
  finished(result: DrillResult): void;
}

const REDRAW_MS = 125;
/** In a CI log a line of progress is worth reading this often. */
const PLAIN_PROGRESS_SECONDS = 10;

/** The view that fits the stream. `tick` brings the running phase's time up to date before a redraw. */
export function openView(stream: NodeJS.WriteStream, phases: readonly PhaseState[], tick: () => void): PhaseView {
  const live = stream.isTTY && process.env['CI'] === undefined && !isPlain();
  return live ? new LiveView(stream, phases, tick) : new PlainView(stream, phases);
}

/** One short text for how far a phase is: `120 MiB of 200 MiB · rocketchat_message`. */
export function progressText({ done, total, unit, detail }: Progress): string {
  const show = unit === 'bytes' ? formatBytes : formatCount;
  const amount = total === undefined ? show(done) : `${show(done)} of ${show(total)}`;
  return `${amount}${unit === 'bytes' ? '' : ` ${unit}`}${detail === undefined ? '' : ` · ${detail}`}`;
}

// styleText knows NO_COLOR, FORCE_COLOR and whether the stream is a terminal.
function painter(stream: NodeJS.WriteStream): Paint {
  const formats = { good: 'green', bad: 'red', warn: 'yellow', dim: 'dim', strong: 'bold' } as const;
  return (meaning, text) => styleText(formats[meaning], text, { stream });
}

function widthOf(stream: NodeJS.WriteStream): number {
  // The last column stays empty: some terminals wrap when it is written.
  return stream.columns > 0 ? stream.columns - 1 : 100;
}

class PlainView implements PhaseView {
  readonly #stream: NodeJS.WriteStream;
  readonly #phases: readonly PhaseState[];
  #toldAt = 0;

  constructor(stream: NodeJS.WriteStream, phases: readonly PhaseState[]) {
    this.#stream = stream;
    this.#phases = phases;
  }

  started(phase: PhaseState): void {
    this.#toldAt = 0;
    this.log(`${MARKS.running} ${phase.title} (budget ${formatSeconds(phase.budgetSeconds)})`);
  }

  progressed(phase: PhaseState): void {
    if (!phase.progress || phase.seconds - this.#toldAt < PLAIN_PROGRESS_SECONDS) return;
    this.#toldAt = phase.seconds;
    this.log(`  ${formatSeconds(phase.seconds)}: ${progressText(phase.progress)}`);
  }

  ended(phase: PhaseState): void {
    const parts = [phase.state === 'skipped' ? 'skipped' : `${phase.state} in ${formatSeconds(phase.seconds)}`];
    if (phase.bytes !== undefined) parts.push(formatBytes(phase.bytes));
    if (phase.documents !== undefined) parts.push(`${formatCount(phase.documents)} documents`);
    this.log(`${MARKS[phase.state]} ${phase.title}: ${parts.join(', ')}${phase.note === undefined ? '' : `. ${phase.note}`}`);
  }

  log(line: string): void {
    this.#stream.write(`${line}\n`);
  }

  finished(result: DrillResult): void {
    const paint = painter(this.#stream);
    const width = widthOf(this.#stream);
    for (const line of ['', ...phaseTable(this.#phases, width, paint), '', verdictLine(result, paint)]) this.log(line);
  }
}

class LiveView implements PhaseView {
  readonly #stream: NodeJS.WriteStream;
  readonly #phases: readonly PhaseState[];
  readonly #tick: () => void;
  readonly #timer: NodeJS.Timeout;
  readonly #paint: Paint;
  #drawn = 0;

  constructor(stream: NodeJS.WriteStream, phases: readonly PhaseState[], tick: () => void) {
    this.#stream = stream;
    this.#phases = phases;
    this.#tick = tick;
    this.#paint = painter(stream);
    this.#timer = setInterval(() => {
      this.#draw();
    }, REDRAW_MS);
    // A forgotten board must not keep the process alive.
    this.#timer.unref();
  }

  started(): void {
    this.#draw();
  }

  progressed(): void {
    // The timer redraws often enough.
  }

  ended(): void {
    this.#draw();
  }

  log(line: string): void {
    this.#stream.write(`${this.#erase()}${line}\n`);
    this.#draw();
  }

  finished(result: DrillResult): void {
    clearInterval(this.#timer);
    const width = widthOf(this.#stream);
    const notes = phaseNotes(this.#phases, width);
    const lines = [
      ...phaseTable(this.#phases, width, this.#paint),
      '',
      ...notes,
      ...(notes.length > 0 ? [''] : []),
      verdictLine(result, this.#paint),
    ];
    this.#stream.write(`${this.#erase()}${lines.join('\n')}\n`);
  }

  #draw(): void {
    this.#tick();
    const width = widthOf(this.#stream);
    const lines = phaseTable(this.#phases, width, this.#paint);
    const running = this.#phases.find(({ state }) => state === 'running');
    if (running) lines.push('', this.#progressLine(running, width));
    // A table taller than the window would scroll and could not be erased: then only its end is shown.
    const shown = lines.slice(-Math.max((this.#stream.rows || 24) - 1, 1));
    this.#stream.write(`${this.#erase()}${shown.join('\n')}\n`);
    this.#drawn = shown.length;
  }

  #progressLine(phase: PhaseState, width: number): string {
    const { progress } = phase;
    if (!progress) return clip(`  ${phase.title}…`, width);
    const room = Math.min(24, Math.floor(width / 4));
    const meter = progress.total === undefined || progress.total === 0 ? '' : `${bar(progress.done / progress.total, room)} `;
    return clip(`  ${meter}${progressText(progress)}`, width);
  }

  // Goes up over what was drawn and clears from there down.
  #erase(): string {
    const up = this.#drawn === 0 ? '' : `\u001b[${this.#drawn}F\u001b[J`;
    this.#drawn = 0;
    return up;
  }
}
