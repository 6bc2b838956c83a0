// The store in a folder of an SFTP server. Every object is a plain file under its own name, as in a local folder.
import { createHash } from 'node:crypto';
import { posix } from 'node:path';
import type { Stats } from 'ssh2';
import { CancelledError, throwIfCancelled } from '../step/errors.ts';
import { ObjectExistsError, ObjectMissingError, StoreError } from './errors.ts';
import { generationFile, generationsAmong, lockByGenerations, type GenerationFiles } from './generation-lock.ts';
import { checkMetadata, checkName, checkPrefix, compareNames, RESERVED_SEGMENT } from './names.ts';
import { SftpConnection, sftpError, type SftpAccess } from './sftp-connection.ts';
import { SftpFiles, type RemoteFile } from './sftp-files.ts';
import { blocks, cancellable } from './source.ts';
import type { Lock, LockOptions, ObjectInfo, OpenOptions, PutOptions, Store, WriteOptions } from './store.ts';

const WRITE_BYTES = 4 << 20;
const DEFAULT_MAX_BYTES = 64 << 20;
/** Objects whose metadata a listing reads at the same time. */
const LIST_AT_ONCE = 32;
const DEFAULT_PORT = 22;

/** `dr.yml`: `{ kind: sftp, host: backup.example.org, user: lifeboat, path: /backups, fingerprint: "SHA256:…" }`. */
export interface SftpStoreConfig extends Omit<SftpAccess, 'port'> {
  kind: 'sftp';
  port?: number;
  /** Folder on the server; a relative one starts in the user's home. */
  path: string;
}

/** Opens a folder of an SFTP server. Connects with the first request. */
export function openSftpStore(config: SftpStoreConfig): Store {
  const { path, port = DEFAULT_PORT, ...access } = config;
  const location = sftpAddress(config);
  return new SftpStore(new SftpFiles(new SftpConnection({ ...access, port }, location)), posix.normalize(path), location);
}

/** The address that opens the same store again; no secrets. */
export function sftpAddress({ host, port, user, path, fingerprint, keyFile }: SftpStoreConfig): string {
  const query = new URLSearchParams({ fingerprint, ...(keyFile === undefined ? {} : { keyFile }) }).toString();
  const at = `${encodeURIComponent(user)}@${host}${port === undefined || port === DEFAULT_PORT ? '' : `:${port}`}`;
  return `sftp://${at}${path.startsWith('/') ? '' : '/~/'}${encodeURI(path)}?${query}`;
}

class SftpStore implements Store {
  readonly kind = 'sftp';
  readonly location: string;
  readonly #files: SftpFiles;
  readonly #root: string;

  constructor(files: SftpFiles, root: string, location: string) {
    this.#files = files;
    this.#root = root;
    this.location = location;
  }

  async put(name: string, source: AsyncIterable<Uint8Array>, options: PutOptions = {}): Promise<ObjectInfo> {
    checkName(name);
    throwIfCancelled(options.signal);
    if (options.ifAbsent && (await this.stat(name))) throw this.#exists(name);
    const { path, file } = await this.#guarded('Writing', name, () => this.#files.temporary(this.#own('temporary')));
    let committed = false;
    try {
      await this.#fill(file, name, source, options);
      const metadata = typeof options.metadata === 'function' ? options.metadata() : (options.metadata ?? {});
      checkMetadata(metadata);
      throwIfCancelled(options.signal);
      const info = await this.#guarded('Writing', name, () => this.#commit({ path, file }, name, metadata, options));
      committed = true;
      return info;
    } finally {
      await file.close().catch(() => undefined);
      if (!committed) await this.#files.remove(path).catch(() => false);
    }
  }

  async #fill(file: RemoteFile, name: string, source: AsyncIterable<Uint8Array>, options: PutOptions): Promise<void> {
    const buffer = Buffer.allocUnsafeSlow(WRITE_BYTES);
    let written = 0;
    for await (const block of blocks(cancellable(source, options.signal), () => buffer)) {
      await this.#guarded('Writing', name, () => file.write(block, written));
      written += block.length;
      options.onProgress?.(written);
    }
  }

  /**
   * Order matters: the metadata of the new version first (it means nothing yet), then the one step that makes the version visible. SFTP
   * tells times in seconds: creating the metadata's file reserves the second, so that no two versions of a name look alike.
   */
  async #commit(
    temporary: { path: string; file: RemoteFile },
    name: string,
    metadata: Record<string, string>,
    options: WriteOptions,
  ): Promise<ObjectInfo> {
    const { path, file } = temporary;
    const { size, mtime } = await file.stat();
    let seconds = mtime;
    while (!(await this.#files.writeNew(this.#sidecar(name, etagOf({ mtime: seconds, size })), JSON.stringify({ name, metadata }))))
      seconds += 1;
    const etag = etagOf({ mtime: seconds, size });
    const target = this.#path(name);
    const previous = await this.#files.lstat(target);
    try {
      await file.setTime(seconds);
      await file.sync();
      await file.close();
      if (!options.ifAbsent) await this.#files.replace(path, target);
      else if (!(await this.#files.renameNew(path, target))) throw this.#exists(name);
    } catch (thrown) {
      // When the connection broke it may have happened: then the metadata is needed.
      if (thrown instanceof ObjectExistsError) await this.#files.remove(this.#sidecar(name, etag)).catch(() => false);
      throw thrown;
    }
    if (previous) await this.#files.remove(this.#sidecar(name, etagOf(previous))).catch(() => false);
    return { name, size, modified: new Date(seconds * 1000), etag, metadata };
  }

  async write(name: string, bytes: Uint8Array, options: WriteOptions = {}): Promise<ObjectInfo> {
    return this.put(name, once(bytes), options);
  }

  async read(name: string, options: { maxBytes?: number; signal?: AbortSignal | undefined } = {}): Promise<Uint8Array | undefined> {
    const maxBytes = options.maxBytes ?? DEFAULT_MAX_BYTES;
    const info = await this.stat(name);
    if (!info) return undefined;
    if (info.size > maxBytes)
      throw new StoreError(`${name} in ${this.location} is ${info.size} bytes, more than the ${maxBytes} expected.`);
    const chunks: Uint8Array[] = [];
    try {
      for await (const chunk of this.open(name, { signal: options.signal, length: maxBytes })) chunks.push(chunk);
    } catch (thrown) {
      if (thrown instanceof ObjectMissingError) return undefined;
      throw thrown;
    }
    return Buffer.concat(chunks);
  }

  async stat(name: string, signal?: AbortSignal): Promise<ObjectInfo | undefined> {
    checkName(name);
    throwIfCancelled(signal);
    return this.#guarded('Looking up', name, async () => {
      const stats = await this.#files.lstat(this.#path(name));
      return stats?.isFile() ? this.#describe(name, stats) : undefined;
    });
  }

  async #describe(name: string, stats: Stats): Promise<ObjectInfo | undefined> {
    let now: Stats | undefined = stats;
    while (now) {
      const sidecar = await this.#files.readText(this.#sidecar(name, etagOf(now)));
      const again: Stats | undefined = sidecar ? now : await this.#files.lstat(this.#path(name));
      // No metadata: a file that somebody put there, unless it was replaced just now.
      if (again && etagOf(again) === etagOf(now)) {
        const metadata = sidecar ? parseSidecar(sidecar.text)?.metadata : undefined;
        return { name, size: now.size, modified: new Date(now.mtime * 1000), etag: etagOf(now), metadata: metadata ?? {} };
      }
      now = again;
    }
    return undefined;
  }

  async *open(name: string, options: OpenOptions = {}): AsyncGenerator<Uint8Array, void> {
    checkName(name);
    throwIfCancelled(options.signal);
    const file = await this.#guarded('Reading', name, async () => {
      const stats = await this.#files.lstat(this.#path(name));
      return stats?.isFile() ? this.#files.open(this.#path(name), 'r') : undefined;
    });
    if (!file) throw new ObjectMissingError(`${name} is not in ${this.location}.`);
    try {
      // An open file keeps its bytes even when the name is given to a new version meanwhile.
      const { size } = await this.#guarded('Reading', name, () => file.stat());
      const offset = options.offset ?? 0;
      if (offset > size) throw new StoreError(`${name} in ${this.location} is ${size} bytes; byte ${offset} was asked for.`);
      const expected = Math.min(options.length ?? Infinity, size - offset);
      let delivered = 0;
      try {
        for await (const chunk of cancellable(file.read(offset, expected), options.signal)) {
          delivered += chunk.length;
          yield chunk;
        }
      } catch (thrown) {
        throw thrown instanceof CancelledError ? thrown : sftpError(`Reading ${name} in ${this.location}`, thrown);
      }
      if (delivered < expected) {
        throw new StoreError(`${name} in ${this.location} became shorter while it was read: ${delivered} of ${expected} bytes came.`);
      }
    } finally {
      await file.close().catch(() => undefined);
    }
  }

  async *list(prefix: string, signal?: AbortSignal): AsyncGenerator<ObjectInfo, void> {
    checkPrefix(prefix);
    yield* this.#walk(prefix.slice(0, prefix.lastIndexOf('/') + 1), prefix, signal);
  }

  async *#walk(folder: string, prefix: string, signal: AbortSignal | undefined): AsyncGenerator<ObjectInfo, void> {
    throwIfCancelled(signal);
    const entries = await this.#guarded('Listing', prefix, () => this.#files.entries(posix.join(this.#root, folder)));
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
        .map(({ name, stats }) => this.#guarded('Listing', name, () => this.#describe(name, stats)));
      for (const info of await Promise.all(infos)) if (info) yield info;
      at += files.length;
    }
  }

  async delete(name: string, signal?: AbortSignal): Promise<boolean> {
    checkName(name);
    throwIfCancelled(signal);
    return this.#guarded('Deleting', name, async () => {
      const path = this.#path(name);
      const stats = await this.#files.lstat(path);
      if (!stats?.isFile() || !(await this.#files.remove(path))) return false;
      await this.#files.remove(this.#sidecar(name, etagOf(stats)));
      await this.#files.removeFolder(posix.dirname(this.#sidecar(name, etagOf(stats))));
      for (let folder = posix.dirname(path); folder.length > this.#root.length; folder = posix.dirname(folder)) {
        if (!(await this.#files.removeFolder(folder))) break;
      }
      return true;
    });
  }

  async lock(name: string, options: LockOptions): Promise<Lock> {
    checkName(name);
    const folder = this.#own('locks', hashOf(name));
    return this.#guarded('Locking', name, () => lockByGenerations(lockFiles(this.#files, folder), `${name} in ${this.location}`, options));
  }

  /** Temporary files do not know the name they were meant for, so that all old ones go, whatever the prefix. */
  async sweep(_prefix: string, olderThan: Date, signal?: AbortSignal): Promise<number> {
    return this.#guarded('Cleaning', '', async () => {
      let removed = 0;
      const isOld = ({ stats }: { stats: Stats }): boolean => stats.mtime * 1000 < olderThan.getTime();
      for (const entry of await this.#files.entries(this.#own('temporary'))) {
        throwIfCancelled(signal);
        if (isOld(entry)) removed += Number(await this.#files.remove(this.#own('temporary', entry.name)));
      }
      for (const { name: hash } of await this.#files.entries(this.#own('metadata'))) {
        throwIfCancelled(signal);
        const versions = await this.#files.entries(this.#own('metadata', hash));
        for (const version of versions.filter(isOld)) {
          const path = this.#own('metadata', hash, version.name);
          const sidecar = parseSidecar((await this.#files.readText(path))?.text ?? '');
          const stats = sidecar && (await this.#files.lstat(this.#path(sidecar.name)));
          if (stats && etagOf(stats) === version.name) continue;
          removed += Number(await this.#files.remove(path));
        }
        if (versions.length === 0) await this.#files.removeFolder(this.#own('metadata', hash));
      }
      return removed;
    });
  }

  #path(name: string): string {
    return posix.join(this.#root, name);
  }

  /** A path of the store's own. */
  #own(...segments: string[]): string {
    return posix.join(this.#root, RESERVED_SEGMENT, ...segments);
  }

  #sidecar(name: string, etag: string): string {
    return this.#own('metadata', hashOf(name), etag);
  }

  #exists(name: string): ObjectExistsError {
    return new ObjectExistsError(`${name} already exists in ${this.location} and is not overwritten.`);
  }

  async #guarded<T>(doing: string, name: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (thrown) {
      throw sftpError(`${doing} ${name} in ${this.location}`, thrown);
    }
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
    async now() {
      const { path, file } = await files.temporary(folder);
      try {
        await file.write(Buffer.from('.'), 0);
        return (await file.stat()).mtime * 1000;
      } finally {
        await file.close();
        await files.remove(path);
      }
    },
  };
}

function etagOf({ mtime, size }: Pick<Stats, 'mtime' | 'size'>): string {
  return `${mtime.toString(16)}-${size}`;
}

function hashOf(name: string): string {
  return createHash('sha256').update(name).digest('hex');
}

/** What a metadata file says; undefined when it was cut by a crash. */
function parseSidecar(text: string): { name: string; metadata: Record<string, string> } | undefined {
  try {
    const value = JSON.parse(text) as { name?: unknown; metadata?: unknown };
    return typeof value.name === 'string' && typeof value.metadata === 'object'
      ? (value as { name: string; metadata: Record<string, string> })
      : undefined;
  } catch {
    return undefined;
  }
}

/** A file that somebody put there under a name that no store takes is not an object. */
function isObjectName(name: string): boolean {
  try {
    checkName(name);
    return true;
  } catch {
    return false;
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void> {
  yield bytes;
}
