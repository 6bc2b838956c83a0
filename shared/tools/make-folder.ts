// Making a folder and its missing parents, durably, and without trusting a file system that contradicts itself.
import { lstat, mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { syncFolder } from './sync-folder.ts';

/** A concurrent delete may prune a parent again just after it was made; more often than this it is something else. */
const MOST_ATTEMPTS = 5;

/**
 * Creates a folder (0700) and its missing parents.
 * Node's own `recursive: true` never ends where the file system says ENOENT although the parent is there: /proc, an automounter whose server is down.
 * @throws the file error; with the code ENOTDIR when a file is in its place
 */
export async function makeFolder(folder: string): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await mkdir(folder, { mode: 0o700 });
      break;
    } catch (thrown) {
      const { code } = thrown as NodeJS.ErrnoException;
      if (code === 'EEXIST') {
        if (await isFile(folder)) throw Object.assign(new Error(`not a folder: ${folder}`), { code: 'ENOTDIR' });
        return;
      }
      if (code !== 'ENOENT' || attempt === MOST_ATTEMPTS || dirname(folder) === folder) throw thrown;
      await makeFolder(dirname(folder));
    }
  }
  await syncFolder(dirname(folder));
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await lstat(path)).isFile();
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw thrown;
  }
}
