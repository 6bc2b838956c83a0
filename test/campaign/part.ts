// What a part of the fault campaign is, how it keeps its tally, and how it is run: by ./scripts/faults in full, by jest in a bounded form.
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { UserError, type ErrorKind } from '../../shared/step/errors.ts';
import { tempFolder } from '../backends/support.ts';
import { SeededRandom } from '../dataset/seeded-random.ts';

/** One family of faults. It fails by calling `slipped`; what it throws is a defect of the campaign itself, or worse. */
export interface Part {
  /** For `--only`. */
  name: string;
  /** What is done, one line of the table. */
  what: string;
  run(trial: Trial): Promise<void>;
}

export interface TrialOptions {
  seed: string;
  /** How many random moments or samples; parts that can try everything do so when `full`. */
  rounds: number;
  full: boolean;
  /** Ends the part after the case at hand. */
  signal?: AbortSignal;
  /** Told after every case. */
  onCase?: (cases: number, slips: number) => void;
}

/** Thrown where a part goes on to its next case after it was told to stop. */
class Stopped extends Error {}

/** How long a part that was told to stop may take to put its things away, milliseconds. */
const STOP_MS = 10_000;

/** A part's result: one row of the table. */
export interface Row {
  name: string;
  what: string;
  cases: number;
  /** Refused with an error that says what is wrong. */
  detected: number;
  /** Went well in spite of the fault, and was proved to. */
  survived: number;
  /** Neither: a defect. One line each. */
  slipped: string[];
  /** Why it was not run. */
  skipped?: string;
  /** It was stopped before its end. */
  stopped?: true;
  seconds: number;
}

/** How many defects of one part are kept word by word. */
const MOST_TOLD = 20;

/** What an error must be to count as a detection. */
export interface Expected {
  /** Exit codes hang on it: `verification` is 4. */
  kinds: readonly ErrorKind[];
  /** What the message must name: the object, the offset, the field. */
  names?: RegExp;
}

/** A part at work: its chance, its scratch folder, its tally. */
export class Trial {
  readonly random: SeededRandom;
  readonly rounds: number;
  readonly full: boolean;
  /** Removed when the part is over. */
  readonly folder: string;
  detected = 0;
  survived = 0;
  slips = 0;
  readonly told: string[] = [];
  skipped: string | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #onCase: TrialOptions['onCase'];

  constructor(name: string, options: TrialOptions, folder: string) {
    this.random = new SeededRandom(`${options.seed}/${name}`);
    this.rounds = options.rounds;
    this.full = options.full;
    this.folder = folder;
    this.#signal = options.signal;
    this.#onCase = options.onCase;
  }

  get cases(): number {
    return this.detected + this.survived + this.slips;
  }

  /** Ends the part when it was told to stop: what fails from then on fails because of that. Every count asks by itself. */
  goOn(): void {
    if (this.#signal?.aborted) throw new Stopped();
  }

  survive(): void {
    this.#count('survived');
  }

  slip(what: string): void {
    this.goOn();
    if (this.told.length < MOST_TOLD) this.told.push(what);
    this.#count('slips');
  }

  #count(kind: 'detected' | 'survived' | 'slips'): void {
    this.goOn();
    this[kind] += 1;
    this.#onCase?.(this.cases, this.slips);
  }

  skip(reason: string): void {
    this.skipped = reason;
  }

  /** Holds that `work` is refused as expected. @returns the error, for further looks */
  async refused(label: string, expected: Expected, work: () => Promise<unknown>): Promise<unknown> {
    try {
      await work();
    } catch (thrown) {
      this.judge(label, expected, thrown);
      return thrown;
    }
    this.slip(`${label}: nothing was noticed`);
    return undefined;
  }

  /** Holds that `work` goes well in spite of the fault. */
  async survives<T>(label: string, work: () => Promise<T>): Promise<T | undefined> {
    let result: T;
    try {
      result = await work();
    } catch (thrown) {
      this.slip(`${label}: ${describe(thrown)}`);
      return undefined;
    }
    this.survive();
    return result;
  }

  /** Counts an error as a detection when it is the expected one. */
  judge(label: string, { kinds, names }: Expected, thrown: unknown): void {
    if (!(thrown instanceof UserError)) this.slip(`${label}: a bug instead of a sentence: ${describe(thrown)}`);
    else if (!kinds.includes(thrown.kind)) this.slip(`${label}: is of kind ${thrown.kind}: ${thrown.message}`);
    else if (names && !names.test(thrown.message)) this.slip(`${label}: does not name the place: ${thrown.message}`);
    else this.#count('detected');
  }

  /** Counts a plain truth. */
  holds(label: string, truth: boolean, kind: 'detected' | 'survived' = 'survived'): void {
    if (truth) this.#count(kind);
    else this.slip(label);
  }

  /** All numbers below `count` when everything is tried, else some of them in order, the first and the last always. */
  places(count: number, some: number): number[] {
    if (this.full || count <= some) return Array.from({ length: count }, (_, index) => index);
    const chosen = new Set([0, count - 1]);
    while (chosen.size < some) chosen.add(this.random.below(count));
    return [...chosen].sort((a, b) => a - b);
  }
}

/** Runs one part from its start to its row. */
export async function runPart(part: Part, options: TrialOptions): Promise<Row> {
  const folder = tempFolder(`faults-${part.name}`);
  const trial = new Trial(part.name, options, folder);
  const started = performance.now();
  const running = part.run(trial);
  try {
    await (options.signal ? Promise.race([running, givenUp(options.signal)]) : running);
    if (trial.cases === 0 && trial.skipped === undefined) trial.slip(`${part.name} tried nothing`);
  } catch (thrown) {
    if (!options.signal?.aborted) trial.slip(`${part.name} ended early: ${describe(thrown)}`);
  } finally {
    // Given up, it may still fail.
    running.catch(() => undefined);
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  }
  const { cases, detected, survived, slips, told } = trial;
  return {
    name: part.name,
    what: part.what,
    cases,
    detected,
    survived,
    slipped: slips > told.length ? [...told, `and ${slips - told.length} more`] : told,
    ...(trial.skipped === undefined ? {} : { skipped: trial.skipped }),
    ...(options.signal?.aborted ? { stopped: true as const } : {}),
    seconds: (performance.now() - started) / 1000,
  };
}

/** Comes to its end some time after the signal. */
async function givenUp(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort');
  await delay(STOP_MS, undefined, { ref: false });
}

function describe(thrown: unknown): string {
  if (thrown instanceof UserError) return `${thrown.name}: ${thrown.message}`;
  return thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
}
