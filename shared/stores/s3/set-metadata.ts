// Writing the metadata of an S3 object anew: in its sidecar where it has one, else by a copy of the object onto itself, which S3 makes inside.
import { randomBytes } from 'node:crypto';
import type { CompletedPart, HeadObjectOutput } from '@aws-sdk/client-s3';
import { ObjectMissingError } from '../errors.ts';
import { plainEtag, type S3Bucket } from './bucket.ts';
import { hasSidecar, nativeMetadata, putSidecar, removeSidecar, sidecarMetadata, writeOf } from './metadata.ts';
import { headOf } from './put.ts';

/** The largest object that one request copies. https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html */
const MAX_COPY_BYTES = 5 * 2 ** 30;
const PART_BYTES = 2 ** 30;
const DAY_MS = 86_400_000;

type Metadata = Record<string, string>;

/** See Store.setMetadata. `maxCopyBytes` is for tests. */
export async function setMetadataS3(
  bucket: S3Bucket,
  name: string,
  metadata: Metadata,
  signal: AbortSignal | undefined,
  maxCopyBytes = MAX_COPY_BYTES,
): Promise<void> {
  await bucket.guarded('Writing the metadata of', name, signal, async () => {
    const head = await headOf(bucket, name, signal);
    if (!head) throw new ObjectMissingError(`${name} is not in ${bucket.location}.`);
    const write = writeOf(head.Metadata);
    if (write !== undefined && hasSidecar(head.Metadata)) {
      await putSidecar(bucket, name, write, metadata, signal);
      return;
    }
    const next = randomBytes(16).toString('hex');
    const native = nativeMetadata(next, metadata);
    if (!native) await putSidecar(bucket, name, next, metadata, signal);
    const written = native ?? sidecarMetadata(next);
    try {
      if ((head.ContentLength ?? 0) <= maxCopyBytes) await copyWhole(bucket, name, head, written, signal);
      else await copyInParts(bucket, name, head, written, { partBytes: Math.min(PART_BYTES, maxCopyBytes), signal });
    } catch (thrown) {
      if (!native) await removeSidecar(bucket, name, written).catch(() => undefined);
      throw thrown;
    }
  });
}

function attributes(
  { lockDays }: S3Bucket,
  { ContentType, StorageClass, ObjectLockRetainUntilDate }: HeadObjectOutput,
  Metadata: Metadata,
) {
  const until = ObjectLockRetainUntilDate ?? (lockDays > 0 ? new Date(Date.now() + lockDays * DAY_MS) : undefined);
  return {
    Metadata,
    ContentType,
    StorageClass,
    // The copy is a version of its own, and would be without the lock.
    ...(until === undefined ? {} : { ObjectLockMode: 'GOVERNANCE' as const, ObjectLockRetainUntilDate: until }),
  };
}

function sourceOf(bucket: S3Bucket, name: string, head: HeadObjectOutput) {
  const { Bucket, Key } = bucket.at(name);
  return { CopySource: encodeURI(`${Bucket}/${Key}`).replaceAll('+', '%2B'), CopySourceIfMatch: `"${plainEtag(head.ETag)}"` };
}

async function copyWhole(bucket: S3Bucket, name: string, head: HeadObjectOutput, metadata: Metadata, signal: AbortSignal | undefined) {
  const command = new bucket.sdk.CopyObjectCommand({
    ...bucket.at(name),
    ...sourceOf(bucket, name, head),
    ...attributes(bucket, head, metadata),
    MetadataDirective: 'REPLACE',
  });
  await bucket.send(command, signal);
}

async function copyInParts(
  bucket: S3Bucket,
  name: string,
  head: HeadObjectOutput,
  metadata: Metadata,
  { partBytes, signal }: { partBytes: number; signal: AbortSignal | undefined },
): Promise<void> {
  const { sdk } = bucket;
  const begun = await bucket.send(
    new sdk.CreateMultipartUploadCommand({ ...bucket.at(name), ...attributes(bucket, head, metadata) }),
    signal,
  );
  const upload = { ...bucket.at(name), UploadId: begun.UploadId };
  try {
    const parts: CompletedPart[] = [];
    const size = head.ContentLength ?? 0;
    for (let from = 0; from < size; from += partBytes) {
      const CopySourceRange = `bytes=${from}-${Math.min(size, from + partBytes) - 1}`;
      const PartNumber = parts.length + 1;
      const copied = await bucket.send(
        new sdk.UploadPartCopyCommand({ ...upload, ...sourceOf(bucket, name, head), PartNumber, CopySourceRange }),
        signal,
      );
      parts.push({ PartNumber, ETag: copied.CopyPartResult?.ETag });
    }
    await bucket.send(new sdk.CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts: parts } }), signal);
  } catch (thrown) {
    await bucket.client.send(new sdk.AbortMultipartUploadCommand(upload)).catch(() => undefined);
    throw thrown;
  }
}
