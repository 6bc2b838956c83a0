// File operations of the folder store that survive a power cut: durable folders and files, no symbolic links, errors in plain words.
import { randomBytes } from 'node:crypto';
import type { BigIntStats } from 'node:fs';
import { link, lstat, open, rename, unlink, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isDefect, UserError } from '../../step/errors.ts';
import { errorCode, fileReason } from '../../tools/file-errors.ts';
import { makeFolder } from '../../tools/make-folder.ts';
import { StoreError } from '../errors.ts';

/** Runs file operations; whatever goes wrong becomes a StoreError that names the object. */
export async function guarded<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    throw folderError(what, thrown);
  }
}

/** The StoreError of a file error; a UserError stays what it is. @throws what was thrown when it is a defect of the program */
export function folderError(what: string, thrown: unknown): UserError {
  if (thrown instanceof UserError) return thrown;
  if (isDefect(thrown)) throw thrown;
  const { reason, fix } = fileReason(thrown) ?? { reason: String(thrown), fix: undefined };
  return new StoreError(`${what} failed: ${reason}.`, { cause: thrown, fix });
}

/** Runs `work`, which puts a file into `folder`; the folder is made (again) when it is missing, as a concurrent delete prunes empty ones. */
export async function inFolder<T>(folder: string, work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    await makeFolder(folder);
    try {
      return await work();
    } catch (thrown) {
      if (errorCode(thrown) !== 'ENOENT' || attempt === 5) throw thrown;
    }
  }
}

/** A new file (0600) with a name of its own in `folder`. */
export async function newFile(folder: string): Promise<{ path: string; handle: FileHandle }> {
  const path = join(folder, randomBytes(12).toString('hex'));
  const handle = await inFolder(folder, () => open(path, 'wx', 0o600));
  return { path, handle };
}

/** The file system's own clock, milliseconds: on a share another machine's, which also stamps the files. */
export async function clockOf(folder: string): Promise<number> {
  const { path, handle } = await newFile(folder);
  try {
    await handle.write('.');
    return (await handle.stat()).mtimeMs;
  } finally {
    await handle.close();
    await removeFile(path);
  }
}

/** Writes a new file (0600) and makes its bytes durable. */
export async function writeDurably(path: string, text: string): Promise<void> {
  const handle = await inFolder(dirname(path), () => open(path, 'wx', 0o600));
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** A file's status without following a link at its end; undefined when it is not there. */
export async function lstatOrNone(path: string): Promise<BigIntStats | undefined> {
  try {
    return await lstat(path, { bigint: true });
  } catch (thrown) {
    const code = errorCode(thrown);
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw thrown;
  }
}

/** What a file system without hard links answers: exFAT, many network shares. */
const NO_LINKS = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS']);

/**
 * Gives a file its name unless that is taken: by a hard link, which then fails by itself. Where there are none, the run that creates the file
 * `claim` may look and rename. A process that is killed in between leaves its claim, and the name counts as taken until that is removed.
 * @throws an error with the code EEXIST when the name is taken
 */
export async function nameNew(file: string, target: string, claim: string): Promise<void> {
  try {
    await link(file, target);
    return;
  } catch (thrown) {
    if (!NO_LINKS.has(errorCode(thrown) ?? '')) throw thrown;
  }
  await (await open(claim, 'wx', 0o600)).close();
  try {
    if (await lstatOrNone(target)) throw Object.assign(new Error(`${target} is there`), { code: 'EEXIST' });
    await rename(file, target);
  } finally {
    await removeFile(claim);
  }
}

/** Removes a file; false when it was not there. */
export async function removeFile(path: string): Promise<boolean> {
  try {
    await unlink(path);
    return true;
  } catch (thrown) {
    const code = errorCode(thrown);
    if (code === 'ENOENT' || code === 'ENOTDIR') return false;
    throw thrown;
  }
}

/**
 * Refuses a path that leads through a symbolic link below `root`: an attacker who plants one could aim a write anywhere.
 * @throws StoreError naming the link
 */
export async function refuseLinks(root: string, segments: readonly string[]): Promise<void> {
  let path = root;
  for (const segment of segments) {
    path = join(path, segment);
    const status = await lstatOrNone(path);
    if (!status) return;
    if (status.isSymbolicLink()) {
      throw new StoreError(`${path} is a symbolic link. A folder store follows none, so that nothing outside it can be read or replaced.`, {
        fix: 'Replace the link with the folder itself, or open the store at the place the link points to.',
      });
    }
  }
}
