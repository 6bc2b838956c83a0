// Brings an archived object back: begins it, waits for it where that is wanted, and says how long it takes.
import { RefusedError } from '../step/errors.ts';
import { formatSeconds } from '../step/format.ts';
import type { ObjectInfo, RehydratePriority, Store, Tiering } from '../stores/store.ts';
import type { Clock } from '../tools/clock.ts';

/** Nothing that takes hours needs to be asked after more often. */
const POLL_MS = 60_000;

export interface BringBack {
  store: Store;
  /** The data object. */
  name: string;
  /** The backup as messages call it. */
  label: string;
  /** Undefined: no one has agreed to pay for it. */
  priority: RehydratePriority | undefined;
  /** How long to wait, in milliseconds; 0: not at all. */
  waitMs: number;
  /** An input in the host's own spelling. */
  spell: (name: 'rehydrate' | 'rehydrateWait') => string;
  clock: Clock;
  signal: AbortSignal;
  /** Told now and then while waiting. */
  onWait?: (waited: string) => void;
}

/** The refusal of a backup that was not asked to be brought back. */
export function archivedError({ label, store, spell }: Pick<BringBack, 'label' | 'store' | 'spell'>, time: { text: string }): RefusedError {
  return new RefusedError(`${label} lies in the archive tier of ${store.location}; it can be read ${time.text} after it is asked for.`, {
    fix: `Ask for it with ${spell('rehydrate')} standard, or high (faster and dearer); with ${spell('rehydrateWait')} 16h the run waits for it. Or take another backup.`,
  });
}

/**
 * Makes an object readable.
 * @returns true when it was not readable before
 * @throws RefusedError while it is not: the call may not ask for it, does not wait, or waited too long; StoreError
 */
export async function bringBack(request: BringBack): Promise<boolean> {
  const { store, name, priority, waitMs, clock, signal } = request;
  const before = await store.stat(name, signal);
  const { tiering } = store;
  if (!before?.tier?.offline || !tiering) return false;
  const time = tiering.rehydrationTime(before.tier.name, priority ?? 'standard', before.size);
  if (before.tier.offline === 'archived' && priority === undefined) throw archivedError(request, time);
  // One that is on its way already becomes more urgent at most.
  if (before.tier.offline === 'archived' || priority === 'high') await begin(tiering, request);
  const started = clock.monotonic();
  for (;;) {
    if (isReadable(await store.stat(name, signal))) return true;
    const waited = clock.monotonic() - started;
    if (waited >= waitMs) throw underWay(request, time);
    request.onWait?.(`${formatSeconds(waited / 1000)} so far; ${time.text}`);
    await clock.sleep(Math.min(POLL_MS, waitMs - waited), signal);
  }
}

async function begin(tiering: Tiering, { name, priority, signal }: BringBack): Promise<void> {
  await tiering.rehydrate(name, priority ?? 'standard', signal);
}

function isReadable(info: ObjectInfo | undefined): boolean {
  return info?.tier?.offline === undefined;
}

function underWay({ label, store, spell }: BringBack, time: { text: string }): RefusedError {
  return new RefusedError(
    `${label} is being brought back from the archive tier of ${store.location}: ${time.text}. Nothing was restored.`,
    {
      fix: `Run the same again when it is there (list-backups shows it), or let the run wait: ${spell('rehydrateWait')} 16h.`,
    },
  );
}
