// Access tiers of Azure Blob storage: which there are, and where a blob lies.
import type { ObjectTier } from '../store.ts';

/** The tiers that data can be moved to. */
export const AZURE_TIERS = ['hot', 'cool', 'cold', 'archive'] as const;
export type AzureTier = (typeof AZURE_TIERS)[number];

/** What listings and lookups say of a blob's tier, as the service writes it. */
export interface AzureTierFacts {
  accessTier: string | undefined;
  accessTierInferred: boolean | undefined;
  accessTierChangedOn: Date | undefined;
  /** `rehydrate-pending-to-hot` and the like while it is brought back. */
  archiveStatus: string | undefined;
}

/** undefined for an account without tiers. */
export function tierOf(facts: AzureTierFacts): ObjectTier | undefined {
  if (facts.accessTier === undefined || facts.accessTier === '') return undefined;
  const name = facts.accessTier.toLowerCase();
  // The tier is told as Archive until the whole blob is back.
  const offline = name !== 'archive' ? undefined : facts.archiveStatus?.startsWith('rehydrate-pending') ? 'rehydrating' : 'archived';
  return {
    name,
    inferred: facts.accessTierInferred === true,
    since: facts.accessTierChangedOn,
    offline,
  };
}
