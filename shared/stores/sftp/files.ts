// File operations over SFTP: durable where the server can, several requests under way at once, "not there" as a value.
import { randomBytes } from 'node:crypto';
import { posix } from 'node:path';
import type { SFTPWrapper, Stats } from 'ssh2';
import {
  ConnectionLostError,
  FAILURE,
  NO_SUCH_FILE,
  OP_UNSUPPORTED,
  sftpStatusOf,
  type Callback,
  type SftpConnection,
} from './connection.ts';
import type { StoreSpace } from '../store.ts';

/** Bytes of one request; OpenSSH takes 255 KiB. */
const CHUNK = 128 << 10;
/** Requests under way: 4 MiB, which fills 300 Mbit/s at 100 ms. */
const AHEAD = 32;

/** What the server says of a file system, in blocks of `f_frsize` bytes (OpenSSH's PROTOCOL, 4.5). */
interface StatVfs {
  f_frsize: number | bigint;
  f_blocks: number | bigint;
  f_bavail: number | bigint;
}

export interface RemoteEntry {
  name: string;
  stats: Stats;
}

export class SftpFiles {
  readonly #connection: SftpConnection;

  constructor(connection: SftpConnection) {
    this.#connection = connection;
  }

  /** See SftpConnection.hurry. */
  hurry(): void {
    this.#connection.hurry();
  }

  /** Follows no link. */
  async lstat(path: string): Promise<Stats | undefined> {
    return orMissing(
      this.#connection.call<Stats>((sftp, done) => {
        sftp.lstat(path, done);
      }),
    );
  }

  async entries(folder: string): Promise<RemoteEntry[]> {
    const list = await orMissing(
      this.#connection.call<{ filename: string; attrs: unknown }[]>((sftp, done) => {
        sftp.readdir(folder, done);
      }),
    );
    return (list ?? []).map(({ filename, attrs }) => ({ name: filename, stats: attrs as Stats }));
  }

  /** Of the file system that a folder lies on; undefined while there is no folder, and on a server that does not tell. */
  async space(folder: string): Promise<StoreSpace | undefined> {
    const answer = this.#connection.call<StatVfs>((sftp, done) => {
      sftp.ext_openssh_statvfs(folder, (error, facts: StatVfs) => {
        done(error, facts);
      });
    });
    try {
      const facts = await orMissing(answer);
      return facts && { total: Number(facts.f_blocks) * Number(facts.f_frsize), free: Number(facts.f_bavail) * Number(facts.f_frsize) };
    } catch (thrown) {
      // Not every server has OpenSSH's extension.
      if (sftpStatusOf(thrown) === OP_UNSUPPORTED || /does not support this extended request/.test(String(thrown))) return undefined;
      throw thrown;
    }
  }

  /** Removes a file; false when it was not there. */
  async remove(path: string): Promise<boolean> {
    const removed = this.#connection.call((sftp, done: (error?: Error | null) => void) => {
      sftp.unlink(path, done);
    });
    return orMissing(removed.then(() => true)).then((done) => done ?? false);
  }

  /** Removes a folder if it is empty; false when it is not, or gone. */
  async removeFolder(path: string): Promise<boolean> {
    return this.#connection
      .call((sftp, done: (error?: Error | null) => void) => {
        sftp.rmdir(path, done);
      })
      .then(
        () => true,
        () => false,
      );
  }

  /** Gives a file its name, replacing what has it. One step. */
  async replace(from: string, to: string): Promise<void> {
    await this.#inFolder(to, () =>
      this.#connection.call((sftp, done: (error?: Error | null) => void) => {
        sftp.ext_openssh_rename(from, to, done);
      }),
    );
  }

  /** Gives a file its name; false when the name is taken (SFTP's own rename never replaces). One step. */
  async renameNew(from: string, to: string): Promise<boolean> {
    return this.#unlessExists(to, () =>
      this.#connection.call((sftp, done: (error?: Error | null) => void) => {
        sftp.rename(from, to, done);
      }),
    );
  }

  /** Creates a file and opens it for writing; undefined when the name is taken. */
  async create(path: string): Promise<RemoteFile | undefined> {
    let file: RemoteFile | undefined;
    const made = await this.#unlessExists(path, async () => {
      file = await this.#openFile((sftp, done) => {
        sftp.open(path, 'wx', { mode: 0o600 }, done);
      });
    });
    return made ? file : undefined;
  }

  /** Opens a file; undefined when it is not there. */
  async open(path: string, flags: 'r' | 'r+'): Promise<RemoteFile | undefined> {
    return orMissing(
      this.#openFile((sftp, done) => {
        sftp.open(path, flags, done);
      }),
    );
  }

  async #openFile(request: (sftp: SFTPWrapper, done: Callback<Buffer>) => void): Promise<RemoteFile> {
    let session: SFTPWrapper | undefined;
    const handle = await this.#connection.call<Buffer>((sftp, done) => {
      session = sftp;
      request(sftp, done);
    });
    return new RemoteFile(this.#connection, session as unknown as SFTPWrapper, handle);
  }

  /** A small file whole, with its time; undefined when it is not there. */
  async readText(path: string): Promise<{ text: string; modifiedMs: number } | undefined> {
    const file = await this.open(path, 'r');
    if (!file) return undefined;
    try {
      const { size, mtime } = await file.stat();
      const parts: Buffer[] = [];
      for await (const part of file.read(0, size)) parts.push(part);
      return { text: Buffer.concat(parts).toString(), modifiedMs: mtime * 1000 };
    } finally {
      await file.close();
    }
  }

  /** Writes a small file durably; false when the name is taken. What could not be written whole is removed again. */
  async writeNew(path: string, text: string): Promise<boolean> {
    const file = await this.create(path);
    if (!file) return false;
    try {
      await file.write(Buffer.from(text), 0);
      await file.sync();
    } catch (thrown) {
      await this.remove(path).catch(() => false);
      throw thrown;
    } finally {
      await file.close().catch(() => undefined);
    }
    return true;
  }

  /** A new file under a random name, for bytes that have none yet. */
  async temporary(folder: string): Promise<{ path: string; file: RemoteFile }> {
    for (;;) {
      const path = posix.join(folder, randomBytes(12).toString('hex'));
      const file = await this.create(path);
      if (file) return { path, file };
    }
  }

  /** SFTP has one status for "exists already" and many other things: looking tells them apart. */
  async #unlessExists(path: string, work: () => Promise<void>): Promise<boolean> {
    try {
      await this.#inFolder(path, work);
      return true;
    } catch (thrown) {
      if (sftpStatusOf(thrown) === FAILURE && (await this.lstat(path))) return false;
      throw thrown;
    }
  }

  /** Makes the folder of a path when that turns out to be missing; another process may remove it as empty meanwhile. */
  async #inFolder(path: string, work: () => Promise<void>): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        await work();
        return;
      } catch (thrown) {
        if (sftpStatusOf(thrown) !== NO_SUCH_FILE || attempt > 5) throw thrown;
        await this.#makeFolder(posix.dirname(path));
      }
    }
  }

  async #makeFolder(path: string): Promise<void> {
    const make = (): Promise<void> =>
      this.#connection.call((sftp, done: (error?: Error | null) => void) => {
        sftp.mkdir(path, { mode: 0o700 }, done);
      });
    try {
      await make();
    } catch (thrown) {
      if (sftpStatusOf(thrown) === NO_SUCH_FILE && posix.dirname(path) !== path) {
        await this.#makeFolder(posix.dirname(path));
        await make().catch(() => undefined);
      } else if (sftpStatusOf(thrown) !== FAILURE || !(await this.lstat(path))) throw thrown;
    }
  }
}

/**
 * An open file. Its handle means something on the connection it was opened on only: on a later one the same bytes may stand for another
 * file, so that after a break every call fails with ConnectionLostError.
 */
export class RemoteFile {
  readonly #connection: SftpConnection;
  readonly #session: SFTPWrapper;
  readonly #handle: Buffer;
  #closed = false;

  constructor(connection: SftpConnection, session: SFTPWrapper, handle: Buffer) {
    this.#connection = connection;
    this.#session = session;
    this.#handle = handle;
  }

  /** True when the connection it was opened on is gone. */
  get lost(): boolean {
    return !this.#connection.isOpen(this.#session);
  }

  async #call<T = void>(request: (sftp: SFTPWrapper, done: Callback<T>) => unknown): Promise<T> {
    if (this.lost) throw new ConnectionLostError();
    return this.#connection.call<T>((sftp, done) => {
      if (sftp === this.#session) request(sftp, done);
      else done(new ConnectionLostError(), undefined as T);
    });
  }

  async stat(): Promise<Stats> {
    return this.#call<Stats>((sftp, done) => {
      sftp.fstat(this.#handle, done);
    });
  }

  /** Writes bytes at a position, in pieces under way at once. */
  async write(bytes: Uint8Array, position: number): Promise<void> {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const pieces: Promise<void>[] = [];
    for (let at = 0; at < buffer.length; at += CHUNK) {
      const length = Math.min(CHUNK, buffer.length - at);
      pieces.push(
        this.#call((sftp, done: (error?: Error | null) => void) => {
          sftp.write(this.#handle, buffer, at, length, position + at, done);
        }),
      );
    }
    await Promise.all(pieces);
  }

  /** Reads a range in order. Ends early only when the file does. */
  async *read(offset: number, length: number): AsyncGenerator<Buffer, void> {
    const pending: Promise<Buffer>[] = [];
    let next = offset;
    const end = offset + length;
    for (;;) {
      while (pending.length < AHEAD && next < end) {
        const piece = this.#readPiece(next, Math.min(CHUNK, end - next));
        // Its turn may never come when an earlier one fails.
        piece.catch(() => undefined);
        pending.push(piece);
        next += CHUNK;
      }
      const first = await pending.shift();
      if (!first) return;
      if (first.length > 0) yield first;
    }
  }

  /** A server may give less than was asked for before the end of the file. */
  async #readPiece(position: number, length: number): Promise<Buffer> {
    const buffer = Buffer.allocUnsafeSlow(length);
    let filled = 0;
    while (filled < length) {
      const at = filled;
      const count = await this.#call<number>((sftp, done) => {
        sftp.read(this.#handle, buffer, at, length - at, position + at, done);
      }).catch((thrown: unknown) => {
        if (sftpStatusOf(thrown) === END_OF_FILE) return 0;
        throw thrown;
      });
      if (count === 0) break;
      filled += count;
    }
    return buffer.subarray(0, filled);
  }

  /** To the server's disk, where it can be asked to. */
  async sync(): Promise<void> {
    await this.#call<unknown>((sftp, done) => {
      sftp.ext_openssh_fsync(this.#handle, done);
    }).catch((thrown: unknown) => {
      if (!(thrown instanceof Error && /extended request/.test(thrown.message))) throw thrown;
    });
  }

  /** Sets the time of the last write, in seconds. */
  async setTime(seconds: number): Promise<void> {
    await this.#call((sftp, done: (error?: Error | null) => void) => {
      sftp.futimes(this.#handle, seconds, seconds, done);
    });
  }

  /** Safe to call twice. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    // Its connection took it along.
    if (this.lost) return;
    await this.#call((sftp, done: (error?: Error | null) => void) => {
      sftp.close(this.#handle, done);
    });
  }
}

const END_OF_FILE = 1;

async function orMissing<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (thrown) {
    if (sftpStatusOf(thrown) === NO_SUCH_FILE) return undefined;
    throw thrown;
  }
}
