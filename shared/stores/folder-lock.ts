// Locks of the folder store: numbered files on the file system itself, network file systems included.
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { open, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode } from '../tools/file-errors.ts';
import { clockOf, guarded, inFolder, removeFile } from './folder-files.ts';
import { listFolder } from './folder-sidecar.ts';
import { generationFile, generationsAmong, lockByGenerations, type GenerationFiles } from './generation-lock.ts';
import { RESERVED_SEGMENT } from './names.ts';
import type { Lock, LockOptions } from './store.ts';

/**
 * Takes the lock `name` below `root`.
 * @throws LockedError with owner and expiry when somebody else holds it
 */
export async function lockInFolder(root: string, name: string, options: LockOptions): Promise<Lock> {
  const folder = join(root, RESERVED_SEGMENT, 'locks', createHash('sha256').update(name).digest('hex'));
  const what = `${name} in ${root}`;
  return guarded(`Locking ${what}`, () => lockByGenerations(filesIn(folder), what, options));
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
    create: (generation, text) => create(folder, pathOf(generation), text),
    mark: (generation, letter) => mark(pathOf(generation), letter),
    async remove(generation) {
      await removeFile(pathOf(generation));
    },
    now: () => clockOf(folder),
  };
}

async function create(folder: string, path: string, text: string): Promise<boolean> {
  try {
    const handle = await inFolder(folder, () => open(path, 'wx', 0o600));
    try {
      await handle.writeFile(text);
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
