// `./scripts/faults --soak`: rounds of many runs at once on one store, killed at random, with wrong clocks and stores that are away; after
// each round the invariants are looked at.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { SeededRandom } from '../../dataset/seeded-random.ts';
import { startSite, type SiteKind, type StoreSite } from '../store-site.ts';
import { decideRound, roundText, type Action, type Round } from './actors.ts';
import { SoakWorld, type Ended } from './world.ts';

export interface SoakOptions {
  seed: string;
  kinds: readonly SiteKind[];
  /** For all kinds together; what must hold a day later is looked at besides, about a minute. */
  minutes: number;
  /** A scratch folder, removed by the caller. */
  folder: string;
  signal?: AbortSignal | undefined;
  /** Ends the locks of killed runs before the look at a day later, instead of waiting the minute until they have ended by themselves. */
  hurry?: boolean | undefined;
  /** Told before and after each round. */
  onRound?: ((kind: SiteKind, row: SoakRow, round: Round) => void) | undefined;
}

/** What was done to one kind of store, and what did not hold. */
export interface SoakRow {
  kind: SiteKind;
  rounds: number;
  /** Runs that were started, were killed, were refused (a lock, nothing to do), ended with a failure that the disturbance explains. */
  runs: number;
  killed: number;
  refused: number;
  failed: number;
  broken: string[];
  skipped?: string;
  stopped?: true;
  seconds: number;
}

/** Runs the soak: each kind of store in turn, then what must hold a day later in all of them. */
export async function runSoak(options: SoakOptions): Promise<SoakRow[]> {
  const soaks = options.kinds.map((kind) => new Soak(kind, options));
  const share = (options.minutes * 60_000) / soaks.length;
  try {
    for (const soak of soaks) await soak.run(share);
    await Promise.all(soaks.map((soak) => soak.settle()));
  } finally {
    await Promise.all(soaks.map((soak) => soak.stop()));
  }
  return soaks.map(({ row }) => row);
}

/** Says what broke in a step itself, whatever else was going on. */
const DEFECT = /defect in Lifeboat|Unexpected error|\n\s+at \S+ \(|TypeError/;

class Soak {
  readonly row: SoakRow;
  readonly #options: SoakOptions;
  #site: StoreSite | undefined;
  #world: SoakWorld | undefined;

  constructor(kind: SiteKind, options: SoakOptions) {
    this.row = { kind, rounds: 0, runs: 0, killed: 0, refused: 0, failed: 0, broken: [], seconds: 0 };
    this.#options = options;
  }

  #isStopped(): boolean {
    return this.#options.signal?.aborted === true;
  }

  async run(milliseconds: number): Promise<void> {
    if (this.#isStopped()) {
      this.row.stopped = true;
      return;
    }
    const { seed, folder, signal } = this.#options;
    const { kind } = this.row;
    const started = performance.now();
    const root = join(folder, kind);
    mkdirSync(root, { recursive: true });
    const site = await startSite(kind, root);
    if (typeof site === 'string') {
      this.row.skipped = site;
      return;
    }
    this.#site = site;
    const abort = (): void => this.#world?.killAll();
    signal?.addEventListener('abort', abort);
    try {
      const world = (this.#world = await SoakWorld.open(site, root, new SeededRandom(`${seed}/${kind}`)));
      const end = performance.now() + milliseconds;
      for (let number = 1; performance.now() < end && !this.#isStopped(); number += 1) {
        const random = new SeededRandom(`${seed}/${kind}/${number}`);
        await this.#round(world, decideRound(number, random), random);
      }
    } catch (thrown) {
      if (!this.#isStopped())
        this.row.broken.push(`it ended early: ${thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)}`);
    } finally {
      signal?.removeEventListener('abort', abort);
      if (this.#isStopped()) this.row.stopped = true;
      this.row.seconds += (performance.now() - started) / 1000;
    }
  }

  async #round(world: SoakWorld, round: Round, random: SeededRandom): Promise<void> {
    const { row } = this;
    this.#options.onRound?.(row.kind, row, round);
    await world.write(random, 5);
    const seen = await world.look();
    const away = round.away;
    const disturbance =
      away &&
      delay(away.after).then(() => {
        world.away(away.milliseconds);
      });
    const ended = await Promise.all(round.actors.map((actor) => world.act(actor, seen, random)));
    if (away) {
      await disturbance;
      await delay(away.milliseconds);
    }
    if (this.#isStopped()) return;
    const problems = ended.flatMap((run) => this.#judge(run, round));
    if (round.locksEnd) await world.expireLocks();
    problems.push(
      ...(await world.broken(
        seen,
        round.actors.map(({ action }): Action => action),
      )),
    );
    await world.dropRestored();
    row.rounds += 1;
    if (this.#isStopped()) return;
    for (const problem of problems) row.broken.push(`${roundText(round)}\n    ${problem}`);
  }

  /** A run may be killed, refused, or fail because its store was away; it never finds damage, never hangs, never shows a defect. */
  #judge({ action, code, killed, hung, said }: Ended, { away }: Round): string[] {
    const { row } = this;
    row.runs += 1;
    const told = said.trim().slice(-800);
    if (killed) {
      row.killed += 1;
      return [];
    }
    if (hung) return [`${action} hung: ${told}`];
    if (DEFECT.test(said)) return [`${action} shows a defect: ${told}`];
    if (code === 0 || code === 3) return [];
    if (code === 5) {
      row.refused += 1;
      return [];
    }
    if (code === 1 && (away !== undefined || explained(action, said))) {
      row.failed += 1;
      return [];
    }
    return [`${action} ends with ${String(code)}: ${told}`];
  }

  /** What must hold once the locks have ended, and a day later. */
  async settle(): Promise<void> {
    const { row } = this;
    if (!this.#world || this.#isStopped() || row.broken.length > 0) return;
    const started = performance.now();
    try {
      const problems = await this.#world.afterADay(this.#options.hurry === true);
      if (!this.#isStopped()) row.broken.push(...problems);
    } catch (thrown) {
      if (!this.#isStopped())
        row.broken.push(`a day later: ${thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)}`);
    }
    if (this.#isStopped()) row.stopped = true;
    row.seconds += (performance.now() - started) / 1000;
  }

  async stop(): Promise<void> {
    await this.#world?.stop();
    await this.#site?.stop();
  }
}

/** Failures that others cause, told as such: retention was faster than a reader, a hold was released twice. */
function explained(action: Action, said: string): boolean {
  if (action === 'release') return /no hold|not held|There is no/i.test(said);
  return /is being removed|no longer there|was removed|has been removed|There is no (?:verified )?backup/i.test(said);
}
