// The drill's phases: runs one after the other, times each against its budget, and keeps what a table, a page and `--json` show.
import { CancelledError, errorMessage, RefusedError, UserError } from '../../shared/step/errors.ts';
import { systemClock, type Clock } from '../../shared/tools/clock.ts';
import type { DrillResult, DrillVerdict, PhasePlan, PhaseResult, PhaseRun, PhaseState, PhaseVerdict } from './phase-facts.ts';
import { openView, type PhaseView } from './phase-view.ts';

export interface PhaseBoardOptions {
  phases: readonly PhasePlan[];
  /** Where the live table or the plain lines go. Default: standard error. */
  stream?: NodeJS.WriteStream;
  clock?: Clock;
}

/**
 * Runs phases and shows them: a table that redraws itself on a terminal, plain lines elsewhere.
 *
 *     const board = new PhaseBoard({ phases: [{ name: 'backup', title: 'Back up', budgetSeconds: 60 }] });
 *     const backup = await board.run('backup', async (phase) => { …; phase.measured({ bytes, documents }); return manifest; });
 *     const result = board.finish('recovered');
 */
export class PhaseBoard {
  readonly #states: PhaseState[];
  readonly #clock: Clock;
  readonly #view: PhaseView;
  readonly #startedAt: Date;
  readonly #start: number;

  constructor(options: PhaseBoardOptions) {
    this.#clock = options.clock ?? systemClock;
    this.#states = options.phases.map((plan) => ({ ...plan, state: 'waiting', startSeconds: 0, seconds: 0 }));
    this.#startedAt = this.#clock.now();
    this.#start = this.#clock.monotonic();
    this.#view = openView(options.stream ?? process.stderr, this.#states, () => {
      this.#tick();
    });
  }

  /** Runs one phase. What the work throws is noted and thrown again. */
  async run<T>(name: string, work: (phase: PhaseRun) => Promise<T>): Promise<T> {
    const state = this.#state(name);
    if (state.state !== 'waiting') throw new Error(`Phase ${name} has already been run.`);
    state.state = 'running';
    state.startSeconds = this.#elapsed();
    this.#view.started(state);
    try {
      const value = await work({
        progress: (update) => {
          state.progress = update;
          this.#tick();
          this.#view.progressed(state);
        },
        measured: (measures) => Object.assign(state, measures),
        note: (text) => (state.note = text),
      });
      this.#end(state, this.#secondsOf(state) > state.budgetSeconds ? 'late' : 'passed');
      return value;
    } catch (thrown) {
      state.note = thrown instanceof UserError ? thrown.message : `Unexpected: ${errorMessage(thrown)}`;
      this.#end(state, verdictOf(thrown));
      throw thrown;
    }
  }

  /** Marks a phase as not needed, with the reason. */
  skip(name: string, reason: string): void {
    const state = this.#state(name);
    state.note = reason;
    this.#end(state, 'skipped');
  }

  /** Prints a line without disturbing the live table. */
  log(line: string): void {
    this.#view.log(line);
  }

  /** Ends the drill: phases that never ran count as skipped, the final table is printed. */
  finish(verdict: DrillVerdict): DrillResult {
    for (const state of this.#states) if (state.state === 'waiting') state.state = 'skipped';
    const result: DrillResult = {
      verdict,
      startedAt: this.#startedAt.toISOString(),
      seconds: rounded(this.#elapsed()),
      budgetSeconds: this.#states.reduce((sum, { budgetSeconds }) => sum + budgetSeconds, 0),
      phases: this.#states.map((state) => resultOf(state)),
    };
    this.#view.finished(result);
    return result;
  }

  #state(name: string): PhaseState {
    const state = this.#states.find((candidate) => candidate.name === name);
    if (!state) throw new Error(`There is no phase ${name}.`);
    return state;
  }

  #elapsed(): number {
    return (this.#clock.monotonic() - this.#start) / 1000;
  }

  #secondsOf(state: PhaseState): number {
    return this.#elapsed() - state.startSeconds;
  }

  #tick(): void {
    for (const state of this.#states) if (state.state === 'running') state.seconds = this.#secondsOf(state);
  }

  #end(state: PhaseState, verdict: PhaseVerdict): void {
    if (state.state === 'running') state.seconds = this.#secondsOf(state);
    state.state = verdict;
    delete state.progress;
    this.#view.ended(state);
  }
}

function verdictOf(thrown: unknown): PhaseVerdict {
  if (thrown instanceof CancelledError) return 'cancelled';
  return thrown instanceof RefusedError ? 'refused' : 'failed';
}

function resultOf(state: PhaseState): PhaseResult {
  const { name, title, budgetSeconds, bytes, documents, note } = state;
  return {
    name,
    title,
    verdict: state.state === 'waiting' || state.state === 'running' ? 'failed' : state.state,
    startSeconds: rounded(state.startSeconds),
    seconds: rounded(state.seconds),
    budgetSeconds,
    ...(bytes === undefined ? {} : { bytes }),
    ...(documents === undefined ? {} : { documents }),
    ...(note === undefined ? {} : { note }),
  };
}

function rounded(seconds: number): number {
  return Math.round(seconds * 1000) / 1000;
}
