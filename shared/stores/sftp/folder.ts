// One folder of an SFTP server as all parts of the sftp store see it: paths, patience, errors in plain words.
import { createHash } from 'node:crypto';
import { posix } from 'node:path';
import type { Stats } from 'ssh2';
import { cancelled } from '../../step/errors.ts';
import { noRoot, ObjectExistsError } from '../errors.ts';
import { RESERVED_SEGMENT } from '../names.ts';
import { explained, isTimeout, type Patience } from '../patience.ts';
import { sftpAway, sftpError } from './connection.ts';
import type { SftpFiles } from './files.ts';

export class SftpFolder {
  readonly files: SftpFiles;
  /** Path on the server. */
  readonly root: string;
  /** An address that opens the same store again. */
  readonly location: string;
  readonly patience: Patience;
  /** No request makes the folder itself. */
  readonly mustExist: boolean;
  #seen = false;

  constructor(facts: Pick<SftpFolder, 'files' | 'root' | 'location' | 'patience' | 'mustExist'>) {
    this.files = facts.files;
    this.root = facts.root;
    this.location = facts.location;
    this.patience = facts.patience;
    this.mustExist = facts.mustExist;
  }

  /** Asks the server once whether the folder is there, where it must be. @throws StoreError */
  async requireRoot(doing: string, name: string, signal: AbortSignal | undefined): Promise<void> {
    if (!this.mustExist || this.#seen) return;
    if (!(await this.guarded(doing, name, () => this.tries(() => this.files.lstat(this.root), signal)))) throw noRoot(this.location);
    this.#seen = true;
  }

  path(name: string): string {
    return posix.join(this.root, name);
  }

  /** A path of the store's own. */
  own(...segments: string[]): string {
    return posix.join(this.root, RESERVED_SEGMENT, ...segments);
  }

  /** Where the metadata of one version of an object lies. */
  sidecar(name: string, etag: string): string {
    return this.own('metadata', hashOf(name), etag);
  }

  exists(name: string): ObjectExistsError {
    return new ObjectExistsError(`${name} already exists in ${this.location} and is not overwritten.`);
  }

  /**
   * Does work that may be done twice: again at once on a new connection when the old one broke, and again while the server is away.
   * @throws the library's error, StoreError, WaitedInVain; CancelledError
   */
  async tries<T>(work: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    return this.cancellable(signal, () =>
      this.patience.through(
        async () => {
          try {
            return await work();
          } catch (thrown) {
            if (signal?.aborted || sftpAway(thrown)?.connected !== true) throw thrown;
            return work();
          }
        },
        sftpAway,
        signal,
      ),
    );
  }

  /** Does work that a cancel ends soon, also while the server is silent. @throws CancelledError, or what the work throws */
  async cancellable<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    const stop = this.hurryOnCancel(signal);
    try {
      return await work();
    } catch (thrown) {
      if (!signal?.aborted || isTimeout(signal)) throw thrown;
      throw cancelled(signal, thrown);
    } finally {
      stop();
    }
  }

  /** From a cancel on a silent server is given up soon. @returns what ends the watch */
  hurryOnCancel(signal: AbortSignal | undefined): () => void {
    const onAbort = (): void => {
      if (!isTimeout(signal)) this.files.hurry();
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    return () => signal?.removeEventListener('abort', onAbort);
  }

  /** Runs requests on an object; what goes wrong becomes a StoreError. */
  async guarded<T>(doing: string, name: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (thrown) {
      throw explained(thrown, (cause) => sftpError(`${doing} ${name} in ${this.location}`, cause));
    }
  }
}

/** Names a version. SFTP tells times in seconds. */
export function etagOf({ mtime, size }: Pick<Stats, 'mtime' | 'size'>): string {
  return `${mtime.toString(16)}-${size}`;
}

export function hashOf(name: string): string {
  return createHash('sha256').update(name).digest('hex');
}
