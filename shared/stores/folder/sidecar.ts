// Metadata of a folder store's objects: one small file per version of an object, so that data and metadata change in one rename.
import { createHash, randomBytes } from 'node:crypto';
import type { BigIntStats } from 'node:fs';
import { readdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { syncFolder } from '../../tools/sync-folder.ts';
import { errorCode } from '../../tools/file-errors.ts';
import { inFolder, removeFile, writeDurably } from './files.ts';
import { readableMetadata, RESERVED_SEGMENT } from '../names.ts';

/** What a sidecar file holds. */
export interface Sidecar {
  /** The object's name, for a person who looks, and for the sweep. */
  name: string;
  contentType?: string | undefined;
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

/** Writes the sidecar of a version that is there anew, in one step. */
export async function replaceSidecar(root: string, etag: string, sidecar: Sidecar): Promise<void> {
  const folder = sidecarFolder(root, sidecar.name);
  const temporary = join(root, RESERVED_SEGMENT, 'temporary', `metadata-${randomBytes(12).toString('hex')}`);
  try {
    await writeDurably(temporary, JSON.stringify(sidecar));
    await inFolder(folder, () => rename(temporary, join(folder, etag)));
  } catch (thrown) {
    await removeFile(temporary).catch(() => false);
    throw thrown;
  }
  await syncFolder(folder);
}

/** Writes the sidecar of a version that is about to be renamed into place. Until then it means nothing. */
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
  return (await sidecarOf(root, name, status))?.metadata ?? {};
}

/** The sidecar of an object's present version, as `readMetadata` finds it; undefined when there is none. */
export async function sidecarOf(root: string, name: string, status: BigIntStats): Promise<Sidecar | undefined> {
  const folder = sidecarFolder(root, name);
  const exact = await readSidecar(join(folder, etagOf(status)));
  if (exact) return exact.name === name ? exact : undefined;
  const candidates = (await listFolder(folder)).filter((etag) => etag.endsWith(`-${status.size}`));
  const [only] = candidates;
  const sidecar = candidates.length === 1 && only !== undefined ? await readSidecar(join(folder, only)) : undefined;
  return sidecar?.name === name ? sidecar : undefined;
}

/** What stands in the place of a file that cannot be one of ours. */
const NO_SIDECAR: ReadonlySet<string | undefined> = new Set(['ENOENT', 'ENOTDIR', 'EISDIR', 'ELOOP']);
/** What the writer writes, and nothing else. */
const FIELDS: ReadonlySet<string> = new Set(['name', 'contentType', 'metadata']);

/** The types of everything that is written into a store. */
const CONTENT_TYPES: ReadonlySet<string> = new Set(['application/json', 'application/octet-stream', 'application/x-ndjson', 'text/plain']);

/** A sidecar; undefined when it is missing, was cut by a crash, or is not what the writer writes. */
export async function readSidecar(path: string): Promise<Sidecar | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (thrown) {
    if (NO_SIDECAR.has(errorCode(thrown))) return undefined;
    throw thrown;
  }
  try {
    const value = JSON.parse(text) as Partial<Sidecar> | null;
    if (typeof value?.name !== 'string' || Object.keys(value).some((field) => !FIELDS.has(field))) return undefined;
    const { name, contentType } = value;
    if (contentType !== undefined && !CONTENT_TYPES.has(contentType)) return undefined;
    return { name, contentType, metadata: readableMetadata(value.metadata) };
  } catch {
    return undefined;
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
