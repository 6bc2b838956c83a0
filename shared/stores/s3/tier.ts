// Storage classes of S3: where an object lies, and bringing an archived one back.
import type { HeadObjectOutput } from '@aws-sdk/client-s3';
import type { S3Bucket } from './bucket.ts';
import { s3Failure } from './bucket.ts';
import type { ObjectTier, RehydratePriority, Tiering } from '../store.ts';

/** Classes that data can be written with: all of them are readable at once. */
export const S3_CLASSES = ['STANDARD', 'STANDARD_IA', 'ONEZONE_IA', 'INTELLIGENT_TIERING', 'GLACIER_IR'] as const;
export type S3Class = (typeof S3_CLASSES)[number];

/** How long a restored copy of an archived object stays readable. */
const READABLE_DAYS = 7;
const HOUR_MS = 3_600_000;

/** The class a HEAD tells of; the standard one is not told. */
export function s3TierOf({
  StorageClass,
  Restore,
  ArchiveStatus,
  LastModified,
}: Pick<HeadObjectOutput, 'StorageClass' | 'Restore' | 'ArchiveStatus' | 'LastModified'>): ObjectTier {
  const isArchive = StorageClass === 'GLACIER' || StorageClass === 'DEEP_ARCHIVE' || ArchiveStatus !== undefined;
  // `ongoing-request="false"`: a readable copy is there until it expires.
  const isBack = Restore?.includes('ongoing-request="false"') === true;
  const offline = !isArchive || isBack ? undefined : Restore?.includes('ongoing-request="true"') ? 'rehydrating' : 'archived';
  return {
    name: (StorageClass ?? 'STANDARD').toLowerCase(),
    since: LastModified,
    offline,
  };
}

/** The classes of a bucket. Data has its class from the moment it is written: nothing is moved later. */
export function s3Tiering(bucket: S3Bucket): Tiering {
  return {
    target: undefined,
    settle: async () => undefined,
    async rehydrate(name, priority, signal) {
      await bucket.guarded('Bringing back', name, signal, async () => {
        const head = await bucket.client.send(new bucket.sdk.HeadObjectCommand(bucket.at(name)), signal ? { abortSignal: signal } : {});
        const deep = head.StorageClass === 'DEEP_ARCHIVE';
        const command = new bucket.sdk.RestoreObjectCommand({
          ...bucket.at(name),
          RestoreRequest: {
            // Intelligent tiering brings it back for good and takes no number of days.
            ...(head.StorageClass === 'INTELLIGENT_TIERING' ? {} : { Days: READABLE_DAYS }),
            // The deepest class knows nothing faster than standard.
            GlacierJobParameters: { Tier: priority === 'high' && !deep ? 'Expedited' : 'Standard' },
          },
        });
        try {
          await bucket.client.send(command, signal ? { abortSignal: signal } : {});
        } catch (thrown) {
          if (s3Failure(thrown)?.code !== 'RestoreAlreadyInProgress') throw thrown;
        }
      });
    },
    rehydrationTime: (tier, priority) => rehydrationTime(tier, priority),
  };
}

/** What AWS says of the time. https://docs.aws.amazon.com/AmazonS3/latest/userguide/restoring-objects-retrieval-options.html */
function rehydrationTime(tier: string, priority: RehydratePriority): { ms: number; text: string } {
  if (tier === 'deep_archive') return { ms: 12 * HOUR_MS, text: 'up to 12 hours' };
  if (priority === 'high') return { ms: 5 * HOUR_MS, text: '1 to 5 minutes as a rule, 5 hours at most' };
  return { ms: 5 * HOUR_MS, text: '3 to 5 hours' };
}
