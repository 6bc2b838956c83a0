// Writing an object to an SFTP server from a stream: a temporary file, which goes on where it was after the connection broke, then one rename.
import { throwIfCancelled } from '../../step/errors.ts';
import { ObjectExistsError, StoreError } from '../errors.ts';
import { checkMetadata } from '../names.ts';
import { keepsForLater } from '../parts.ts';
import type { RemoteFile } from './files.ts';
import { etagOf, hashOf, type SftpFolder } from './folder.ts';
import { blocks, cancellable } from '../source.ts';
import type { ObjectInfo, PutOptions, Resumption } from '../store.ts';

const WRITE_BYTES = 4 << 20;

/** Streams an object into the folder. See Store.put. */
export async function putSftp(
  folder: SftpFolder,
  name: string,
  source: AsyncIterable<Uint8Array>,
  options: PutOptions,
): Promise<ObjectInfo> {
  return folder.cancellable(options.signal, async () => {
    const temporary = await folder.guarded('Writing', name, () => folder.tries(() => openTemporary(folder, name, options), options.signal));
    const writer = new SftpWriter(folder, name, temporary, options);
    let keep = false;
    try {
      return await writer.run(temporary.bytes === 0 ? source : (options.resume as Resumption).from(temporary.bytes));
    } catch (thrown) {
      keep = keepsForLater(options, thrown);
      throw thrown;
    } finally {
      await writer.tidy(keep);
    }
  });
}

interface Temporary {
  path: string;
  file: RemoteFile;
  /** What it has of the object already. */
  bytes: number;
}

/** A new temporary file, or the one that an interrupted upload of the same bytes has left. */
async function openTemporary(folder: SftpFolder, name: string, { resume }: PutOptions): Promise<Temporary> {
  const { files } = folder;
  if (!resume) return { ...(await files.temporary(folder.own('temporary'))), bytes: 0 };
  const path = folder.own('temporary', hashOf(`${name}\n${resume.identity}`));
  for (;;) {
    const created = await files.create(path);
    if (created) return { path, file: created, bytes: 0 };
    const file = await files.open(path, 'r+');
    if (!file) continue;
    // The last pieces were under way side by side: there may be a hole before the end.
    return { path, file, bytes: Math.max(0, (await file.stat()).size - WRITE_BYTES) };
  }
}

class SftpWriter {
  readonly #folder: SftpFolder;
  readonly #name: string;
  readonly #options: PutOptions;
  /** Of the temporary file. */
  readonly #path: string;
  #file: RemoteFile;
  /** Bytes that the server has acknowledged. */
  #written = 0;
  #committed = false;

  constructor(folder: SftpFolder, name: string, { path, file, bytes }: Temporary, options: PutOptions) {
    this.#folder = folder;
    this.#name = name;
    this.#options = options;
    this.#path = path;
    this.#file = file;
    this.#written = bytes;
    if (bytes > 0) options.onProgress?.(bytes);
  }

  async run(source: AsyncIterable<Uint8Array>): Promise<ObjectInfo> {
    await this.#fill(source);
    const { metadata: given } = this.#options;
    const metadata = typeof given === 'function' ? given() : (given ?? {});
    checkMetadata(metadata);
    throwIfCancelled(this.#options.signal);
    return this.#folder.guarded('Writing', this.#name, () => this.#commit(metadata));
  }

  /** Closes the temporary file, and removes it when nothing came of it; unless a later run may go on with it. */
  async tidy(keep: boolean): Promise<void> {
    await this.#file.close().catch(() => undefined);
    if (!this.#committed && !keep) await this.#folder.files.remove(this.#path).catch(() => false);
  }

  async #fill(source: AsyncIterable<Uint8Array>): Promise<void> {
    const buffer = Buffer.allocUnsafeSlow(WRITE_BYTES);
    for await (const block of blocks(cancellable(source, this.#options.signal), () => buffer)) {
      // Written again at the same place after a break, so that nothing doubles.
      await this.#folder.guarded('Writing', this.#name, () => this.#tries(async (file) => file.write(block, this.#written)));
      this.#written += block.length;
      this.#options.onProgress?.(this.#written);
    }
  }

  async #tries<T>(work: (file: RemoteFile) => Promise<T>): Promise<T> {
    return this.#folder.tries(async () => work(await this.#openFile()), this.#options.signal);
  }

  /** The temporary file on the connection of now. */
  async #openFile(): Promise<RemoteFile> {
    if (!this.#file.lost) return this.#file;
    const file = await this.#folder.files.open(this.#path, 'r+');
    const size = file ? (await file.stat()).size : 0;
    if (!file || size < this.#written) {
      await file?.close().catch(() => undefined);
      throw new StoreError(
        `Writing ${this.#name} in ${this.#folder.location} failed: the server has ${size} of the ${this.#written} bytes that it had taken before the connection broke.`,
        { fix: 'It may have been restarted. Run this again.' },
      );
    }
    return (this.#file = file);
  }

  /** Order matters: the metadata of the new version first (it means nothing yet), then the one step that makes the version visible. */
  async #commit(metadata: Record<string, string>): Promise<ObjectInfo> {
    const { files } = this.#folder;
    const { seconds, size } = await this.#reserve(metadata);
    const etag = etagOf({ mtime: seconds, size });
    const target = this.#folder.path(this.#name);
    const previous = await this.#folder.tries(() => files.lstat(target), this.#options.signal);
    await this.#tries(async (file) => {
      await file.setTime(seconds);
      await file.sync();
    });
    await this.#file.close().catch(() => undefined);
    try {
      await this.#rename(target, etag);
      this.#committed = true;
    } catch (thrown) {
      // When the connection broke it may have happened: then the metadata is needed.
      if (thrown instanceof ObjectExistsError) await files.remove(this.#folder.sidecar(this.#name, etag)).catch(() => false);
      throw thrown;
    }
    if (previous) await files.remove(this.#folder.sidecar(this.#name, etagOf(previous))).catch(() => false);
    return { name: this.#name, size, modified: new Date(seconds * 1000), etag, metadata };
  }

  /** SFTP tells times in seconds: creating the metadata's file reserves the second, so that no two versions of a name look alike. */
  async #reserve(metadata: Record<string, string>): Promise<{ seconds: number; size: number }> {
    const text = JSON.stringify({ name: this.#name, metadata });
    return this.#tries(async (file) => {
      const { size, mtime } = await file.stat();
      let seconds = mtime;
      while (!(await this.#folder.files.writeNew(this.#folder.sidecar(this.#name, etagOf({ mtime: seconds, size })), text))) seconds += 1;
      return { seconds, size };
    });
  }

  async #rename(target: string, etag: string): Promise<void> {
    const { files } = this.#folder;
    let asked = false;
    await this.#folder.tries(async () => {
      // Asked before the connection broke: it may have happened.
      const there = asked ? await files.lstat(target) : undefined;
      if (there && etagOf(there) === etag) return;
      asked = true;
      if (!this.#options.ifAbsent) await files.replace(this.#path, target);
      else if (!(await files.renameNew(this.#path, target))) throw this.#folder.exists(this.#name);
    }, this.#options.signal);
  }
}
