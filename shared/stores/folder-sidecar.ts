// Metadata of a folder store's objects: one small file per version of an object, so that data and metadata change in one rename.
import { createHash } from 'node:crypto';
import type { BigIntStats } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { syncFolder } from '../tools/sync-folder.ts';
import { errorCode } from '../tools/file-errors.ts';
import { removeFile, writeDurably } from './folder-files.ts';
import { RESERVED_SEGMENT } from './names.ts';

/** What a sidecar file holds. */
export interface Sidecar {
  /** The object's name, for a person who looks, and for the sweep. */
  name: string;
  contentType?: string;
  metadata: Record<string, string>;
}

/** A file's version: a rename keeps all three. Also the name of its sidecar. */
export function etagOf(status: BigIntStats): string {
  return `${status.mtimeNs.toString(16)}-${status.ino.toString(16)}-${status.size}`;
}

/** Where the sidecars of one object lie. A hash, because names may be as long as the file system allows. */
export function sidecarFolder(root: string, name: string): string {
  const hash = createHash('sha256').update(name).digest('hex');
  return join(sidecarsFolder(root), hash.slice(0, 2), hash.slice(2));
}

/** Where all sidecars lie. */
export function sidecarsFolder(root: string): string {
  return join(root, RESERVED_SEGMENT, 'metadata');
}

/** Writes the sidecar of a version that is about to be renamed into place. Until then it means nothing to anybody. */
export async function writeSidecar(root: string, etag: string, sidecar: Sidecar): Promise<void> {
  const folder = sidecarFolder(root, sidecar.name);
  await writeDurably(join(folder, etag), JSON.stringify(sidecar));
  await syncFolder(folder);
}

/** Forgets the sidecar of a version that is gone. */
export async function removeSidecar(root: string, name: string, etag: string): Promise<void> {
  await removeFile(join(sidecarFolder(root, name), etag));
}

/**
 * The metadata of an object's present version. A store that was copied by hand has files with new inodes and perhaps new times:
 * then the only sidecar of the same size is taken.
 */
export async function readMetadata(root: string, name: string, status: BigIntStats): Promise<Record<string, string>> {
  const folder = sidecarFolder(root, name);
  const exact = await readSidecar(join(folder, etagOf(status)));
  if (exact) return exact.metadata;
  const candidates = (await listFolder(folder)).filter((etag) => etag.endsWith(`-${status.size}`));
  const [only] = candidates;
  return (candidates.length === 1 && only !== undefined ? await readSidecar(join(folder, only)) : undefined)?.metadata ?? {};
}

/** A sidecar; undefined when it is missing or was cut by a crash. */
export async function readSidecar(path: string): Promise<Sidecar | undefined> {
  try {
    const value = JSON.parse(await readFile(path, 'utf8')) as Partial<Sidecar>;
    return typeof value.name === 'string' && typeof value.metadata === 'object' ? (value as Sidecar) : undefined;
  } catch (thrown) {
    if (thrown instanceof SyntaxError || errorCode(thrown) === 'ENOENT') return undefined;
    throw thrown;
  }
}

/** Names in a folder; none when it is not there. */
export async function listFolder(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (thrown) {
    if (errorCode(thrown) === 'ENOENT') return [];
    throw thrown;
  }
}
