// One trial of the kill parts: a little history of backups, an operation on it that is killed, and what must hold afterwards.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MongoClient } from 'mongodb';
import { lockName, safetyComponent } from '../../shared/backup/layout.ts';
import { copyBackups } from '../../shared/catalog/copy.ts';
import { listBackups } from '../../shared/catalog/list.ts';
import { MemoryHost } from '../../shared/hosts/memory.ts';
import type { AnyStep } from '../../shared/step/define.ts';
import type { Finish } from '../../shared/step/host.ts';
import { kebabCase } from '../../shared/step/input.ts';
import { runStep } from '../../shared/step/run.ts';
import { formatTimestamp, type Timestamp } from '../../shared/step/timestamp.ts';
import { applyRetention } from '../../shared/steps/apply-retention/index.ts';
import { copyBackupsStep } from '../../shared/steps/copy-backups/index.ts';
import { findStep } from '../../shared/steps/index.ts';
import { secretVariable } from '../../shared/hosts/terminal-secrets.ts';
import type { Store } from '../../shared/stores/store.ts';
import { systemClock } from '../../shared/tools/clock.ts';
import { SecretRecipient } from '../../shared/vaults/recipients/secret.ts';
import { backupKeyName } from '../../shared/vaults/secret-name.ts';
import { startMongo } from '../backends/mongodb.ts';
import { cacheDir } from '../backends/support.ts';
import { buildArchive } from '../mongodb/archives.ts';
import type { Ground } from './kill-site.ts';
import { backUp, PREFIX, prove } from './small-backup.ts';

export type Operation = 'backup' | 'copy' | 'restore' | 'prune';

const STEPS: Readonly<Record<Operation, AnyStep>> = {
  backup: findStep('mongodb-backup') as AnyStep,
  copy: copyBackupsStep,
  restore: findStep('mongodb-restore') as AnyStep,
  prune: applyRetention,
};
/** Days before now of the backups that are there when the operation begins. */
const HISTORY: Readonly<Record<Operation, readonly number[]>> = { backup: [5], copy: [6, 5, 4], restore: [5], prune: [6, 5, 4, 3] };
/** How many of them a prune leaves. */
const KEPT = 2;

const KILLED_RUN = fileURLToPath(new URL('killed-run.ts', import.meta.url));
const DAY = 24 * 3600 * 1000;
/** A run that takes longer than this hangs. */
const PATIENCE_MS = 60_000;
/** Children load the same code hundreds of times. */
const COMPILED = join(cacheDir(), 'compiled');
const SECRETS = ['mongodbUri', 'azureClientSecret'];

/** A database that all trials of a part work with. */
export interface Database {
  uri: string;
  client: MongoClient;
  stop(): Promise<void>;
}

/** Starts a MongoDB with a database `chat` to back up. */
export async function startDatabase(): Promise<Database> {
  const mongo = await startMongo();
  const client = new MongoClient(mongo.uri);
  await client.db('chat').collection<Message>('messages').deleteMany({});
  await client.db('chat').collection<Message>('messages').insertMany(messages('message', 300));
  return {
    uri: mongo.uri,
    client,
    stop: async () => {
      await client.close();
      await mongo.stop();
    },
  };
}

interface Message {
  _id: number;
  text: string;
}

function messages(word: string, count: number): Message[] {
  return Array.from({ length: count }, (_, index) => ({ _id: index, text: `${word} ${index} `.repeat(10) }));
}

/** What a restore finds in the way, and what it brings. */
const LIVING = messages('living', 20);
const BACKED_UP = messages('backed up', 30);

export interface Ended {
  /** The exit code; null when a signal ended it. */
  code: number | null;
  killed: boolean;
  /** It was ended by us because it took too long. */
  hung: boolean;
  output: string;
  /** From its first look at a store to its end, milliseconds. */
  atWork: number;
}

/** One run of a step in this process. */
export interface Ran extends Finish {
  log: string[];
  /** Error, fix and warnings. */
  said: string;
}

export class KillWorld {
  readonly operation: Operation;
  readonly ground: Ground;
  readonly #database: Database;
  readonly #name: string;
  /** Timestamps from before, oldest first. */
  #history: Timestamp[] = [];

  constructor(operation: Operation, ground: Ground, database: Database, n: number) {
    this.operation = operation;
    this.ground = ground;
    this.#database = database;
    this.#name = operation === 'restore' ? `chat${n}` : 'chat';
  }

  get #recipients(): SecretRecipient[] {
    return [new SecretRecipient(this.ground.vault)];
  }
  get #place() {
    return { store: this.ground.home, prefix: PREFIX };
  }
  /** Backups that nothing may take away. */
  get #staying(): Timestamp[] {
    return this.operation === 'prune' ? this.#history.slice(-KEPT) : this.#history;
  }

  /** Makes the history; for a restore, something that is in its way; for a copy, the first of three copies. */
  async prepare(): Promise<void> {
    const { component, home, copies } = this.ground;
    const plain = await buildArchive([{ db: this.#name, collection: 'messages', documents: BACKED_UP }]);
    const world = { store: home, recipients: this.#recipients };
    for (const [index, days] of HISTORY[this.operation].entries()) {
      const timestamp = formatTimestamp(new Date(Date.now() - days * DAY));
      await backUp(world, { component, timestamp, plain });
      this.#history.push(timestamp);
      if (this.operation !== 'copy' || index > 0) continue;
      const to = { store: copies, prefix: PREFIX };
      const ends = { signal: new AbortController().signal, now: new Date(), owner: 'fault campaign' };
      await copyBackups({ from: this.#place, to, component, recipients: [], ...ends });
    }
    if (this.operation === 'restore') await this.#collection.insertMany(LIVING);
  }

  get #collection() {
    return this.#database.client.db(this.#name).collection<Message>('messages');
  }

  #inputs(operation: Operation): Record<string, string> {
    const { component, inputs } = this.ground;
    const { copies = '', ...rest } = inputs;
    // A killed run's lock is looked at, not waited for.
    const all = { ...rest, name: PREFIX, component, lockWait: '0s' };
    const mongodb = { mongodbUri: this.#database.uri, engine: 'driver', include: this.#name };
    switch (operation) {
      case 'backup':
        return { ...all, ...mongodb };
      case 'restore':
        return { ...all, ...mongodb, replace: 'true', confirm: PREFIX, allowOlder: 'true' };
      case 'copy':
        return { ...all, copies, days: '0' };
      case 'prune':
        return { ...all, keepLast: String(KEPT), confirm: PREFIX };
    }
  }

  /** Runs the operation by the command line in a process of its own, which kills itself at a moment, or is killed after so long at work. */
  async runApart(moment: string, killAfterMs?: number): Promise<Ended> {
    const inputs = Object.entries(this.#inputs(this.operation));
    const flags = inputs.filter(([name]) => !SECRETS.includes(name));
    const args = flags.flatMap(([name, value]) => [`--${kebabCase(name)}`, ...(value === 'true' ? [] : [value])]);
    const secrets = inputs.filter(([name]) => SECRETS.includes(name)).map(([name, value]) => [secretVariable(name), value] as const);
    const program = ['--disable-warning=ExperimentalWarning', KILLED_RUN, moment, STEPS[this.operation].name];
    const child = spawn(process.execPath, [...program, ...args], {
      cwd: this.ground.folder,
      env: { NODE_COMPILE_CACHE: COMPILED, ...process.env, ...this.ground.env, ...Object.fromEntries(secrets) },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk: Buffer) => (output = (output + chunk.toString()).slice(-50_000)));
    let hung = false;
    const patience = setTimeout(() => (hung = child.kill('SIGKILL')), PATIENCE_MS);
    let began = performance.now();
    let timer: NodeJS.Timeout | undefined;
    child.once('message', () => {
      began = performance.now();
      if (killAfterMs !== undefined) timer = setTimeout(() => child.kill('SIGKILL'), killAfterMs);
    });
    return new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => {
        clearTimeout(patience);
        clearTimeout(timer);
        resolve({ code, killed: signal === 'SIGKILL' && !hung, hung, output, atWork: performance.now() - began });
      });
    });
  }

  /** Runs a step in this process, with the clock so many days ahead. */
  async step(operation: Operation, daysAhead: number): Promise<Ran> {
    const host = new MemoryHost({ inputs: this.#inputs(operation) });
    const clock = { ...systemClock, now: () => new Date(Date.now() + daysAhead * DAY) };
    const finish = await runStep(STEPS[operation], host, { clock });
    const said = [finish.error?.message, finish.error?.fix, ...finish.warnings].filter((text) => text !== undefined).join(' ');
    return { ...finish, log: host.log, said };
  }

  /** How many backups a listing shows in the store that the operation writes to. */
  async listed(): Promise<number> {
    const store = this.operation === 'copy' ? this.ground.copies : this.ground.home;
    return (await listBackups(store, PREFIX)).filter(({ state }) => state === 'verified').length;
  }

  /** What is not as it must be at any moment: half-done backups that are listed, whole ones that are gone, data that nobody has any more. */
  async problems(): Promise<string[]> {
    const { home, copies } = this.ground;
    const found = [
      ...(await this.#untrue(home, new Set(this.operation === 'prune' ? ['leftover', 'pruning'] : ['leftover']))),
      ...(await this.#untrue(copies, new Set(['leftover']))),
      ...(await this.#missing(home, this.#staying)),
      ...(this.operation === 'copy' ? await this.#missing(copies, this.#history.slice(0, 1)) : []),
    ];
    if (this.operation === 'restore') found.push(...(await this.#lostData()));
    return found;
  }

  /** Proves every backup that is listed as one. */
  async #untrue(store: Store, harmless: ReadonlySet<string>): Promise<string[]> {
    const found: string[] = [];
    for (const { component, timestamp, state } of await listBackups(store, PREFIX)) {
      if (harmless.has(state)) continue;
      const what = `${component} ${timestamp} in ${store.location}`;
      if (state !== 'verified') {
        found.push(`${what} is listed as ${state}`);
        continue;
      }
      try {
        await prove({ store, recipients: this.#recipients }, timestamp, PREFIX, component);
      } catch (thrown) {
        found.push(`${what} is listed as verified, but: ${String(thrown)}`);
      }
    }
    return found;
  }

  async #missing(store: Store, wanted: readonly Timestamp[]): Promise<string[]> {
    const listed = await listBackups(store, PREFIX, { component: this.ground.component });
    const whole = new Set(listed.filter(({ state }) => state === 'verified').map(({ timestamp }) => timestamp));
    return wanted.filter((timestamp) => !whole.has(timestamp)).map((timestamp) => `${timestamp} is not in ${store.location} any more`);
  }

  /** What a restore replaces is in the database or in a safety backup. */
  async #lostData(): Promise<string[]> {
    if (await this.#holds(LIVING)) return [];
    const safety = safetyComponent(this.ground.component);
    const world = { store: this.ground.home, recipients: this.#recipients };
    for (const { timestamp, state } of await listBackups(world.store, PREFIX, { component: safety })) {
      if (state !== 'verified') continue;
      const { manifest } = await prove(world, timestamp, PREFIX, safety);
      const { totals } = manifest.content as { totals: { documents: number } };
      if (totals.documents === LIVING.length) return [];
    }
    return ['what was replaced is neither in the database nor in a safety backup'];
  }

  async #holds(documents: readonly Message[]): Promise<boolean> {
    const there = await this.#collection.find().sort({ _id: 1 }).toArray();
    return JSON.stringify(there) === JSON.stringify(documents);
  }

  /** What the next run has not made good. */
  async undone(): Promise<string[]> {
    const { home, copies, vault, component } = this.ground;
    switch (this.operation) {
      case 'backup':
        return [];
      case 'copy':
        return this.#missing(copies, this.#history);
      case 'restore':
        return (await this.#holds(BACKED_UP)) ? [] : ['the database does not hold what the backup holds'];
      case 'prune': {
        const found: string[] = [];
        for (const timestamp of this.#history.slice(0, -KEPT)) {
          const key = backupKeyName(component, timestamp);
          if ((await vault.get(key)) !== undefined) found.push(`the key ${key} is still there`);
          for await (const { name } of home.list(`${PREFIX}/${component}/${timestamp}/`)) found.push(`${name} is still there`);
        }
        return found;
      }
    }
  }

  /** What is left a day later: leftovers, unfinished removals, locks that are held, temporary files, uncommitted blocks. */
  async remains(): Promise<string[]> {
    const { home, copies, component } = this.ground;
    const found = await this.ground.litter();
    for (const store of [home, copies]) {
      for (const { component: whose, timestamp, state } of await listBackups(store, PREFIX))
        if (state !== 'verified') found.push(`${whose} ${timestamp} is still ${state} in ${store.location}`);
      for (const whose of [component, safetyComponent(component)]) {
        try {
          await (await store.lock(lockName(PREFIX, whose), { owner: 'fault campaign', expiresAfter: 60_000 })).release();
        } catch (thrown) {
          found.push(String(thrown));
        }
      }
    }
    return found;
  }

  async remove(): Promise<void> {
    if (this.operation === 'restore') await this.#database.client.db(this.#name).dropDatabase();
    this.ground.remove();
  }
}
