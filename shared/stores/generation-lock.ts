// Locks made of numbered files, of which the highest counts: for stores that can create a file exclusively but not replace one on a condition.
import { throwIfCancelled } from '../step/errors.ts';
import { LockedError } from './errors.ts';
import { believedExpiry, keepAlive } from './heartbeat.ts';
import type { Lock, LockOptions } from './store.ts';

/** A lock file is one of these letters and then a LockRecord as JSON. One byte is written at once or not at all. */
const HELD = 'H';
const RELEASED = 'R';

interface LockRecord {
  owner: string;
  expiresAfter: number;
}

interface TopLock {
  generation: number;
  released: boolean;
  /** Undefined while its taker is still writing it. */
  record: LockRecord | undefined;
  /** Time of the last heartbeat by the file system's clock, milliseconds. */
  beatAt: number;
}

/** The files of one lock; each has a generation's number as its name. */
export interface GenerationFiles {
  /** Numbers of those there are; none when the lock was never taken. */
  list(): Promise<number[]>;
  /** Content, and time of the last write by the file system's clock; undefined when it is gone. */
  read(generation: number): Promise<{ text: string; modifiedMs: number } | undefined>;
  /** Creates a file durably; false when another run was first. A file that could not be written whole is removed again. */
  create(generation: number, text: string): Promise<boolean>;
  /** Overwrites the first byte, which also sets the time; false when the file is gone. */
  mark(generation: number, letter: string): Promise<boolean>;
  remove(generation: number): Promise<void>;
  /** The file system's clock, milliseconds: on a share or a server the one that also stamps the files. */
  now(): Promise<number>;
  /** How exact that clock is, milliseconds. */
  grainMs: number;
}

/**
 * Takes a lock. Only the highest generation counts, and it is never removed, so that a number is given out once: of all who want to follow
 * generation n, one creates n + 1. A slow run that created a number that is no longer the highest sees that when it looks again. The age
 * of a lock is judged by the file system's own clock.
 * @param what the lock and its store, for messages
 * @param patienceMs how long the store is waited for when it is away
 * @throws LockedError with owner and expiry when another run holds it
 */
export async function lockByGenerations(files: GenerationFiles, what: string, options: LockOptions, patienceMs = 0): Promise<Lock> {
  for (;;) {
    throwIfCancelled(options.signal);
    const since = performance.now();
    const top = await highest(files);
    const stale = top && !top.released ? await requireStale(files, top, what, options) : undefined;
    const generation = (top?.generation ?? 0) + 1;
    const record: LockRecord = { owner: options.owner, expiresAfter: options.expiresAfter };
    if (!(await files.create(generation, HELD + JSON.stringify(record)))) continue;
    if ((await files.list()).some((other) => other > generation)) {
      await files.remove(generation);
      continue;
    }
    for (const other of await files.list()) if (other < generation) await files.remove(other);
    if (stale) options.onTakeover?.(stale.record?.owner ?? 'unknown');
    return keepAlive({
      what,
      expiresAfter: options.expiresAfter,
      graceMs: options.resumable ? patienceMs : 0,
      since,
      async renew() {
        if (!(await files.mark(generation, HELD))) return false;
        return !(await files.list()).some((other) => other > generation);
      },
      async release() {
        await files.mark(generation, RELEASED);
      },
    });
  }
}

async function requireStale(files: GenerationFiles, top: TopLock, what: string, options: LockOptions): Promise<TopLock> {
  const expiresAfter = believedExpiry(top.record?.expiresAfter, options.expiresAfter) + files.grainMs;
  const left = top.beatAt + expiresAfter - (await files.now());
  if (left < 0) return top;
  throw new LockedError(`${what} is locked by ${top.record?.owner ?? 'another run, which has just taken it'}.`, {
    fix: `Wait until that run has ended. If it was killed, the lock is free in ${Math.ceil(left / 1000)} seconds.`,
  });
}

async function highest(files: GenerationFiles): Promise<TopLock | undefined> {
  for (;;) {
    const generation = Math.max(0, ...(await files.list()));
    if (generation === 0) return undefined;
    const file = await files.read(generation);
    // Followed by a higher one just now.
    if (!file) continue;
    return { generation, released: file.text.startsWith(RELEASED), record: parseRecord(file.text.slice(1)), beatAt: file.modifiedMs };
  }
}

function parseRecord(text: string): LockRecord | undefined {
  try {
    const value = JSON.parse(text) as Partial<LockRecord>;
    return typeof value.owner === 'string' && typeof value.expiresAfter === 'number' ? (value as LockRecord) : undefined;
  } catch {
    return undefined;
  }
}

const DIGITS = 12;

/** The file name of a generation. */
export function generationFile(generation: number): string {
  return String(generation).padStart(DIGITS, '0');
}

/** The generations among a folder's file names. */
export function generationsAmong(names: readonly string[]): number[] {
  return names.filter((name) => name.length === DIGITS && /^\d+$/.test(name)).map(Number);
}
