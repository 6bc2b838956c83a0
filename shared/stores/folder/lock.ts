// Locks of the folder store: numbered files on the file system itself, network file systems included.
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { link, open, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode, isDiskFull } from '../../tools/file-errors.ts';
import { clockOf, guarded, inFolder, removeFile } from './files.ts';
import { listFolder } from './sidecar.ts';
import { generationFile, generationsAmong, lockByGenerations, type GenerationFiles } from '../generation-lock.ts';
import { keepReserve, withReserve } from './reserve.ts';
import { RESERVED_SEGMENT } from '../names.ts';
import type { Lock, LockOptions } from '../store.ts';

/**
 * Takes the lock `name` below `root`.
 * @throws LockedError with owner and expiry when another run holds it
 */
export async function lockInFolder(root: string, name: string, options: LockOptions): Promise<Lock> {
  const folder = join(root, RESERVED_SEGMENT, 'locks', createHash('sha256').update(name).digest('hex'));
  const what = `${name} in ${root}`;
  return guarded(`Locking ${what}`, async () => {
    const lock = await withReserve(root, () => lockByGenerations(filesIn(folder), what, options));
    await keepReserve(root);
    return lock;
  });
}

function filesIn(folder: string): GenerationFiles {
  const pathOf = (generation: number): string => join(folder, generationFile(generation));
  return {
    grainMs: 0,
    list: async () => generationsAmong(await listFolder(folder)),
    async read(generation) {
      try {
        const [text, status] = [await readFile(pathOf(generation), 'utf8'), await stat(pathOf(generation))];
        return { text, modifiedMs: status.mtimeMs };
      } catch (thrown) {
        if (errorCode(thrown) === 'ENOENT') return undefined;
        throw thrown;
      }
    },
    async create(generation, text) {
      try {
        return await create(folder, pathOf(generation), text);
      } catch (thrown) {
        if (!isDiskFull(thrown) || generation === 1) throw thrown;
        return follow(pathOf(generation - 1), pathOf(generation), text, thrown);
      }
    },
    mark: (generation, letter) => mark(pathOf(generation), letter),
    async remove(generation) {
      await removeFile(pathOf(generation));
    },
    // On a full disk this machine's clock must do.
    now: () =>
      clockOf(folder).catch((thrown: unknown) => {
        if (isDiskFull(thrown)) return Date.now();
        throw thrown;
      }),
  };
}

async function create(folder: string, path: string, text: string): Promise<boolean> {
  try {
    const handle = await inFolder(folder, () => open(path, 'wx', 0o600));
    try {
      await handle.writeFile(text);
      await handle.sync();
    } catch (thrown) {
      // A disk that is full: a lock that no run holds would keep every run out until it expires. No other run can have followed it yet.
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

/**
 * Takes a lock where there is no room for a file: the one before it gets a second name, which only one can give, and is written over in place.
 * @throws what the full disk said, when that is not possible
 */
async function follow(before: string, path: string, text: string, full: unknown): Promise<boolean> {
  try {
    await link(before, path);
  } catch (thrown) {
    if (errorCode(thrown) === 'EEXIST') return false;
    throw full;
  }
  const handle = await open(path, constants.O_WRONLY);
  try {
    const { size } = await handle.stat();
    await handle.write(text.padEnd(size), 0);
  } finally {
    await handle.close();
  }
  return true;
}

async function mark(path: string, letter: string): Promise<boolean> {
  try {
    const handle = await open(path, constants.O_WRONLY);
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
