// Multipart uploads that go on in another run: a small object says which upload has which bytes, as S3 itself does not tell before the end.
import { createHash } from 'node:crypto';
import type { CompletedPart, Part } from '@aws-sdk/client-s3';
import { isMissing, type S3Bucket } from './bucket.ts';

/** Where the notes lie, below the store's own folder. */
export const UPLOAD_NOTES = 'uploads/';

interface Note {
  /** Which bytes are being uploaded. */
  identity: string;
  upload: string;
}

/** What an interrupted upload of the same bytes has sent. */
export interface Interrupted {
  upload: string;
  /** Without a gap, from the first on. */
  parts: CompletedPart[];
  bytes: number;
}

function noteOf(name: string): string {
  return UPLOAD_NOTES + createHash('sha256').update(name).digest('hex');
}

/** Writes down which upload has the bytes of `identity`. */
export async function noteUpload(bucket: S3Bucket, name: string, note: Note, signal: AbortSignal | undefined): Promise<void> {
  const Body = Buffer.from(JSON.stringify(note));
  await bucket.send(new bucket.sdk.PutObjectCommand({ ...bucket.own(noteOf(name)), Body, ContentType: 'application/json' }), signal);
}

export async function forgetUpload(bucket: S3Bucket, name: string, signal: AbortSignal | undefined): Promise<void> {
  await bucket.send(new bucket.sdk.DeleteObjectCommand(bucket.own(noteOf(name))), signal);
}

/** Finds what an interrupted upload of the same bytes has sent; undefined when there is none, or nothing of it. */
export async function interruptedUpload(
  bucket: S3Bucket,
  name: string,
  identity: string,
  sizeOf: (index: number) => number,
  signal: AbortSignal | undefined,
): Promise<Interrupted | undefined> {
  try {
    const answer = await bucket.send(new bucket.sdk.GetObjectCommand(bucket.own(noteOf(name))), signal);
    const note = parseNote((await answer.Body?.transformToString()) ?? '');
    if (note?.identity !== identity) return undefined;
    const parts: CompletedPart[] = [];
    let bytes = 0;
    for await (const part of partsOf(bucket, { ...bucket.at(name), UploadId: note.upload }, signal)) {
      const { PartNumber, ETag, ChecksumCRC32C, Size } = part;
      // Without its checksum it cannot be named at the end.
      if (PartNumber !== parts.length + 1 || Size !== sizeOf(parts.length) || ChecksumCRC32C === undefined) break;
      parts.push({ PartNumber, ETag, ChecksumCRC32C });
      bytes += Size;
    }
    return parts.length === 0 ? undefined : { upload: note.upload, parts, bytes };
  } catch (thrown) {
    // No note, or an upload that was completed or dropped.
    if (isMissing(thrown)) return undefined;
    throw thrown;
  }
}

/** The parts of an upload by their numbers. */
export async function* partsOf(
  bucket: S3Bucket,
  upload: { Bucket: string; Key: string; UploadId: string },
  signal: AbortSignal | undefined,
): AsyncGenerator<Part, void> {
  let marker: string | undefined;
  do {
    const input = { ...upload, PartNumberMarker: marker };
    const page = await bucket.send(new bucket.sdk.ListPartsCommand(input), signal);
    yield* page.Parts ?? [];
    // The SDK's own paging goes by the marker, which some services send with the last page, too, and never ends.
    marker = page.IsTruncated ? page.NextPartNumberMarker : undefined;
  } while (marker !== undefined);
}

function parseNote(text: string): Note | undefined {
  try {
    const note = JSON.parse(text) as Partial<Note>;
    return typeof note.identity === 'string' && typeof note.upload === 'string' ? (note as Note) : undefined;
  } catch {
    return undefined;
  }
}
