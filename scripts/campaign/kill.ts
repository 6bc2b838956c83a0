// SIGKILL at every commit boundary and at random moments of a backup and of a restore, run by the real command line in a process of its own.
import { rmSync } from 'node:fs';
import { judgeAftermath, runCommand, withWorld, type KillWorld } from './kill-world.ts';
import type { Part, Trial } from './part.ts';

interface Moment {
  at: string;
  /** Whether there is a backup from then on. */
  committed: boolean;
  /** Tried in the bounded form, too: the boundaries of the order of commit. */
  always?: boolean;
}

/** In the order in which a backup passes them. */
const BACKUP_MOMENTS: readonly Moment[] = [
  { at: 'store.lock:after', committed: false, always: true },
  { at: 'vault.set:before', committed: false },
  { at: 'vault.set:after', committed: false, always: true },
  { at: 'vault.get:after', committed: false },
  { at: 'store.put:before@/data', committed: false },
  { at: 'store.put:chunk@/data', committed: false },
  { at: 'store.put:after@/data', committed: false, always: true },
  { at: 'store.open:chunk@/data', committed: false },
  { at: 'store.open:after@/data', committed: false, always: true },
  { at: 'store.write:before@/manifest.json', committed: false },
  { at: 'store.write:after@/manifest.json', committed: true, always: true },
  { at: 'lock.release:before', committed: true },
  { at: 'store.write:before@-mongodb-backup.json', committed: true },
];

/** A restore reads the backup twice (proof, then restore) and makes a safety backup between. */
const RESTORE_MOMENTS: readonly string[] = [
  'store.lock:after',
  'store.open:chunk@/data',
  'vault.set:after',
  'store.put:after@/data',
  'store.write:after@/manifest.json',
  'store.open#3:chunk@/data',
  'store.open#3:after@/data',
  'lock.release:before',
];

export const killBackup: Part = {
  name: 'kill-backup',
  what: 'SIGKILL at every commit boundary, every change to a file and random moments of a backup',
  run: async (trial) =>
    withWorld(trial, async (world) => {
      for (const { at, committed, always } of BACKUP_MOMENTS) {
        if (!trial.full && !always) continue;
        await killAt(trial, world, at, 'mongodb-backup', (before, after) => after - before === Number(committed));
      }
      const counting = world.copy('counting');
      const { output } = await runCommand(counting, 'mongodb-backup', { moment: 'files:count' });
      const changes = Number(/changes: (\d+)/.exec(output)?.[1] ?? NaN);
      trial.holds(`a run makes ${changes} changes to files`, changes > 20);
      for (const index of trial.places(changes, trial.rounds)) await killAt(trial, world, `files:${index + 1}`, 'mongodb-backup');
      await killAtRandom(trial, world, 'mongodb-backup');
    }),
};

export const killRestore: Part = {
  name: 'kill-restore',
  what: 'SIGKILL at the boundaries and at random moments of a restore that replaces data',
  run: async (trial) =>
    withWorld(trial, async (world) => {
      for (const index of trial.places(RESTORE_MOMENTS.length, 2)) {
        await killAt(trial, world, RESTORE_MOMENTS[index] as string, 'mongodb-restore');
      }
      await killAtRandom(trial, world, 'mongodb-restore');
    }),
};

type Step = 'mongodb-backup' | 'mongodb-restore';

async function killAt(
  trial: Trial,
  world: KillWorld,
  moment: string,
  step: Step,
  expected: (before: number, after: number) => boolean = () => true,
): Promise<void> {
  const copy = world.copy('killed');
  try {
    const before = await committed(copy);
    const { signal, output } = await runCommand(copy, step, { moment });
    const label = `${step} killed at ${moment}`;
    if (signal !== 'SIGKILL') trial.slip(`${label}: it was not killed there: ${output.slice(-500)}`);
    else if (!expected(before, await committed(copy)))
      trial.slip(`${label}: ${await committed(copy)} backups are listed, ${before} were before`);
    else await judgeAftermath(trial, label, copy, step);
  } finally {
    rmSync(copy.root, { recursive: true, force: true });
  }
}

async function killAtRandom(trial: Trial, world: KillWorld, step: Step): Promise<void> {
  const timing = world.copy('timing');
  const { milliseconds, code, output } = await runCommand(timing, step);
  trial.holds(`${step} without a kill ends with ${String(code)}: ${output.slice(-500)}`, code === 0);
  for (let round = 0; round < trial.rounds; round += 1) {
    const copy = world.copy('killed');
    // The first part of a run loads code; what matters comes after.
    const killAfterMs = Math.round(milliseconds * (0.2 + 0.9 * trial.random.next()));
    await runCommand(copy, step, { killAfterMs });
    await judgeAftermath(trial, `${step} killed after ${killAfterMs} ms`, copy, step);
    rmSync(copy.root, { recursive: true, force: true });
  }
}

async function committed(world: KillWorld): Promise<number> {
  let count = 0;
  for await (const { name } of world.store.list('prod/mongodb/')) count += Number(name.endsWith('/manifest.json'));
  return count;
}
