// A file that a command writes for a person: private, whole or not at all, never through a link and never onto a device.
import { randomBytes } from 'node:crypto';
import { constants, type Stats } from 'node:fs';
import { link, lstat, open, rename, rm, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { RefusedError, UsageError, UserError } from '../step/errors.ts';
import { errorCode, fileReason } from './file-errors.ts';

/** What says that the path itself is wrong, and what helps; all else is told as file-errors.ts has it. */
const GIVEN_WRONG: Record<string, [reason: string, fix: string]> = {
  ENOENT: ['there is no such file or folder', 'Check the path; a folder is not made for it.'],
  ENOTDIR: ['a file is in the place of a folder', 'Check the path.'],
  EISDIR: ['it is a folder', 'Give the path of a file.'],
  ELOOP: ['a link there leads to itself', 'Check the path.'],
  ENAMETOOLONG: ['the name is too long', 'Choose a shorter one.'],
  EACCES: ['permission denied', 'Check your rights there.'],
  EPERM: ['the operation is not permitted', 'Check your rights there.'],
  EROFS: ['the file system is read-only', 'Choose another place.'],
};

/** The sentence of a file error: a UsageError where the path is wrong, else a UserError; what is no file error stays what it is. */
export function fileError(what: string, thrown: unknown): unknown {
  const code = errorCode(thrown);
  if (thrown instanceof UserError || code === undefined) return thrown;
  const given = GIVEN_WRONG[code];
  if (given) return new UsageError(`${what}: ${given[0]}.`, { fix: given[1], cause: thrown });
  const { reason = code, fix = 'Check the path, the disk and your rights.' } = fileReason(thrown) ?? {};
  return new UserError(`${what}: ${reason}.`, { fix, cause: thrown });
}

export class OutputFile {
  readonly #path: string;
  readonly #replace: boolean;
  readonly #temporary: string;
  readonly #handle: FileHandle;

  private constructor(path: string, replace: boolean, temporary: string, handle: FileHandle) {
    this.#path = path;
    this.#replace = replace;
    this.#temporary = temporary;
    this.#handle = handle;
  }

  /**
   * Begins a file (mode 0600) under a random name of its own beside `path`.
   * @throws RefusedError when something is there that may not be replaced; UsageError when the folder cannot be written to
   */
  static async create(path: string, { replace }: { replace: boolean }): Promise<OutputFile> {
    await checkFree(path, replace);
    const temporary = join(dirname(path), `.${basename(path).slice(0, 100)}.${randomBytes(8).toString('hex')}`);
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    try {
      return new OutputFile(path, replace, temporary, await open(temporary, flags, 0o600));
    } catch (thrown) {
      throw fileError(`${path} cannot be written`, thrown);
    }
  }

  async write(bytes: Uint8Array): Promise<void> {
    try {
      for (let at = 0; at < bytes.length;) at += (await this.#handle.write(bytes, at)).bytesWritten;
    } catch (thrown) {
      throw fileError(`${this.#path} cannot be written`, thrown);
    }
  }

  /** Makes the bytes durable and gives them their name. */
  async commit(): Promise<void> {
    try {
      await this.#handle.sync();
      await this.#handle.close();
      await this.#name();
    } catch (thrown) {
      throw fileError(`${this.#path} cannot be written`, thrown);
    }
  }

  /** Removes what was written; after `commit` there is nothing left to remove. */
  async discard(): Promise<void> {
    await this.#handle.close().catch(() => undefined);
    await rm(this.#temporary, { force: true });
  }

  async #name(): Promise<void> {
    if (!this.#replace) {
      try {
        // Fails by itself when something took the name meanwhile.
        await link(this.#temporary, this.#path);
        return;
      } catch (thrown) {
        const code = (thrown as NodeJS.ErrnoException).code ?? '';
        if (code === 'EEXIST') throw taken(this.#path);
        if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'].includes(code)) throw thrown;
      }
    }
    await checkFree(this.#path, this.#replace);
    await rename(this.#temporary, this.#path);
  }
}

function taken(path: string): RefusedError {
  return new RefusedError(`${path} exists already.`, { fix: 'Choose another output, or add force.' });
}

/** @throws RefusedError when something is there that is no plain file, or may not be replaced */
async function checkFree(path: string, replace: boolean): Promise<void> {
  let status: Stats;
  try {
    status = await lstat(path);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw fileError(`${path} cannot be written`, thrown);
  }
  if (!status.isFile())
    throw new RefusedError(`${path} is ${kindOf(status)}, and is not written to.`, {
      fix: 'Choose another output: a file that is not there yet.',
    });
  if (!replace) throw taken(path);
}

/** What lies there, in words. */
export function kindOf(status: Stats): string {
  if (status.isDirectory()) return 'a folder';
  if (status.isSymbolicLink()) return 'a link';
  if (status.isBlockDevice() || status.isCharacterDevice()) return 'a device';
  return status.isFile() ? 'a file' : 'no file';
}
