// How long a restore will take: by the bytes per second of the restores before it, and what the archive tier needs first.
import { z } from 'zod';
import { formatRate, formatSeconds, plural } from '../step/format.ts';
import type { RehydratePriority, Tiering } from '../stores/store.ts';
import type { CatalogPlace } from './everywhere.ts';
import type { ListedBackup } from './list.ts';
import { listRuns } from './runs.ts';

/** The latest restores say most: databases grow, machines change. */
const MOST_RUNS = 5;

export interface Prediction {
  /** Seconds; undefined when nothing is known. */
  seconds: number | undefined;
  /** What it is told by, as part of a sentence. */
  basis: string;
}

const restored = z.object({
  result: z.object({ component: z.string(), plainBytes: z.number().positive(), seconds: z.number().positive() }),
});

/**
 * Predicts a restore of so many plain bytes, proof of backup and target included, from the records of restores.
 * @param durationMs how long the backup took to make, reading back included: what is known before the first restore
 * @throws StoreError
 */
export async function predictRestore(
  { store, prefix }: Pick<CatalogPlace, 'store' | 'prefix'>,
  { step, component, plainBytes, durationMs }: { step: string; component: string; plainBytes: number; durationMs: number },
  signal?: AbortSignal,
): Promise<Prediction> {
  const runs = (await listRuns(store, prefix, signal)).filter(
    (run) => run.step === step && run.component === component && (run.outcome === 'succeeded' || run.outcome === 'partial'),
  );
  const seen: { plainBytes: number; seconds: number }[] = [];
  for (const { name } of runs.slice(-MOST_RUNS)) {
    const record = restored.safeParse(parsed(await store.read(name, { signal })));
    // A rollback puts back other data.
    if (record.success && record.data.result.component === component) seen.push(record.data.result);
  }
  if (seen.length === 0) return { seconds: durationMs / 1000, basis: `as the backup took; there was no restore of it yet` };
  const bytes = seen.reduce((sum, run) => sum + run.plainBytes, 0);
  const seconds = seen.reduce((sum, run) => sum + run.seconds, 0);
  // A small restore is all overhead: it never takes less than the quickest one did.
  const least = Math.min(...seen.map((run) => run.seconds));
  const what = seen.length === 1 ? 'the last restore' : `the last ${plural(seen.length, 'restore')}`;
  return { seconds: Math.max(least, (plainBytes * seconds) / bytes), basis: `by ${what}, ${formatRate(bytes, seconds)}` };
}

function parsed(bytes: Uint8Array | undefined): unknown {
  try {
    return JSON.parse(Buffer.from(bytes ?? new Uint8Array()).toString());
  } catch {
    return undefined;
  }
}

/** What must pass before an archived backup can be read; undefined for one that is readable. */
export function rehydrationOf(
  tiering: Tiering | undefined,
  { offline, tier, dataBytes }: Pick<ListedBackup, 'offline' | 'tier' | 'dataBytes'>,
  priority: RehydratePriority,
): { ms: number; text: string } | undefined {
  return offline === undefined ? undefined : tiering?.rehydrationTime(tier?.name ?? 'archive', priority, dataBytes);
}

/** `about 4m 10s (by the last 3 restores, 52 MiB/s)`, with what the archive tier needs before. */
export function predictionText({ seconds, basis }: Prediction, rehydration: { text: string } | undefined): string {
  const restore = seconds === undefined ? 'not known yet' : `about ${formatSeconds(seconds)} (${basis})`;
  return rehydration === undefined ? restore : `${rehydration.text} until the archive tier gives it back, then ${restore}`;
}
