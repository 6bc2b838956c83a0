// One store of the soak with its copies, vault and database; what must hold in it at any moment, and what must hold a day later.
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { MongoClient } from 'mongodb';
import type { ChildProcess } from 'node:child_process';
import type { MongoServer } from '../../backends/mongo-server.ts';
import { startMongo } from '../../backends/mongodb.ts';
import type { SeededRandom } from '../../dataset/seeded-random.ts';
import { BuiltSteps, type BuiltRun } from '../built-steps.ts';
import type { StorePlace, StoreSite } from '../store-site.ts';
import type { Action, Actor } from './actors.ts';

/** What retention keeps in each store. */
export const KEPT = 3;
const NAME = 'soak';
const COMPONENT = 'chat';
const WRONG_CLOCK = fileURLToPath(new URL('../wrong-clock.ts', import.meta.url));
/** A lock's expiry in shared/backup/write.ts, and the longest lease of Azure, with a little more. */
const LOCK_EXPIRY_MS = 62_000;
const DAY_MS = 86_400_000;
/** A run that takes longer hangs. */
const PATIENCE_MS = 180_000;

/** Where backups lie: the names of dr.yml. */
const STORES = ['main', 'offsite'] as const;
type StoreName = (typeof STORES)[number];

/** One backup as list-backups shows it. */
interface Listed {
  timestamp: string;
  state: string;
  holds: { id: string }[];
}

/** What the listings said before a round. */
export type Seen = Readonly<Record<StoreName, { backups: readonly Listed[]; leftovers: number }>>;

/** How one run ended. */
export interface Ended {
  action: Action;
  code: number | null;
  killed: boolean;
  hung: boolean;
  said: string;
}

export class SoakWorld {
  readonly steps: BuiltSteps;
  readonly #site: StoreSite;
  readonly #places: Readonly<Record<StoreName, StorePlace>>;
  readonly #vault: string;
  readonly #mongo: MongoServer;
  readonly #client: MongoClient;
  readonly #alive = new Set<ChildProcess>();
  #lastKill = -Infinity;
  #documents = 0;
  #restores = 0;

  private constructor(options: {
    steps: BuiltSteps;
    site: StoreSite;
    places: Readonly<Record<StoreName, StorePlace>>;
    vault: string;
    mongo: MongoServer;
    client: MongoClient;
  }) {
    this.steps = options.steps;
    this.#site = options.site;
    this.#places = options.places;
    this.#vault = options.vault;
    this.#mongo = options.mongo;
    this.#client = options.client;
  }

  /** Makes the places, a database, dr.yml, and a first backup with its copy. */
  static async open(site: StoreSite, folder: string, random: SeededRandom): Promise<SoakWorld> {
    mkdirSync(join(folder, 'pipeline'), { recursive: true });
    const places = { main: await site.place('main'), offsite: await site.place('offsite') };
    const vault = join(folder, 'vault');
    const mongo = await startMongo();
    const client = new MongoClient(mongo.uri);
    const document = {
      version: 1,
      name: NAME,
      stores: { main: places.main.config, offsite: places.offsite.config },
      vault: { kind: 'folder', path: vault },
      components: {
        [COMPONENT]: {
          kind: 'mongodb',
          source: { uri: '${env:SOAK_MONGODB}' },
          engine: 'driver',
          include: [COMPONENT],
          store: 'main',
          copies: ['offsite'],
          retention: { last: KEPT },
        },
      },
    };
    // JSON is YAML, too.
    writeFileSync(join(folder, 'pipeline', 'dr.yml'), JSON.stringify(document, null, 2));
    const steps = new BuiltSteps({ cwd: join(folder, 'pipeline'), env: { ...site.env, SOAK_MONGODB: mongo.uri } });
    const world = new SoakWorld({ steps, site, places, vault, mongo, client });
    await world.write(random, 200);
    for (const args of [['mongodb-backup'], ['copy-backups', '--days', '0']]) {
      const { code, said } = await steps.run(...args);
      if (code !== 0) throw new Error(`${args.join(' ')} ended with ${String(code)} before anything was disturbed: ${said}`);
    }
    return world;
  }

  /** The database goes on living. */
  async write(random: SeededRandom, documents: number): Promise<void> {
    const made = Array.from({ length: documents }, () => ({ _id: (this.#documents += 1), body: random.bytes(8192) }));
    await this.#client.db(COMPONENT).collection<{ _id: number; body: Buffer }>('messages').insertMany(made);
  }

  /** Runs one actor to its end, in a process of its own. */
  async act({ action, startsAfter, killedAfter, clockOffset }: Actor, seen: Seen, random: SeededRandom): Promise<Ended> {
    const args = this.#args(action, seen, random);
    await delay(startsAfter);
    return { action, ...(await this.#apart(args, clockOffset, killedAfter)) };
  }

  /** The store has a bad time. */
  away(milliseconds: number): void {
    this.#site.away(milliseconds);
  }

  #args(action: Action, seen: Seen, random: SeededRandom): string[] {
    const held = seen.main.backups.find(({ holds }) => holds.length > 0);
    // Long enough for another run to end, too short for the lock of a killed one.
    const turn = ['--lock-wait', '5s'];
    switch (action) {
      case 'backup':
        return ['mongodb-backup', ...turn];
      case 'copy':
        return ['copy-backups', '--days', '0', ...turn];
      case 'retention':
        return ['apply-retention', '--confirm', NAME, ...turn];
      case 'validation':
        return ['backup-validation', '--days', '3000', '--store', random.pick(STORES)];
      case 'restore':
        return ['mongodb-restore', '--target-database', `aside_${(this.#restores += 1)}`, '--allow-older', '--confirm', NAME, ...turn];
      case 'hold':
        return ['hold-backup', '--reason', 'soak', '--hold-for', '1d'];
      case 'release':
        return ['release-hold', '--timestamp', held?.timestamp ?? seen.main.backups[0]?.timestamp ?? '20240101_000000'];
    }
  }

  async #apart(args: readonly string[], clockOffset = 0, killedAfter?: number): Promise<Omit<Ended, 'action'>> {
    const wrong = clockOffset === 0 ? [] : ['--import', WRONG_CLOCK];
    const child = this.steps.start(args, { LIFEBOAT_CLOCK_OFFSET_MS: String(clockOffset) }, wrong);
    this.#alive.add(child);
    let said = '';
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(-20_000)));
    let hung = false;
    const patience = setTimeout(() => (hung = child.kill('SIGKILL')), PATIENCE_MS);
    const timer = killedAfter === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), killedAfter);
    const { code, signal } = await new Promise<{ code: number | null; signal: string | null }>((resolve) => {
      child.once('close', (code, signal) => {
        resolve({ code, signal });
      });
    });
    clearTimeout(patience);
    clearTimeout(timer);
    this.#alive.delete(child);
    const killed = signal === 'SIGKILL' && !hung;
    if (killed) this.#lastKill = performance.now();
    return { code, killed, hung, said };
  }

  /** What the listings say. @throws Error when one stops */
  async look(): Promise<Seen> {
    const [main, offsite] = [await this.#listed('main'), await this.#listed('offsite')];
    return { main, offsite };
  }

  async #listed(store: StoreName): Promise<Seen[StoreName]> {
    const run = await this.steps.run('list-backups', '--component', COMPONENT, '--store', store);
    if (run.code !== 0) throw new Error(`list-backups of ${store} ended with ${String(run.code)}: ${tail(run)}`);
    return run.json?.result as Seen[StoreName];
  }

  /** What does not hold after a round, as sentences. */
  async broken(before: Seen, acted: readonly Action[]): Promise<string[]> {
    const now = await this.look();
    const problems: string[] = [];
    for (const store of STORES) {
      problems.push(...(await this.#unsound(store)), ...this.#tooFew(store, before[store].backups, now[store].backups));
      const lost = acted.includes('release') ? [] : before[store].backups.filter(({ holds }) => holds.length > 0);
      for (const { timestamp } of lost)
        if (!now[store].backups.some((backup) => backup.timestamp === timestamp && isWhole(backup)))
          problems.push(`${timestamp} was held and is gone from ${store}`);
    }
    problems.push(...(await this.#keyless()), ...(await this.#untold(now)));
    return problems;
  }

  /** Every listed backup validates. */
  async #unsound(store: StoreName): Promise<string[]> {
    const run = await this.steps.run('backup-validation', '--days', '3000', '--store', store);
    return run.code === 0 ? [] : [`validating everything in ${store} ends with ${String(run.code)}: ${tail(run)}`];
  }

  /** Never fewer than retention leaves. Those of a clock that is ahead are kept and do not count. */
  #tooFew(store: StoreName, before: readonly Listed[], now: readonly Listed[]): string[] {
    const promised = Math.min(KEPT, before.filter(isWhole).length);
    const left = now.filter(isWhole).length;
    return left < promised ? [`${left} verified backups are left in ${store} of ${before.length}; ${promised} are promised`] : [];
  }

  /** Keys go last: where data lie, theirs is there. */
  async #keyless(): Promise<string[]> {
    const keys = readdirSync(this.#vault);
    const problems: string[] = [];
    for (const store of STORES) {
      for (const timestamp of timestampsOf(await this.#places[store].raw.names(), 'data')) {
        const key = `lifeboat-${COMPONENT}-${timestamp.replace('_', '-')}`;
        if (!keys.some((name) => name.startsWith(key))) problems.push(`${key} is gone, and the data of ${timestamp} in ${store} are left`);
      }
    }
    return problems;
  }

  /** What lies in a store is told by its listing, as a backup or among the leftovers. */
  async #untold(seen: Seen): Promise<string[]> {
    const problems: string[] = [];
    for (const store of STORES) {
      const { backups, leftovers } = seen[store];
      const there = timestampsOf(await this.#places[store].raw.names(), 'data');
      const told = new Set(backups.map(({ timestamp }) => timestamp));
      const untold = there.filter((timestamp) => !told.has(timestamp));
      if (untold.length > leftovers) problems.push(`data in ${store} that no listing tells of: ${untold.join(', ')}`);
    }
    return problems;
  }

  /** Makes all locks look as if their holders had been gone for longer than their expiry. */
  async expireLocks(): Promise<void> {
    const hourAgo = new Date(Date.now() - 3_600_000);
    for (const { raw } of Object.values(this.#places)) await raw.expireLocks(hourAgo);
  }

  async dropRestored(): Promise<void> {
    const { databases } = await this.#client.db('admin').admin().listDatabases({ nameOnly: true });
    for (const { name } of databases) if (name.startsWith('aside_')) await this.#client.db(name).dropDatabase();
  }

  /** Once the locks of killed runs have ended by themselves, and a day later: nothing refuses, nothing is left over. */
  async afterADay(hurry: boolean): Promise<string[]> {
    if (hurry) await this.expireLocks();
    else await delay(Math.max(0, this.#lastKill + LOCK_EXPIRY_MS - performance.now()));
    const problems: string[] = [];
    const must = async (days: number, ...args: string[]): Promise<void> => {
      const { code, said } = await this.#apart(args, days * DAY_MS);
      const when = days === 0 ? 'after the locks have ended' : `${days} days later`;
      if (code !== 0 && code !== 3) problems.push(`${args.join(' ')} ${when} ends with ${String(code)}: ${said.slice(-800)}`);
    };
    await must(0, 'mongodb-backup');
    await must(0, 'copy-backups', '--days', '0');
    for (const days of [1.2, 2.4]) {
      // To a folder it is as late as its file system says, whatever the clocks of runs say.
      const then = new Date(Date.now() - days * DAY_MS);
      for (const { raw } of Object.values(this.#places)) await raw.ageUnfinished(then);
      await must(days, 'mongodb-backup');
      await must(days, 'copy-backups', '--days', '0');
      await must(days, 'apply-retention', '--confirm', NAME);
    }
    const seen = await this.look();
    for (const store of STORES) {
      const { backups, leftovers } = seen[store];
      if (leftovers > 0) problems.push(`${leftovers} leftovers are still in ${store} days later`);
      for (const { timestamp, state } of backups)
        if (state !== 'verified') problems.push(`${timestamp} is still ${state} in ${store} days later`);
      const names = await this.#places[store].raw.names();
      const whole = new Set(timestampsOf(names, 'manifest.json'));
      for (const timestamp of timestampsOf(names, 'data'))
        if (!whole.has(timestamp)) problems.push(`data of ${timestamp} are still in ${store} days later`);
      const litter = [
        ...names.filter((name) => /\/temporary\/|\/prune\.json$/.test(name)),
        ...(await this.#places[store].raw.unfinished()),
      ];
      if (litter.length > 0) problems.push(`still in ${store} days later: ${litter.join(', ')}`);
      problems.push(...(await this.#unsound(store)));
    }
    problems.push(...(await this.#keyless()));
    return problems;
  }

  /** Ends what is still running. */
  killAll(): void {
    for (const child of this.#alive) child.kill('SIGKILL');
  }

  async stop(): Promise<void> {
    this.killAll();
    await this.steps.close();
    await this.#client.close();
    await this.#mongo.stop();
  }
}

function isWhole({ state }: Listed): boolean {
  return state === 'verified';
}

/** Timestamps of the component's backups of which this file is there. */
function timestampsOf(names: readonly string[], file: string): string[] {
  return names.flatMap((name) => {
    const [, timestamp = '', found] = new RegExp(`^${NAME}/${COMPONENT}/(\\d{8}_\\d{6})/(.+)$`).exec(name) ?? [];
    return found === file ? [timestamp] : [];
  });
}

function tail({ said }: BuiltRun): string {
  const text = said.replace(/^\{.*\}$/gm, '').trim();
  return (text === '' ? said : text).slice(-800);
}
