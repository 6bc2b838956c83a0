// A little room that a folder store keeps for the day when its disk is full: without it, not even what frees the disk could take its lock.
import { randomBytes } from 'node:crypto';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode, isDiskFull } from '../../tools/file-errors.ts';
import { lstatOrNone, newFile, removeFile } from './files.ts';
import { RESERVED_SEGMENT } from '../names.ts';

/** Enough for a lock, the marks of a few dozen removals and the run's record, also with blocks of 4 KiB each. */
const RESERVE_BYTES = 512 << 10;

function reserveFile(root: string): string {
  return join(root, RESERVED_SEGMENT, 'reserve');
}

/** Sets the room aside where that has not been done yet. A disk that has none for it is no matter here. */
export async function keepReserve(root: string): Promise<void> {
  try {
    if (await lstatOrNone(reserveFile(root))) return;
    const { path, handle } = await newFile(join(root, RESERVED_SEGMENT, 'temporary'));
    try {
      // Not zeros: a file system may keep those in no room at all.
      await handle.writeFile(randomBytes(RESERVE_BYTES));
      await handle.close();
      await rename(path, reserveFile(root));
    } catch (thrown) {
      await handle.close().catch(() => undefined);
      await removeFile(path);
      throw thrown;
    }
  } catch (thrown) {
    if (errorCode(thrown) === undefined) throw thrown;
  }
}

/** Does small work; when the disk is full, once more with the room that was set aside. @throws what the work throws */
export async function withReserve<T>(root: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    if (!isDiskFull(thrown) || !(await removeFile(reserveFile(root)).catch(() => false))) throw thrown;
    return work();
  }
}
