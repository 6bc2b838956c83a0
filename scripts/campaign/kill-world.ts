// What the kill parts share: a database, a store and a vault; runs of the real command line; and what must hold after a run was killed.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MongoClient } from 'mongodb';
import { listBackups } from '../../shared/catalog/list.ts';
import { MemoryHost } from '../../shared/hosts/memory.ts';
import type { AnyStep } from '../../shared/step/define.ts';
import type { Finish } from '../../shared/step/host.ts';
import { runStep } from '../../shared/step/run.ts';
import { mongodbBackup } from '../../shared/steps/mongodb-backup.ts';
import { mongodbRestore } from '../../shared/steps/mongodb-restore.ts';
import { FolderStore } from '../../shared/stores/folder.ts';
import { systemClock } from '../../shared/tools/clock.ts';
import { FolderVault } from '../../shared/vaults/folder.ts';
import { SecretRecipient } from '../../shared/vaults/secret-recipient.ts';
import { startMongo } from '../../test/backends/mongodb.ts';
import type { Trial } from './part.ts';
import { prove } from './small-backup.ts';

const KILLED_RUN = fileURLToPath(new URL('killed-run.ts', import.meta.url));
const CLI = fileURLToPath(new URL('../cli.ts', import.meta.url));
const DAY = 24 * 3600 * 1000;
/** A run that takes longer than this hangs. */
const PATIENCE_MS = 60_000;

export interface Ended {
  /** The exit code; null when a signal ended it. */
  code: number | null;
  signal: NodeJS.Signals | null;
  output: string;
  milliseconds: number;
}

/** A store and a vault in folders, with one good backup that must outlive everything, and a database to back up. */
export class KillWorld {
  readonly root: string;
  readonly uri: string;

  constructor(root: string, uri: string) {
    this.root = root;
    this.uri = uri;
  }

  /** A copy that may be ruined, with its file times and rights. */
  copy(name: string): KillWorld {
    const root = join(this.root, '..', name);
    // Node's own cp forgets that the vault's folders are private.
    execFileSync('cp', ['-a', this.root, root]);
    return new KillWorld(root, this.uri);
  }

  get store(): FolderStore {
    return new FolderStore(join(this.root, 'store'));
  }
  get #recipients(): SecretRecipient[] {
    return [new SecretRecipient(new FolderVault(join(this.root, 'vault')))];
  }
  get #inputs(): Record<string, string> {
    return { store: join(this.root, 'store'), vault: join(this.root, 'vault'), name: 'prod', engine: 'driver', include: 'chat' };
  }

  /** Arguments of the command line for a step. */
  arguments(step: 'mongodb-backup' | 'mongodb-restore'): string[] {
    const flags = Object.entries(this.#inputs).flatMap(([key, value]) => [`--${key}`, value]);
    return [step, ...flags, ...(step === 'mongodb-restore' ? ['--replace', '--confirm', 'prod'] : [])];
  }

  /** Runs the step in this process, with the clock so many days ahead. */
  async step(step: 'mongodb-backup' | 'mongodb-restore', daysAhead = 0): Promise<Finish> {
    const more = step === 'mongodb-restore' ? { replace: 'true', confirm: 'prod', allowOlder: 'true' } : {};
    const host = new MemoryHost({ inputs: { ...this.#inputs, mongodbUri: this.uri, ...more } });
    const definition: AnyStep = step === 'mongodb-backup' ? mongodbBackup : mongodbRestore;
    return runStep(definition, host, { clock: { ...systemClock, now: () => new Date(Date.now() + daysAhead * DAY) } });
  }

  /** Makes all locks look as old as if their holders had been gone for an hour. */
  ageLocks(): void {
    const locks = join(this.root, 'store', '.lifeboat', 'locks');
    const hourAgo = new Date(Date.now() - 3_600_000);
    for (const file of filesBelow(locks)) utimesSync(file, hourAgo, hourAgo);
  }

  /** Proves every backup that is listed as one. @returns what is not as it must be */
  async problems({ leftovers }: { leftovers: boolean }): Promise<string[]> {
    const found: string[] = [];
    const world = { store: this.store, recipients: this.#recipients };
    const listed = await listBackups(world.store, 'prod');
    if (!listed.some(({ state }) => state === 'verified')) found.push('the backup from before is not listed any more');
    for (const { component, timestamp, state } of listed) {
      if (state === 'leftover') {
        if (!leftovers) found.push(`${component} ${timestamp} was not cleaned up`);
      } else if (state !== 'verified') {
        found.push(`${component} ${timestamp} is listed as ${state}`);
      } else {
        try {
          await prove(world, timestamp, 'prod', component);
        } catch (thrown) {
          found.push(`${component} ${timestamp} is listed as verified, but: ${String(thrown)}`);
        }
      }
    }
    return found;
  }

  /** Temporary files, and metadata that belong to no object. */
  async litter(): Promise<string[]> {
    const own = join(this.root, 'store', '.lifeboat');
    const temporary = filesBelow(join(own, 'temporary'));
    const metadata = filesBelow(join(own, 'metadata'));
    let objects = 0;
    for await (const info of this.store.list('')) objects += Number(Object.keys(info.metadata).length >= 0);
    return [...temporary, ...(metadata.length > objects ? [`${metadata.length} metadata files for ${objects} objects`] : [])];
  }
}

function filesBelow(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

/** Runs the command line in a process of its own. @param moment where it kills itself; @param killAfterMs when it is killed from outside */
export async function runCommand(
  world: KillWorld,
  step: 'mongodb-backup' | 'mongodb-restore',
  { moment, killAfterMs }: { moment?: string; killAfterMs?: number } = {},
): Promise<Ended> {
  const program = moment === undefined ? [CLI] : [KILLED_RUN, moment];
  const started = performance.now();
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', ...program, ...world.arguments(step)], {
    cwd: world.root,
    env: { ...process.env, LIFEBOAT_MONGODB_URI: world.uri },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (output = (output + chunk.toString()).slice(-5000)));
  const timer = setTimeout(() => child.kill('SIGKILL'), killAfterMs ?? PATIENCE_MS);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, output, milliseconds: performance.now() - started });
    });
  });
}

/**
 * Holds what must be true after a run was killed: nothing half-done is listed, the next run succeeds once the lock has expired, and the run
 * of a day later leaves no trace of it.
 */
export async function judgeAftermath(
  trial: Trial,
  label: string,
  world: KillWorld,
  step: 'mongodb-backup' | 'mongodb-restore',
): Promise<void> {
  const problems = await world.problems({ leftovers: true });
  // Within the expiry the lock may still be held; then the refusal says for how long.
  const soon = await world.step('mongodb-backup', 1);
  if (
    soon.error &&
    !(soon.outcome === 'refused' && /is locked by/.test(soon.error.message) && /free in \d+ seconds/.test(soon.error.fix ?? ''))
  )
    problems.push(`a run right after it says ${soon.error.message}`);
  world.ageLocks();
  if (step === 'mongodb-restore') {
    const again = await world.step('mongodb-restore', 2);
    if (again.outcome !== 'succeeded')
      problems.push(`the next restore is ${again.outcome}: ${again.error?.message ?? again.warnings.join(' ')}`);
  }
  const next = await world.step('mongodb-backup', 3);
  if (next.outcome !== 'succeeded') problems.push(`the next backup is ${next.outcome}: ${next.error?.message ?? next.warnings.join(' ')}`);
  problems.push(...(await world.problems({ leftovers: false })), ...(await world.litter()));
  if (problems.length === 0) trial.survive();
  else trial.slip(`${label}: ${problems.join('; ')}`);
}

/** Starts a database with some documents, makes one good backup of it, and hands both over. */
export async function withWorld(trial: Trial, work: (world: KillWorld, client: MongoClient) => Promise<void>): Promise<void> {
  const mongo = await startMongo();
  const client = new MongoClient(mongo.uri);
  try {
    const documents = Array.from({ length: 300 }, (_, index) => ({ _id: index as never, text: `message ${index} `.repeat(20) }));
    await client.db('chat').collection('messages').deleteMany({});
    await client.db('chat').collection('messages').insertMany(documents);
    const root = join(trial.folder, 'first');
    mkdirSync(root);
    const world = new KillWorld(root, mongo.uri);
    const first = await world.step('mongodb-backup', -5);
    if (first.outcome !== 'succeeded') throw new Error(`the first backup is ${first.outcome}: ${first.error?.message ?? ''}`);
    await work(world, client);
  } finally {
    await client.close();
    await mongo.stop();
  }
}
