// What an early deletion costs: cooler tiers bill for a least number of days, whenever the data goes.
import type { ObjectTier } from '../stores/store.ts';

const DAY_MS = 86_400_000;

/**
 * Days that are billed at least.
 * Azure: https://learn.microsoft.com/azure/storage/blobs/access-tiers-overview (cool 30, cold 90, archive 180).
 * S3: https://aws.amazon.com/s3/storage-classes/ (infrequent access 30, Glacier 90, deep archive 180).
 */
const LEAST_DAYS: Readonly<Record<string, number>> = {
  ...{ cool: 30, cold: 90, archive: 180 },
  ...{ standard_ia: 30, onezone_ia: 30, glacier_ir: 90, glacier: 90, deep_archive: 180 },
};

/** `early deletion: 18 more days of the cool tier are billed`; undefined when nothing is, or the tier's age is not known. */
export function earlyDeletion(tier: ObjectTier | undefined, now: Date): string | undefined {
  const least = tier && LEAST_DAYS[tier.name];
  if (least === undefined || tier?.since === undefined) return undefined;
  const left = Math.ceil(least - (now.getTime() - tier.since.getTime()) / DAY_MS);
  if (left <= 0) return undefined;
  return `early deletion: ${left} more ${left === 1 ? 'day' : 'days'} of the ${tier.name} tier are billed`;
}
