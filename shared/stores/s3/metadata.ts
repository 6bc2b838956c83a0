// Metadata of objects in S3, which wants it before the first byte: what is known only after the last one goes into a sidecar object.
import { readableMetadata } from '../names.ts';
import { S3Bucket, isMissing } from './bucket.ts';

/** In S3's own metadata: which write made this version. Has a dash, which an object's metadata cannot have. */
const WRITE_KEY = 'lifeboat-write';
/** In S3's own metadata: `sidecar` when the rest lies in an object of its own. */
const PLACE_KEY = 'lifeboat-metadata';
/** S3 keeps 2 KB of metadata per object; ours and its keys need some. */
const MAX_NATIVE_BYTES = 1700;

/** S3's metadata of a version whose metadata is known and fits; undefined when it takes a sidecar. */
export function nativeMetadata(write: string, metadata: Readonly<Record<string, string>>): Record<string, string> | undefined {
  const bytes = Object.entries(metadata).reduce((sum, [key, value]) => sum + key.length + value.length, 0);
  return bytes > MAX_NATIVE_BYTES ? undefined : { ...metadata, [WRITE_KEY]: write };
}

/** S3's metadata of a version whose metadata is in a sidecar. */
export function sidecarMetadata(write: string): Record<string, string> {
  return { [WRITE_KEY]: write, [PLACE_KEY]: 'sidecar' };
}

/** True when the metadata of a version lies in an object of its own. */
export function hasSidecar(native: Readonly<Record<string, string>> | undefined): boolean {
  return native?.[PLACE_KEY] === 'sidecar';
}

/** Which write made a version; undefined when it was not ours. */
export function writeOf(native: Readonly<Record<string, string>> | undefined): string | undefined {
  return native?.[WRITE_KEY];
}

/**
 * Writes the sidecar of a version that is about to become visible. It is named after the write, so that it belongs to one version only:
 * before the commit it means nothing, and a reader who sees the version finds it.
 */
export async function putSidecar(
  bucket: S3Bucket,
  name: string,
  write: string,
  metadata: Record<string, string>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const Body = Buffer.from(JSON.stringify(metadata));
  const command = new bucket.sdk.PutObjectCommand({ ...bucket.own(sidecarName(name, write)), Body, ContentType: 'application/json' });
  await bucket.send(command, signal);
}

/** The metadata of a version as an ObjectInfo has it. A lost sidecar leaves none. */
export async function readMetadata(
  bucket: S3Bucket,
  name: string,
  native: Readonly<Record<string, string>> | undefined,
  signal: AbortSignal | undefined,
): Promise<Record<string, string>> {
  const write = writeOf(native);
  if (!hasSidecar(native) || write === undefined) {
    return Object.fromEntries(Object.entries(native ?? {}).filter(([key]) => !key.includes('-')));
  }
  try {
    const command = new bucket.sdk.GetObjectCommand(bucket.own(sidecarName(name, write)));
    const answer = await bucket.send(command, signal);
    return parsed((await answer.Body?.transformToString()) ?? '{}');
  } catch (thrown) {
    if (isMissing(thrown)) return {};
    throw thrown;
  }
}

/** What a sidecar says; nothing when it is not one of ours any more. */
function parsed(text: string): Record<string, string> {
  try {
    return readableMetadata(JSON.parse(text));
  } catch {
    return {};
  }
}

/** Removes the sidecar of a version that is gone or never came to be. */
export async function removeSidecar(bucket: S3Bucket, name: string, native: Readonly<Record<string, string>> | undefined): Promise<void> {
  const write = writeOf(native);
  if (write === undefined || !hasSidecar(native)) return;
  await bucket.send(new bucket.sdk.DeleteObjectCommand(bucket.own(sidecarName(name, write))), undefined);
}

/** Where all sidecars of objects below a prefix lie. */
export function sidecarName(name: string, write: string): string {
  return `metadata/${name}/${write}`;
}

/** Reads a sidecar's own name: whose it is. */
export function parseSidecarName(text: string): { name: string; write: string } | undefined {
  const match = /^metadata\/(.+)\/([0-9a-f]{32})$/s.exec(text);
  return match ? { name: match[1] as string, write: match[2] as string } : undefined;
}
