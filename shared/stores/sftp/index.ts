// The store in a folder of an SFTP server. Every object is a plain file under its own name, as in a local folder.
import { posix } from 'node:path';
import type { Stats } from 'ssh2';
import { throwIfCancelled } from '../../step/errors.ts';
import { noFolder, noRoot, ObjectMissingError } from '../errors.ts';
import { generationFile, generationsAmong, lockByGenerations, type GenerationFiles } from '../generation-lock.ts';
import { readableQuery } from '../readable-query.ts';
import { checkMetadata, checkName, checkPrefix, compareNames, RESERVED_SEGMENT } from '../names.ts';
import { Patience, type PatienceOptions } from '../patience.ts';
import { SftpConnection } from './connection.ts';
import { SftpFiles } from './files.ts';
import { etagOf, hashOf, SftpFolder } from './folder.ts';
import { readSmall } from '../read-small.ts';
import type { SftpStoreConfig } from './schema.ts';
import { putSftp } from './put.ts';
import { describeSftp, openSftp, parseSidecar, statSftp } from './read.ts';
import type { Lock, LockOptions, ObjectInfo, ReadOptions, PutOptions, Store, StoreSpace, WriteOptions } from '../store.ts';
import { afterHome, expandHome } from '../../step/home-path.ts';
import { once } from '../../tools/once.ts';

/** Objects whose metadata a listing reads at the same time. */
const LIST_AT_ONCE = 32;
const DEFAULT_PORT = 22;

/** Opens a folder of an SFTP server. Connects with the first request. */
export function openSftpStore(given: SftpStoreConfig, options: PatienceOptions & { mustExist?: boolean | undefined } = {}): Store {
  const config = { ...given, path: belowHome(given.path) };
  const { path, port = DEFAULT_PORT, keyFile, ...access } = config;
  const location = sftpAddress(config);
  const key = keyFile === undefined ? {} : { keyFile: expandHome(keyFile) };
  const files = new SftpFiles(new SftpConnection({ ...access, ...key, port }, location));
  const { mustExist = false, ...waiting } = options;
  const patience = new Patience(location, waiting);
  return new SftpStore(new SftpFolder({ files, root: posix.normalize(path), location, patience, mustExist }));
}

/** The server takes a relative path from the user's home, and `~` for a name. @throws UsageError for another user's home */
function belowHome(path: string): string {
  const rest = afterHome(path);
  return rest === '' ? '.' : (rest ?? path);
}

/** The address that opens the same store again; no secrets. */
export function sftpAddress({ host, port, user, path, fingerprint, keyFile }: SftpStoreConfig): string {
  const query = readableQuery({ fingerprint, keyFile });
  const at = `${encodeURIComponent(user)}@${host}${port === undefined || port === DEFAULT_PORT ? '' : `:${port}`}`;
  return `sftp://${at}${path.startsWith('/') ? '' : '/~/'}${encodeURI(path)}${query}`;
}

class SftpStore implements Store {
  readonly kind = 'sftp';
  readonly onDisk = true;
  readonly location: string;
  readonly #folder: SftpFolder;
  readonly #files: SftpFiles;

  constructor(folder: SftpFolder) {
    this.#folder = folder;
    this.#files = folder.files;
    this.location = folder.location;
  }

  async put(name: string, source: AsyncIterable<Uint8Array>, options: PutOptions = {}): Promise<ObjectInfo> {
    checkName(name);
    throwIfCancelled(options.signal);
    await this.#folder.requireRoot('Writing', name, options.signal);
    if (options.ifAbsent && (await this.stat(name, options.signal))) throw this.#folder.exists(name);
    return putSftp(this.#folder, name, source, options);
  }

  async write(name: string, bytes: Uint8Array, options: WriteOptions = {}): Promise<ObjectInfo> {
    return this.put(name, once(bytes), options);
  }

  async read(name: string, options: { maxBytes?: number; signal?: AbortSignal | undefined } = {}): Promise<Uint8Array | undefined> {
    return readSmall(this, name, options);
  }

  /** Of the server's file system; undefined while there is no folder, and where the server does not tell. */
  async space(): Promise<StoreSpace | undefined> {
    const { files, root } = this.#folder;
    await this.#folder.requireRoot('Looking up', 'the room', undefined);
    return this.#folder.guarded('Looking up', 'the room', () => this.#folder.tries(() => files.space(root), undefined));
  }

  async stat(name: string, signal?: AbortSignal): Promise<ObjectInfo | undefined> {
    checkName(name);
    throwIfCancelled(signal);
    await this.#folder.requireRoot('Looking up', name, signal);
    return statSftp(this.#folder, name, signal);
  }

  async setMetadata(name: string, metadata: Readonly<Record<string, string>>, signal?: AbortSignal): Promise<void> {
    checkName(name);
    checkMetadata(metadata);
    const text = JSON.stringify({ name, metadata });
    await this.#folder.guarded('Writing the metadata of', name, () =>
      this.#folder.tries(async () => {
        const stats = await this.#files.lstat(this.#folder.path(name));
        if (!stats?.isFile()) throw new ObjectMissingError(`${name} is not in ${this.location}.`);
        const { path, file } = await this.#files.temporary(this.#folder.own('temporary'));
        try {
          await file.write(Buffer.from(text), 0);
          await file.sync();
        } finally {
          await file.close();
        }
        await this.#files.replace(path, this.#folder.sidecar(name, etagOf(stats)));
      }, signal),
    );
  }

  async *open(name: string, options: ReadOptions = {}): AsyncGenerator<Uint8Array, void> {
    checkName(name);
    await this.#folder.requireRoot('Reading', name, options.signal);
    yield* openSftp(this.#folder, name, options);
  }

  async *list(prefix: string, signal?: AbortSignal): AsyncGenerator<ObjectInfo, void> {
    checkPrefix(prefix);
    // A server says "not there" of a file's entries.
    const root = await this.#folder.guarded('Listing', prefix, () =>
      this.#folder.tries(() => this.#files.lstat(this.#folder.root), signal),
    );
    if (root?.isFile()) throw noFolder(this.location);
    if (!root && this.#folder.mustExist) throw noRoot(this.location);
    yield* this.#walk(prefix.slice(0, prefix.lastIndexOf('/') + 1), prefix, signal);
  }

  async *#walk(folder: string, prefix: string, signal: AbortSignal | undefined): AsyncGenerator<ObjectInfo, void> {
    throwIfCancelled(signal);
    const entries = await this.#folder.guarded('Listing', prefix, () =>
      this.#folder.tries(() => this.#files.entries(this.#folder.path(folder)), signal),
    );
    // A folder sorts as its name with the slash, as the names of its objects do.
    const found = entries
      .filter(({ name, stats }) => (stats.isFile() || stats.isDirectory()) && !(folder === '' && name === RESERVED_SEGMENT))
      .map(({ name, stats }) => ({ name: folder + name + (stats.isDirectory() ? '/' : ''), stats }))
      .filter(({ name }) => name.startsWith(prefix) || (name.endsWith('/') && prefix.startsWith(name)))
      .sort((a, b) => compareNames(a.name, b.name));
    for (let at = 0; at < found.length;) {
      const first = found[at] as (typeof found)[number];
      if (first.name.endsWith('/')) {
        yield* this.#walk(first.name, prefix, signal);
        at += 1;
        continue;
      }
      const rest = found.slice(at, at + LIST_AT_ONCE);
      const nextFolder = rest.findIndex(({ name }) => name.endsWith('/'));
      const files = nextFolder === -1 ? rest : rest.slice(0, nextFolder);
      const infos = files
        .filter(({ name }) => isObjectName(name))
        .map(({ name, stats }) =>
          this.#folder.guarded('Listing', name, () => this.#folder.tries(() => describeSftp(this.#folder, name, stats), signal)),
        );
      for (const info of await Promise.all(infos)) if (info) yield info;
      at += files.length;
    }
  }

  async delete(name: string, signal?: AbortSignal): Promise<boolean> {
    checkName(name);
    throwIfCancelled(signal);
    await this.#folder.requireRoot('Deleting', name, signal);
    let asked = false;
    return this.#folder.guarded('Deleting', name, () =>
      this.#folder.tries(async () => {
        const path = this.#folder.path(name);
        const stats = await this.#files.lstat(path);
        // Gone after a connection broke: it was done, the answer was lost.
        if (!stats?.isFile()) return asked;
        asked = true;
        if (!(await this.#files.remove(path))) return false;
        await this.#forget(name, path, etagOf(stats));
        return true;
      }, signal),
    );
  }

  /** Removes the metadata of a version that is gone, and the folders that are empty now. What is left of it does no harm. */
  async #forget(name: string, path: string, etag: string): Promise<void> {
    const sidecar = this.#folder.sidecar(name, etag);
    await this.#files.remove(sidecar);
    await this.#files.removeFolder(posix.dirname(sidecar));
    for (let folder = posix.dirname(path); folder.length > this.#folder.root.length; folder = posix.dirname(folder)) {
      if (!(await this.#files.removeFolder(folder))) break;
    }
  }

  async lock(name: string, options: LockOptions): Promise<Lock> {
    checkName(name);
    await this.#folder.requireRoot('Locking', name, options.signal);
    const files = lockFiles(this.#files, this.#folder.own('locks', hashOf(name)));
    const { limitMs } = this.#folder.patience;
    return this.#folder.guarded('Locking', name, () => lockByGenerations(files, `${name} in ${this.location}`, options, limitMs));
  }

  /** Temporary files do not know the name they were meant for, so that all old ones go, whatever the prefix. */
  async sweep(_prefix: string, before: Date, signal?: AbortSignal): Promise<number> {
    return this.#folder.guarded('Cleaning', '', async () => {
      const temporary = await this.#files.entries(this.#folder.own('temporary'));
      // By the server's clock: to a machine whose own is days ahead, another one's write in progress must not look old.
      const now = temporary.length === 0 ? Date.now() : await clockOf(this.#files, this.#folder.own('temporary'));
      const olderThan = new Date(before.getTime() + now - Date.now());
      let removed = 0;
      const isOld = ({ stats }: { stats: Stats }): boolean => stats.mtime * 1000 < olderThan.getTime();
      for (const entry of temporary) {
        throwIfCancelled(signal);
        if (isOld(entry)) removed += Number(await this.#files.remove(this.#folder.own('temporary', entry.name)));
      }
      for (const { name: hash } of await this.#files.entries(this.#folder.own('metadata'))) {
        throwIfCancelled(signal);
        const versions = await this.#files.entries(this.#folder.own('metadata', hash));
        for (const version of versions.filter(isOld)) {
          const path = this.#folder.own('metadata', hash, version.name);
          const sidecar = parseSidecar((await this.#files.readText(path))?.text ?? '');
          const stats = sidecar && (await this.#files.lstat(this.#folder.path(sidecar.name)));
          if (stats && etagOf(stats) === version.name) continue;
          removed += Number(await this.#files.remove(path));
        }
        if (versions.length === 0) await this.#files.removeFolder(this.#folder.own('metadata', hash));
      }
      return removed;
    });
  }
}

function lockFiles(files: SftpFiles, folder: string): GenerationFiles {
  const pathOf = (generation: number): string => posix.join(folder, generationFile(generation));
  return {
    // SFTP tells times in seconds.
    grainMs: 1000,
    list: async () => generationsAmong((await files.entries(folder)).map(({ name }) => name)),
    read: (generation) => files.readText(pathOf(generation)),
    create: (generation, text) => files.writeNew(pathOf(generation), text),
    async mark(generation, letter) {
      const file = await files.open(pathOf(generation), 'r+');
      if (!file) return false;
      try {
        await file.write(Buffer.from(letter), 0);
      } finally {
        await file.close();
      }
      return true;
    },
    async remove(generation) {
      await files.remove(pathOf(generation));
    },
    now: () => clockOf(files, folder),
  };
}

/** The server's own clock, milliseconds. */
async function clockOf(files: SftpFiles, folder: string): Promise<number> {
  const { path, file } = await files.temporary(folder);
  try {
    await file.write(Buffer.from('.'), 0);
    return (await file.stat()).mtime * 1000;
  } finally {
    await file.close();
    await files.remove(path);
  }
}

/** A file that a user put there under a name that no store takes is not an object. */
function isObjectName(name: string): boolean {
  try {
    checkName(name);
    return true;
  } catch {
    return false;
  }
}
