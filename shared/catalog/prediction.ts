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
  /** The seconds of each part of the work, where the records tell them. */
  parts?: { name: string; seconds: number }[];
}

/** The parts of a restore, in their order, by their names in a record's `phases`; and how people call them. */
const PARTS = { proof: 'proof of the backup', safety: 'safety backup', writing: 'writing', readBack: 'reading back' } as const;
type Part = keyof typeof PARTS;

const phase = z.number().nonnegative();
const restored = z.object({
  result: z.object({
    component: z.string(),
    plainBytes: z.number().positive(),
    seconds: z.number().positive(),
    /** Seconds of each part; records of earlier versions have none. */
    phases: z.object({ proof: phase, safety: phase, writing: phase, readBack: phase }).optional(),
  }),
});
type Restored = z.infer<typeof restored>['result'];

/** What is to be restored. */
export interface AboutRestore {
  step: string;
  component: string;
  plainBytes: number;
  /** How long the backup took to make, reading back included: all that is known before the first restore. */
  durationMs: number;
  /** Parts of the work that this restore leaves out: no proof was asked for, or nothing is replaced. */
  without?: readonly Part[];
}

/**
 * Predicts a restore of so many plain bytes, proof of backup and target included, from the records of restores.
 * @throws StoreError
 */
export async function predictRestore(
  { store, prefix }: Pick<CatalogPlace, 'store' | 'prefix'>,
  { step, component, plainBytes, durationMs, without = [] }: AboutRestore,
  signal?: AbortSignal,
): Promise<Prediction> {
  const runs = (await listRuns(store, prefix, signal)).filter(
    (run) => run.step === step && run.component === component && (run.outcome === 'succeeded' || run.outcome === 'partial'),
  );
  const seen: Restored[] = [];
  for (const { name } of runs.slice(-MOST_RUNS)) {
    const record = restored.safeParse(parsed(await store.read(name, { signal })));
    // A rollback puts back other data.
    if (record.success && record.data.result.component === component) seen.push(record.data.result);
  }
  if (seen.length === 0) {
    const took = formatSeconds(durationMs / 1000);
    return { seconds: undefined, basis: `there was no restore of it to go by; the backup took ${took}, and a restore takes longer` };
  }
  const parts = (Object.keys(PARTS) as Part[]).filter((part) => !without.includes(part)).flatMap((part) => partOf(part, seen, plainBytes));
  const whole = scaled(seen, plainBytes, (run) => run.seconds);
  const seconds = parts.length === 0 ? whole : parts.reduce((sum, part) => sum + part.seconds, 0);
  const what = seen.length === 1 ? 'the last restore' : `the last ${plural(seen.length, 'restore')}`;
  const bytes = seen.reduce((sum, run) => sum + run.plainBytes, 0);
  const rate = formatRate(
    bytes,
    seen.reduce((sum, run) => sum + run.seconds, 0),
  );
  return { seconds, basis: `by ${what}, ${rate}`, ...(parts.length === 0 ? {} : { parts }) };
}

/** Of a part that no restore before had (nothing was replaced then), nothing is known. */
function partOf(part: Part, seen: readonly Restored[], plainBytes: number): { name: string; seconds: number }[] {
  const had = seen.filter(({ phases }) => phases !== undefined && phases[part] > 0);
  return had.length === 0 ? [] : [{ name: PARTS[part], seconds: scaled(had, plainBytes, ({ phases }) => phases?.[part] ?? 0) }];
}

/** By bytes per second; a small restore is all overhead, so it never takes less than the quickest one did. */
function scaled(seen: readonly Restored[], plainBytes: number, secondsOf: (run: Restored) => number): number {
  const bytes = seen.reduce((sum, run) => sum + run.plainBytes, 0);
  const seconds = seen.reduce((sum, run) => sum + secondsOf(run), 0);
  return Math.max(Math.min(...seen.map(secondsOf)), (plainBytes * seconds) / bytes);
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

/** `about 4m 10s (by the last 3 restores, 52 MiB/s): writing 2m, reading back 2m 10s`, with what the archive tier needs before. */
export function predictionText({ seconds, basis, parts = [] }: Prediction, rehydration: { text: string } | undefined): string {
  const inParts = parts.map(({ name, seconds: ofPart }) => `${name} ${formatSeconds(ofPart)}`).join(', ');
  const known = `about ${formatSeconds(seconds ?? 0)} (${basis})${inParts === '' ? '' : `: ${inParts}`}`;
  const restore = seconds === undefined ? `a time that is not known yet${basis === '' ? '' : ` (${basis})`}` : known;
  return rehydration === undefined ? restore : `${rehydration.text} until the archive tier gives it back, then ${restore}`;
}
