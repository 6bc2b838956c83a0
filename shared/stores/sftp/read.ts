// Reading from an SFTP server: one version of an object, also across connections that broke.
import type { Stats } from 'ssh2';
import { CancelledError, throwIfCancelled } from '../../step/errors.ts';
import { ObjectMissingError, StoreError } from '../errors.ts';
import { explained } from '../patience.ts';
import { sftpAway, sftpError } from './connection.ts';
import { readableMetadata } from '../names.ts';
import type { RemoteFile } from './files.ts';
import { etagOf, type SftpFolder } from './folder.ts';
import { cancellable } from '../source.ts';
import type { ObjectInfo, ReadOptions } from '../store.ts';

/** How often in a row a connection may break before a single byte came over it. */
const MOST_BREAKS = 3;

/** What is known of an object; undefined when it is not there. */
export async function statSftp(folder: SftpFolder, name: string, signal: AbortSignal | undefined): Promise<ObjectInfo | undefined> {
  return folder.guarded('Looking up', name, () =>
    folder.tries(async () => {
      const stats = await folder.files.lstat(folder.path(name));
      return stats?.isFile() ? describeSftp(folder, name, stats) : undefined;
    }, signal),
  );
}

/** The facts of a file with its metadata; undefined when it is gone meanwhile. */
export async function describeSftp(folder: SftpFolder, name: string, stats: Stats): Promise<ObjectInfo | undefined> {
  let now: Stats | undefined = stats;
  while (now) {
    const sidecar = await folder.files.readText(folder.sidecar(name, etagOf(now)));
    const again: Stats | undefined = sidecar ? now : await folder.files.lstat(folder.path(name));
    // No metadata: a file that a user put there, unless it was replaced just now.
    if (again && etagOf(again) === etagOf(now)) {
      const read = sidecar && parseSidecar(sidecar.text);
      const metadata = read?.name === name ? read.metadata : {};
      return { name, size: now.size, modified: new Date(now.mtime * 1000), etag: etagOf(now), metadata };
    }
    now = again;
  }
  return undefined;
}

/** Streams an object, or a part of it. See Store.open. */
export async function* openSftp(folder: SftpFolder, name: string, options: ReadOptions): AsyncGenerator<Uint8Array, void> {
  throwIfCancelled(options.signal);
  // An open file keeps its bytes even when the name is given to a new version meanwhile.
  let opened = await openVersion(folder, name, options.signal);
  if (!opened) throw new ObjectMissingError(`${name} is not in ${folder.location}.`);
  const { size, etag } = opened;
  const stop = folder.hurryOnCancel(options.signal);
  try {
    const offset = options.offset ?? 0;
    if (offset > size) throw new StoreError(`${name} in ${folder.location} is ${size} bytes; byte ${offset} was asked for.`);
    const expected = Math.min(options.length ?? Infinity, size - offset);
    let delivered = 0;
    for (let breaks = 0; breaks <= MOST_BREAKS;) {
      const before = delivered;
      try {
        for await (const chunk of cancellable(opened.file.read(offset + delivered, expected - delivered), options.signal)) {
          delivered += chunk.length;
          yield chunk;
        }
        if (delivered < expected) throw becameShorter(folder, name, delivered, expected);
        return;
      } catch (thrown) {
        breaks = delivered > before ? 0 : breaks + 1;
        if (!sftpAway(thrown) || breaks > MOST_BREAKS) throw readError(folder, name, thrown);
      }
      const again = await openVersion(folder, name, options.signal);
      if (again?.etag !== etag) {
        await again?.file.close().catch(() => undefined);
        throw new StoreError(`${name} in ${folder.location} was replaced or deleted while it was read.`, {
          fix: 'Make sure that no other run writes or prunes this backup, then read it again.',
        });
      }
      opened = again;
    }
  } finally {
    await opened.file.close().catch(() => undefined);
    stop();
  }
}

async function openVersion(
  folder: SftpFolder,
  name: string,
  signal: AbortSignal | undefined,
): Promise<{ file: RemoteFile; size: number; etag: string } | undefined> {
  return folder.guarded('Reading', name, () =>
    folder.tries(async () => {
      const path = folder.path(name);
      const file = (await folder.files.lstat(path))?.isFile() ? await folder.files.open(path, 'r') : undefined;
      if (!file) return undefined;
      const stats = await file.stat();
      return { file, size: stats.size, etag: etagOf(stats) };
    }, signal),
  );
}

function becameShorter({ location }: SftpFolder, name: string, delivered: number, expected: number): StoreError {
  return new StoreError(`${name} in ${location} became shorter while it was read: ${delivered} of ${expected} bytes came.`);
}

function readError({ location }: SftpFolder, name: string, thrown: unknown): Error {
  return thrown instanceof CancelledError ? thrown : explained(thrown, (cause) => sftpError(`Reading ${name} in ${location}`, cause));
}

/** What a metadata file says; undefined when it was cut by a crash, or is not one of ours. */
export function parseSidecar(text: string): { name: string; metadata: Record<string, string> } | undefined {
  try {
    const value = JSON.parse(text) as { name?: unknown; metadata?: unknown } | null;
    return typeof value?.name === 'string' ? { name: value.name, metadata: readableMetadata(value.metadata) } : undefined;
  } catch {
    return undefined;
  }
}
