// The store in a folder: a local disk, a mounted share, a volume. Every object is a plain file under its own name.
import { createHash } from 'node:crypto';
import { constants, type BigIntStats } from 'node:fs';
import { open, readdir, rename, rmdir, stat, statfs, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { throwIfCancelled } from '../../step/errors.ts';
import { syncFolder } from '../../tools/sync-folder.ts';
import { errorCode } from '../../tools/file-errors.ts';
import { noFolder, noRoot, ObjectExistsError, ObjectMissingError, StoreError } from '../errors.ts';
import { clockOf, folderError, guarded, inFolder, lstatOrNone, nameNew, newFile, refuseLinks, removeFile } from './files.ts';
import { lockInFolder } from './lock.ts';
import { withReserve } from './reserve.ts';
import { fillFile, readFile } from './stream.ts';
import {
  etagOf,
  listFolder,
  readMetadata,
  readSidecar,
  removeSidecar,
  replaceSidecar,
  sidecarOf,
  sidecarsFolder,
  writeSidecar,
} from './sidecar.ts';
import { checkMetadata, checkName, checkPrefix, compareNames, RESERVED_SEGMENT } from '../names.ts';
import { readSmall } from '../read-small.ts';
import { cancellable } from '../source.ts';
import type { Lock, LockOptions, ObjectInfo, ReadOptions, PutOptions, Store, StoreSpace, WriteOptions } from '../store.ts';
import { once } from '../../tools/once.ts';

/** Objects whose metadata a listing reads at the same time. */
const LIST_AT_ONCE = 32;
/** Of an object that has lost its own. */
const CONTENT_TYPE = 'application/octet-stream';

/**
 * A store in a folder. Folders are 0700, files 0600. Bytes go to a temporary file first, are made durable, and get their name by one rename
 * (with `ifAbsent` by one link, which fails when the name is taken).
 */
export class FolderStore implements Store {
  readonly kind = 'folder';
  readonly onDisk = true;
  readonly location: string;
  readonly #mustExist: boolean;

  /** @param options.mustExist everything fails while the folder is not there; without it the first write makes it */
  constructor(path: string, { mustExist = false }: { mustExist?: boolean | undefined } = {}) {
    this.location = resolve(path);
    this.#mustExist = mustExist;
  }

  async put(name: string, source: AsyncIterable<Uint8Array>, options: PutOptions = {}): Promise<ObjectInfo> {
    const what = await this.#check(name, 'Writing');
    throwIfCancelled(options.signal);
    if (options.ifAbsent && (await this.stat(name))) throw this.#exists(name);
    const { path: temporary, handle } = await guarded(what, () => newFile(this.#temporaryFolder));
    let committed = false;
    try {
      await fillFile(handle, source, { ...options, what });
      const metadata = typeof options.metadata === 'function' ? options.metadata() : (options.metadata ?? {});
      checkMetadata(metadata);
      const info = await guarded(what, async () => {
        await handle.sync();
        await handle.close();
        return this.#commit(temporary, name, metadata, options);
      });
      committed = true;
      return info;
    } finally {
      await handle.close().catch(() => undefined);
      // After a rename there is nothing left to remove; after a link, the second name.
      if (!committed || options.ifAbsent) await removeFile(temporary).catch(() => false);
    }
  }

  /** Order matters: metadata of the new version first (it means nothing yet), then the one step that makes the version visible. */
  async #commit(temporary: string, name: string, metadata: Record<string, string>, options: WriteOptions): Promise<ObjectInfo> {
    const target = this.#path(name);
    const status = await this.#statRegular(temporary);
    const etag = etagOf(status);
    const { contentType } = options;
    await writeSidecar(this.location, etag, { name, metadata, contentType });
    const previous = await lstatOrNone(target);
    try {
      throwIfCancelled(options.signal);
      await inFolder(dirname(target), () => (options.ifAbsent ? nameNew(temporary, target, this.#claim(name)) : rename(temporary, target)));
      await syncFolder(dirname(target));
    } catch (thrown) {
      await removeSidecar(this.location, name, etag).catch(() => undefined);
      if (errorCode(thrown) === 'EEXIST') throw this.#exists(name, thrown);
      throw thrown;
    }
    if (previous) await removeSidecar(this.location, name, etagOf(previous)).catch(() => undefined);
    return describe(name, status, metadata);
  }

  async write(name: string, bytes: Uint8Array, options: WriteOptions = {}): Promise<ObjectInfo> {
    return withReserve(this.location, () => this.put(name, once(bytes), options));
  }

  async read(name: string, options: { maxBytes?: number; signal?: AbortSignal | undefined } = {}): Promise<Uint8Array | undefined> {
    return readSmall(this, name, options);
  }

  /** Of the file system the folder lies on; undefined while there is no folder. */
  async space(): Promise<StoreSpace | undefined> {
    return guarded(`Looking up the room in ${this.location}`, async () => {
      await this.#requireRoot();
      try {
        const { blocks: all, bavail, bsize } = await statfs(this.location);
        return { total: all * bsize, free: bavail * bsize };
      } catch (thrown) {
        if (errorCode(thrown) === 'ENOENT') return undefined;
        throw thrown;
      }
    });
  }

  async stat(name: string): Promise<ObjectInfo | undefined> {
    const what = await this.#check(name, 'Looking up');
    return guarded(what, async () => {
      const status = await lstatOrNone(this.#path(name));
      return status?.isFile() ? describe(name, status, await readMetadata(this.location, name, status)) : undefined;
    });
  }

  async setMetadata(name: string, metadata: Readonly<Record<string, string>>): Promise<void> {
    const what = await this.#check(name, 'Writing the metadata of');
    checkMetadata(metadata);
    await guarded(what, async () => {
      const status = await lstatOrNone(this.#path(name));
      if (!status?.isFile()) throw new ObjectMissingError(`${name} is not in ${this.location}.`);
      const previous = await sidecarOf(this.location, name, status);
      const sidecar = { name, contentType: previous?.contentType ?? CONTENT_TYPE, metadata: { ...metadata } };
      await replaceSidecar(this.location, etagOf(status), sidecar);
    });
  }

  async *open(name: string, options: ReadOptions = {}): AsyncGenerator<Uint8Array, void> {
    const what = await this.#check(name, 'Reading');
    const handle = await this.#openFile(name, what);
    try {
      const status = await guarded(what, () => handle.stat());
      const offset = options.offset ?? 0;
      if (offset > status.size) throw new StoreError(`${name} in ${this.location} is ${status.size} bytes; byte ${offset} was asked for.`);
      const expected = Math.min(options.length ?? Infinity, status.size - offset);
      if (expected === 0) return;
      // An open file keeps its bytes even when the name is given to a new version meanwhile.
      let delivered = 0;
      const pieces = readFile(handle, { from: offset, length: expected, reuse: options.reuse === true, what });
      for await (const chunk of cancellable(pieces, options.signal)) {
        delivered += chunk.length;
        yield chunk;
      }
      if (delivered < expected) {
        throw new StoreError(`${name} in ${this.location} became shorter while it was read: ${delivered} of ${expected} bytes came.`);
      }
    } finally {
      await handle.close();
    }
  }

  async *list(prefix: string, signal?: AbortSignal): AsyncGenerator<ObjectInfo, void> {
    checkPrefix(prefix);
    const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1);
    await guarded(`Listing ${this.location}`, async () => {
      await this.#requireRoot();
      await refuseLinks(this.location, folder.split('/').slice(0, -1));
      if (await isFile(this.location)) throw noFolder(this.location);
    });
    yield* this.#walk(folder, prefix, signal);
  }

  async *#walk(folder: string, prefix: string, signal: AbortSignal | undefined): AsyncGenerator<ObjectInfo, void> {
    throwIfCancelled(signal);
    const entries = await guarded(`Listing ${this.location}`, () => entriesOf(join(this.location, folder)));
    // A folder sorts as its name with the slash, as the names of its objects do.
    const names = entries
      .filter((entry) => (entry.isFile() || entry.isDirectory()) && !(folder === '' && entry.name === RESERVED_SEGMENT))
      .map((entry) => folder + entry.name + (entry.isDirectory() ? '/' : ''))
      .filter((name) => name.startsWith(prefix) || (name.endsWith('/') && prefix.startsWith(name)))
      .sort(compareNames);
    for (let at = 0; at < names.length;) {
      if (names[at]?.endsWith('/')) {
        yield* this.#walk(names[at] as string, prefix, signal);
        at += 1;
        continue;
      }
      const rest = names.slice(at, at + LIST_AT_ONCE);
      const nextFolder = rest.findIndex((name) => name.endsWith('/'));
      const files = nextFolder === -1 ? rest : rest.slice(0, nextFolder);
      for (const info of await Promise.all(files.map((name) => this.#statListed(name)))) if (info) yield info;
      at += files.length;
    }
  }

  /** A file that a user put there under a name that no store takes is not an object. */
  async #statListed(name: string): Promise<ObjectInfo | undefined> {
    try {
      checkName(name);
    } catch {
      return undefined;
    }
    return guarded(`Listing ${this.location}`, async () => {
      const status = await lstatOrNone(this.#path(name));
      return status?.isFile() ? describe(name, status, await readMetadata(this.location, name, status)) : undefined;
    });
  }

  async delete(name: string): Promise<boolean> {
    const what = await this.#check(name, 'Deleting');
    return guarded(what, async () => {
      const path = this.#path(name);
      const status = await lstatOrNone(path);
      if (!status?.isFile() || !(await removeFile(path))) return false;
      await syncFolder(dirname(path)).catch(ignoreMissing);
      await removeSidecar(this.location, name, etagOf(status));
      await this.#pruneEmpty(dirname(path));
      return true;
    });
  }

  async #pruneEmpty(folder: string): Promise<void> {
    for (let path = folder; path.length > this.location.length; path = dirname(path)) {
      try {
        await rmdir(path);
      } catch {
        return; // Not empty, or gone already.
      }
    }
  }

  async lock(name: string, options: LockOptions): Promise<Lock> {
    await this.#check(name, 'Locking');
    return lockInFolder(this.location, name, options);
  }

  /** Temporary files do not know the name they were meant for, so that all old ones go, whatever the prefix. */
  async sweep(_prefix: string, before: Date, signal?: AbortSignal): Promise<number> {
    return guarded(`Cleaning ${this.location}`, async () => {
      await this.#requireRoot();
      if (!(await lstatOrNone(this.#temporaryFolder))) return 0;
      // By the file system's clock: to a machine whose own is days ahead, another one's write in progress must not look old.
      const olderThan = new Date(before.getTime() + (await clockOf(this.#temporaryFolder)) - Date.now());
      let removed = 0;
      for (const file of await listFolder(this.#temporaryFolder)) {
        throwIfCancelled(signal);
        const path = join(this.#temporaryFolder, file);
        // A write in progress keeps its file's time fresh.
        if (await isOlder(path, olderThan)) removed += Number(await removeFile(path));
      }
      return removed + (await this.#sweepSidecars(olderThan, signal));
    });
  }

  /** Metadata of versions that never came to be or are gone. */
  async #sweepSidecars(olderThan: Date, signal: AbortSignal | undefined): Promise<number> {
    let removed = 0;
    const root = sidecarsFolder(this.location);
    for (const half of await listFolder(root)) {
      for (const hash of await listFolder(join(root, half))) {
        throwIfCancelled(signal);
        const folder = join(root, half, hash);
        const etags = await listFolder(folder);
        for (const etag of etags) {
          const path = join(folder, etag);
          if (!(await isOlder(path, olderThan))) continue;
          const sidecar = await readSidecar(path);
          const status = sidecar && (await lstatOrNone(this.#path(sidecar.name)));
          // In a store that was copied by hand no version matches exactly: then all are kept.
          if (status && (etagOf(status) === etag || !etags.includes(etagOf(status)))) continue;
          removed += Number(await removeFile(path));
        }
        if (etags.length === 0) await rmdir(folder).catch(() => undefined);
      }
    }
    return removed;
  }

  get #temporaryFolder(): string {
    return join(this.location, RESERVED_SEGMENT, 'temporary');
  }

  /** Among the temporary files, so that one that was left behind is swept with them. */
  #claim(name: string): string {
    return join(this.#temporaryFolder, `claim-${createHash('sha256').update(name).digest('hex')}`);
  }

  #path(name: string): string {
    return join(this.location, ...name.split('/'));
  }

  #exists(name: string, cause?: unknown): ObjectExistsError {
    return new ObjectExistsError(`${name} already exists in ${this.location} and is not overwritten.`, { cause });
  }

  /** Checks name and path; returns what is being done, for messages. */
  async #check(name: string, doing: string): Promise<string> {
    checkName(name);
    const what = `${doing} ${name} in ${this.location}`;
    await guarded(what, async () => {
      await this.#requireRoot();
      await refuseLinks(this.location, name.split('/'));
    });
    return what;
  }

  /** Asked each time: a disk may be unmounted in the middle of a run. @throws StoreError */
  async #requireRoot(): Promise<void> {
    if (!this.#mustExist) return;
    try {
      await stat(this.location);
    } catch (thrown) {
      if (errorCode(thrown) === 'ENOENT') throw noRoot(this.location);
      throw thrown;
    }
  }

  async #openFile(name: string, what: string): Promise<FileHandle> {
    try {
      const handle = await open(this.#path(name), constants.O_RDONLY | constants.O_NOFOLLOW);
      if ((await handle.stat()).isFile()) return handle;
      await handle.close();
    } catch (thrown) {
      if (errorCode(thrown) !== 'ENOENT' && errorCode(thrown) !== 'ENOTDIR') throw folderError(what, thrown);
    }
    throw new ObjectMissingError(`${name} is not in ${this.location}.`);
  }

  async #statRegular(path: string): Promise<BigIntStats> {
    const status = await lstatOrNone(path);
    if (status) return status;
    throw new StoreError(`The temporary file ${basename(path)} in ${this.location} was removed before it was complete.`);
  }
}

function describe(name: string, status: BigIntStats, metadata: Record<string, string>): ObjectInfo {
  return { name, size: Number(status.size), modified: new Date(Number(status.mtimeMs)), etag: etagOf(status), metadata };
}

async function entriesOf(folder: string) {
  try {
    return await readdir(folder, { withFileTypes: true });
  } catch (thrown) {
    if (errorCode(thrown) === 'ENOENT' || errorCode(thrown) === 'ENOTDIR') return [];
    throw thrown;
  }
}

/** Links are followed: a store may be opened through one. */
async function isFile(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile();
  } catch (thrown) {
    if (errorCode(thrown) === 'ENOENT' || errorCode(thrown) === 'ENOTDIR') return false;
    throw thrown;
  }
}

async function isOlder(path: string, than: Date): Promise<boolean> {
  try {
    return (await stat(path)).mtimeMs < than.getTime();
  } catch {
    return false;
  }
}

function ignoreMissing(thrown: unknown): void {
  if (errorCode(thrown) !== 'ENOENT') throw thrown;
}
