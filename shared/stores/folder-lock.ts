// Locks of the folder store: numbered files, of which the highest counts. Works on network file systems, and taking over has one winner.
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { open, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { throwIfCancelled } from '../step/errors.ts';
import { LockedError } from './errors.ts';
import { errorCode, guarded, inFolder, newFile, removeFile } from './folder-files.ts';
import { listFolder } from './folder-sidecar.ts';
import { keepAlive } from './heartbeat.ts';
import { RESERVED_SEGMENT } from './names.ts';
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

/**
 * Takes the lock `name` below `root`.
 *
 * A lock is a folder of files named by generation. Only the highest generation counts, and it is never removed, so that a number is given
 * out once: of all who want to follow generation n, one creates n + 1. Whoever was slow and created a number that is no longer the highest
 * sees that on looking again. The age of a lock is judged by the file system's own clock.
 * @throws LockedError with owner and expiry when somebody else holds it
 */
export async function lockInFolder(root: string, name: string, options: LockOptions): Promise<Lock> {
  const folder = join(root, RESERVED_SEGMENT, 'locks', createHash('sha256').update(name).digest('hex'));
  const what = `${name} in ${root}`;
  return guarded(`Locking ${what}`, async () => {
    for (;;) {
      throwIfCancelled(options.signal);
      const since = performance.now();
      const top = await highest(folder);
      const stale = top && !top.released ? await requireStale(folder, top, what, options) : undefined;
      const generation = (top?.generation ?? 0) + 1;
      if (!(await create(folder, generation, { owner: options.owner, expiresAfter: options.expiresAfter }))) continue;
      if ((await generations(folder)).some((other) => other > generation)) {
        await removeFile(join(folder, fileName(generation)));
        continue;
      }
      for (const other of await generations(folder)) if (other < generation) await removeFile(join(folder, fileName(other)));
      if (stale) options.onTakeover?.(stale.record?.owner ?? 'unknown');
      return keepAlive({
        what,
        expiresAfter: options.expiresAfter,
        since,
        renew: () => renew(folder, generation),
        release: async () => {
          await mark(folder, generation, RELEASED);
        },
      });
    }
  });
}

async function requireStale(folder: string, top: TopLock, what: string, options: LockOptions): Promise<TopLock> {
  const expiresAfter = top.record?.expiresAfter ?? options.expiresAfter;
  const left = top.beatAt + expiresAfter - (await fileSystemNow(folder));
  if (left < 0) return top;
  throw new LockedError(`${what} is locked by ${top.record?.owner ?? 'somebody who has just taken it'}.`, {
    fix: `Wait until that run has ended. If it was killed, the lock is free in ${Math.ceil(left / 1000)} seconds.`,
  });
}

function fileName(generation: number): string {
  return String(generation).padStart(12, '0');
}

async function generations(folder: string): Promise<number[]> {
  return (await listFolder(folder)).filter((file) => /^\d{12}$/.test(file)).map(Number);
}

async function highest(folder: string): Promise<TopLock | undefined> {
  for (;;) {
    const generation = Math.max(0, ...(await generations(folder)));
    if (generation === 0) return undefined;
    const path = join(folder, fileName(generation));
    try {
      const [text, status] = [await readFile(path, 'utf8'), await stat(path)];
      return { generation, released: text.startsWith(RELEASED), record: parseRecord(text.slice(1)), beatAt: status.mtimeMs };
    } catch (thrown) {
      // Followed by a higher one just now.
      if (errorCode(thrown) !== 'ENOENT') throw thrown;
    }
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

/** Creates a generation's file; false when somebody else was first. */
async function create(folder: string, generation: number, record: LockRecord): Promise<boolean> {
  try {
    const path = join(folder, fileName(generation));
    const handle = await inFolder(folder, () => open(path, 'wx', 0o600));
    try {
      await handle.writeFile(HELD + JSON.stringify(record));
      await handle.sync();
    } catch (thrown) {
      // A disk that is full: a lock that nobody holds would keep everybody out until it expires. Nobody can have followed it yet.
      await removeFile(path).catch(() => false);
      throw thrown;
    } finally {
      await handle.close();
    }
    return true;
  } catch (thrown) {
    if (errorCode(thrown) === 'EEXIST') return false;
    throw thrown;
  }
}

/** Writes the first byte of a lock file, which also sets its time; false when the file is gone. */
async function mark(folder: string, generation: number, letter: string): Promise<boolean> {
  try {
    const handle = await open(join(folder, fileName(generation)), constants.O_WRONLY);
    try {
      await handle.write(letter, 0);
    } finally {
      await handle.close();
    }
    return true;
  } catch (thrown) {
    if (errorCode(thrown) === 'ENOENT') return false;
    throw thrown;
  }
}

async function renew(folder: string, generation: number): Promise<boolean> {
  if (!(await mark(folder, generation, HELD))) return false;
  return !(await generations(folder)).some((other) => other > generation);
}

/** The file system's clock, milliseconds: on a network share the server's, which also stamped the lock. */
async function fileSystemNow(folder: string): Promise<number> {
  const { path, handle } = await newFile(folder);
  try {
    await handle.write('.');
    return (await handle.stat()).mtimeMs;
  } finally {
    await handle.close();
    await removeFile(path);
  }
}
