// SIGKILL at every change and at random moments of backup, copy, restore and prune, each run by the real command line in a process of its own.
import { setTimeout as delay } from 'node:timers/promises';
import { join } from 'node:path';
import { mkdirSync } from 'node:fs';
import pLimit from 'p-limit';
import { blobSite, folderSite, type Site } from './kill-site.ts';
import { KillWorld, startDatabase, type Database, type Operation } from './kill-world.ts';
import type { Part, Trial } from './part.ts';

interface Moment {
  at: string;
  /** What happens there, where `at` does not say it. */
  what?: string;
  /** How many backups are listed more than before; unknown when absent. */
  listed?: number;
}

/** The order of commit of a backup: where exactly there is one. */
const COMMIT: readonly Moment[] = [
  { at: 'store.lock:after', listed: 0 },
  { at: 'vault.set:before', listed: 0 },
  { at: 'vault.set:after', listed: 0 },
  { at: 'vault.get:after', listed: 0 },
  { at: 'store.put:before@/data', listed: 0 },
  { at: 'store.put:chunk@/data', listed: 0 },
  { at: 'store.put:after@/data', listed: 0 },
  { at: 'store.open:chunk@/data', listed: 0 },
  { at: 'store.open:after@/data', listed: 0 },
  { at: 'store.write:before@/manifest.json', listed: 0 },
  { at: 'store.write:after@/manifest.json', listed: 1 },
  { at: 'lock.release:before', listed: 1 },
  { at: 'store.write:before@-mongodb-backup.json', listed: 1 },
];

/** Runs and judgements at the same time: most of their time they wait for the disk and for each other. */
const AT_ONCE = 4;
/** shared/backup/write.ts, and a little. */
const LOCK_EXPIRY_MS = 61_000;

const WHAT: Readonly<Record<Operation, string>> = {
  backup: 'a backup',
  copy: 'making copies',
  restore: 'a restore that replaces data',
  prune: 'a removal by retention',
};

export const killParts: readonly Part[] = (['backup', 'copy', 'restore', 'prune'] as const).flatMap((operation) =>
  (['folder', 'blob'] as const).map((kind) => ({
    name: `kill-${operation}-${kind}`,
    what: `SIGKILL before every change and at random moments of ${WHAT[operation]}, ${kind === 'folder' ? 'in folders' : 'in Azure Blob and Key Vault'}`,
    run: async (trial: Trial) => killing(trial, operation, kind),
  })),
);

async function killing(trial: Trial, operation: Operation, kind: Site['kind']): Promise<void> {
  const root = join(trial.folder, kind);
  mkdirSync(root);
  const database = await startDatabase();
  try {
    const site = kind === 'folder' ? folderSite(root) : await blobSite(root);
    try {
      await new Killing(trial, operation, site, database).run();
    } finally {
      await site.stop();
    }
  } finally {
    await database.stop();
  }
}

class Killing {
  readonly #trial: Trial;
  readonly #operation: Operation;
  readonly #site: Site;
  readonly #database: Database;
  readonly #busy = pLimit(AT_ONCE);
  /** Kills that did not happen: two runs need not make the same number of changes, as when two writers need one new folder. */
  readonly #missed: string[] = [];
  #worlds = 0;

  constructor(trial: Trial, operation: Operation, site: Site, database: Database) {
    this.#trial = trial;
    this.#operation = operation;
    this.#site = site;
    this.#database = database;
  }

  async run(): Promise<void> {
    const trial = this.#trial;
    const { changes, atWork } = await this.#whole();
    const boundaries = this.#some(changes.map((what, index) => ({ at: `change:${index + 1}`, what })));
    const commit = this.#operation === 'backup' ? this.#some(COMMIT) : [];
    const random = Array.from({ length: trial.rounds }, () => Math.round(atWork * 1.05 * trial.random.next()));
    await Promise.all([
      ...[...commit, ...boundaries].map(async (moment) => this.#case(moment)),
      ...random.map(async (ms) => this.#case({ at: 'change:none' }, ms)),
    ]);
    const missed = this.#missed;
    trial.holds(`${missed.length} kills did not happen: ${missed.join('; ')}`, missed.length <= 2 + boundaries.length / 20);
  }

  /** All of them when everything is tried; else another few each time. */
  #some(moments: readonly Moment[]): Moment[] {
    const { full, rounds, random } = this.#trial;
    if (full) return [...moments];
    const keyed = moments.map((moment) => [random.next(), moment] as const).sort(([one], [other]) => one - other);
    return keyed.slice(0, rounds + 1).map(([, moment]) => moment);
  }

  async #world(): Promise<KillWorld> {
    const n = (this.#worlds += 1);
    const world = new KillWorld(this.#operation, await this.#site.ground(n), this.#database, n);
    await world.prepare();
    return world;
  }

  /** A run that nobody kills: what it changes, in order, and how long it is at work. */
  async #whole(): Promise<{ changes: string[]; atWork: number }> {
    const world = await this.#world();
    const { code, output, atWork } = await world.runApart('change:none');
    const changes = JSON.parse(/changes: (\[.*\])/.exec(output)?.[1] ?? '[]') as string[];
    this.#trial.holds(`${this.#operation} without a kill ends with ${String(code)}: ${output.slice(-500)}`, code === 0);
    this.#trial.holds(`${this.#operation} makes only ${changes.length} changes`, changes.length >= 8);
    return { changes, atWork };
  }

  /** One kill and its aftermath. Only running and judging take turns; waiting for a lock to end does not. */
  async #case({ at, what, listed }: Moment, killAfterMs?: number): Promise<void> {
    const trial = this.#trial;
    const label =
      killAfterMs === undefined ? `killed at ${at}${what === undefined ? '' : ` (${what})`}` : `killed after ${killAfterMs} ms at work`;
    const problems: string[] = [];
    const { world, locked, killedAt } = await this.#busy(async () => {
      trial.goOn();
      const world = await this.#world();
      const before = await world.listed();
      const ended = await world.runApart(at, killAfterMs);
      const killedAt = performance.now();
      if (ended.hung) problems.push('it hung');
      // A random moment may come after its end.
      if (!ended.killed && killAfterMs === undefined) this.#missed.push(`${label}: ${ended.output.slice(-500)}`);
      const more = (await world.listed()) - before;
      if (listed !== undefined && more !== listed) problems.push(`${more} backups more are listed instead of ${listed}`);
      problems.push(...(await world.problems()));
      return { world, killedAt, locked: await this.#soon(world, problems) };
    });
    // In earnest the lock ends by itself; the bounded form has no minute for that.
    if (!trial.full) await world.ground.expireLocks();
    else await delay(Math.max(0, killedAt + LOCK_EXPIRY_MS - performance.now()), undefined, { ref: false });
    await this.#busy(async () => {
      trial.goOn();
      await this.#later(world, locked, problems);
      await world.remove();
    });
    if (problems.length === 0) trial.survive();
    else trial.slip(`${this.#operation} ${label}: ${problems.join('; ')}`);
  }

  /** Within the expiry the lock may still be held; then the refusal says by whom and for how long. @returns whether it was */
  async #soon(world: KillWorld, problems: string[]): Promise<boolean> {
    const { outcome, said } = await world.step(this.#operation, 0.02);
    if (outcome === 'succeeded') return false;
    const locked = /is locked by [^.]*(?:run|somebody)/.test(said);
    if (!locked) problems.push(`a run right after it is ${outcome}: ${said}`);
    else if (!/free (?:with)?in \d+ seconds/.test(said)) problems.push(`a run right after it does not say when the lock ends: ${said}`);
    return locked;
  }

  /** Once the lock has ended the next run succeeds, and says so where it took it over; that of a day later leaves no trace. */
  async #later(world: KillWorld, locked: boolean, problems: string[]): Promise<void> {
    const next = await world.step(this.#operation, 1);
    if (next.outcome !== 'succeeded') problems.push(`the next run is ${next.outcome}: ${next.said}`);
    if (locked && !next.log.some((line) => /Took over the expired lock/.test(line))) problems.push('the lock was taken over in silence');
    problems.push(...(await world.undone()));
    for (const [operation, days] of [
      [this.#operation, 2.5],
      ['backup', 4],
    ] as const) {
      const { outcome, said } = await world.step(operation, days);
      if (outcome !== 'succeeded') problems.push(`the ${operation} of ${days} days later is ${outcome}: ${said}`);
    }
    problems.push(...(await world.problems()), ...(await world.remains()));
  }
}
