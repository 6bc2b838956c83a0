// Moves blobs between the access tiers of Azure Blob storage: backups' data once it is proved, an archived one back.
import type { AzureContainer } from './container.ts';
import { isAzureError } from './errors.ts';
import { isBlobMissing } from './read.ts';
import type { AzureTier } from './tier.ts';
import type { RehydratePriority, Tiering } from '../store.ts';

const HOUR_MS = 3_600_000;
const GB = 1e9;

/** The tiers of a container. @param target where data goes once it is proved */
export function azureTiering(container: AzureContainer, target: AzureTier | undefined): Tiering {
  return {
    target,
    async settle(name, signal) {
      if (target === undefined) return;
      const tier = `${target.charAt(0).toUpperCase()}${target.slice(1)}`;
      await container.guarded(`Moving to the ${target} tier`, name, async () => {
        try {
          await container.tries((abortSignal) => container.blob(name).setAccessTier(tier, { abortSignal }), signal);
        } catch (thrown) {
          // Retention was faster.
          if (!isBlobMissing(thrown)) throw thrown;
        }
      });
    },
    async rehydrate(name, priority, signal) {
      const rehydratePriority = priority === 'high' ? 'High' : 'Standard';
      await container.guarded('Bringing back', name, async () => {
        try {
          await container.tries((abortSignal) => container.blob(name).setAccessTier('Hot', { rehydratePriority, abortSignal }), signal);
        } catch (thrown) {
          // Under way already, and no more urgent than before.
          if (!isAzureError(thrown, 'BlobBeingRehydrated', 'CannotChangeToLowerTier')) throw thrown;
        }
      });
    },
    rehydrationTime: (_tier, priority, bytes) => rehydrationTime(priority, bytes),
  };
}

/**
 * What Microsoft says of the time: up to 15 hours, with high priority under one hour for objects under 10 GB.
 * https://learn.microsoft.com/azure/storage/blobs/archive-rehydrate-overview#rehydration-priority
 */
function rehydrationTime(priority: RehydratePriority, bytes: number): { ms: number; text: string } {
  if (priority === 'standard') return { ms: 15 * HOUR_MS, text: 'up to 15 hours' };
  if (bytes < 10 * GB) return { ms: HOUR_MS, text: 'under an hour, as a rule' };
  return { ms: 15 * HOUR_MS, text: 'more than an hour for so much data, at most 15' };
}
