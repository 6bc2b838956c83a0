// Checks of the store: a probe object written, read back, listed and deleted; the store's clock against ours; free space.
import { randomBytes, randomUUID } from 'node:crypto';
import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { probeName } from '../backup/layout.ts';
import { formatBytes, formatSeconds } from '../step/format.ts';
import { ObjectExistsError } from '../stores/errors.ts';
import type { Store, StoreSpace } from '../stores/store.ts';
import type { Clock } from '../tools/clock.ts';
import { findingOf, skipped, type Check, type Finding } from '../backup/finding.ts';
import { isForbidden } from './check.ts';

export interface StoreSubject {
  store: Store;
  prefix: string;
  clock: Clock;
  /** Expected bytes of the next backup, before compression. */
  estimate: () => Promise<number | undefined>;
  /** What to paste when the store says "forbidden"; undefined where there is nothing to paste. */
  grant: () => Promise<string | undefined>;
}

/** Milliseconds that a clean-up may take after a check was cancelled. */
const CLEAN_UP_MS = 10_000;
/** From here on a person should know. */
const WARN_SKEW_MS = 60_000;
/** Azure refuses tokens and signatures of clocks that are about a quarter of an hour wrong; some services earlier. */
const BAD_SKEW_MS = 240_000;
/** An alert at less than 20 % free. */
const MIN_FREE_SHARE = 0.2;

interface Probe {
  finding: Finding;
  /** The store's time of the write less ours, milliseconds; undefined when nothing was written. */
  skew: number | undefined;
}

/** Checks that share one probe object. Nothing of it stays, also when a check is cancelled. */
export function storeChecks(subject: StoreSubject): Check[] {
  let probing: Promise<Probe> | undefined;
  const probe = (signal: AbortSignal): Promise<Probe> => (probing ??= probeStore(subject, signal));
  return [
    { name: 'store-access', look: async (signal) => (await probe(signal)).finding },
    { name: 'clock', look: async (signal) => clockFinding((await probe(signal)).skew) },
    { name: 'space', look: async () => space(subject) },
  ];
}

async function probeStore({ store, prefix, clock, grant }: StoreSubject, signal: AbortSignal): Promise<Probe> {
  const name = probeName(prefix, randomUUID());
  const bytes = randomBytes(1024);
  let doing = 'written';
  let skew: number | undefined;
  try {
    const before = clock.now().getTime();
    const { modified } = await store.write(name, bytes, { ifAbsent: true, signal });
    skew = modified.getTime() - (before + clock.now().getTime()) / 2;
    if (await takesTwice(store, name, signal))
      return {
        skew,
        finding: {
          status: 'failed',
          seen: `${store.location} overwrites what it is told not to: a probe was written twice under one name.`,
          fix: 'Use another service or store: in this one two runs could overwrite the backups of each other.',
        },
      };
    doing = 'read back';
    const read = await store.read(name, { signal });
    if (!read || !bytes.equals(read))
      return {
        skew,
        finding: {
          status: 'failed',
          seen: `A probe in ${store.location} came back different from what was written.`,
          fix: 'Do not use this store. Check its disk, and whatever is in between.',
        },
      };
    doing = 'listed';
    const names: string[] = [];
    for await (const info of store.list(name, signal)) names.push(info.name);
    if (!names.includes(name))
      return {
        skew,
        finding: {
          status: 'failed',
          seen: `${store.location} does not list what was just written.`,
          fix: 'Backups would not be found again. Check for a cache or a filter in between.',
        },
      };
    doing = 'deleted';
    await store.delete(name, signal);
    return { skew, finding: { status: 'ok', seen: `A probe was written, read back, listed and deleted in ${store.location}.` } };
  } catch (thrown) {
    const found = findingOf(thrown);
    const command = isForbidden(thrown) ? await grant() : undefined;
    return {
      skew,
      finding: {
        ...found,
        seen: `A probe could not be ${doing}: ${found.seen}`,
        ...(command === undefined ? {} : { fix: `${found.fix ?? 'Give the identity the right.'}\n${command}` }),
      },
    };
  } finally {
    // Also after a lost answer; not with the check's own signal, which may have been aborted.
    await store.delete(name, AbortSignal.timeout(CLEAN_UP_MS)).catch(() => false);
  }
}

/** True when a name that is taken is given away again. */
async function takesTwice(store: Store, name: string, signal: AbortSignal): Promise<boolean> {
  try {
    await store.write(name, randomBytes(16), { ifAbsent: true, signal });
    return true;
  } catch (thrown) {
    if (thrown instanceof ObjectExistsError) return false;
    throw thrown;
  }
}

function clockFinding(skew: number | undefined): Finding {
  if (skew === undefined) return skipped('Nothing could be written to the store, so its clock was not seen.');
  const away = Math.abs(skew);
  const text = `This machine's clock is ${formatSeconds(away / 1000)} ${skew > 0 ? 'behind' : 'ahead of'} the store's`;
  if (away >= WARN_SKEW_MS) {
    return {
      status: away >= BAD_SKEW_MS ? 'failed' : 'warning',
      seen: `${text}.`,
      fix: 'Set the clock by NTP (timedatectl set-ntp true): sign-in and the timestamps of backups depend on it.',
    };
  }
  return { status: 'ok', seen: away < 1000 ? "This machine's clock agrees with the store's." : `${text}: close enough.` };
}

async function space({ store, estimate }: StoreSubject): Promise<Finding> {
  const there = (await store.space?.()) ?? (store.kind === 'folder' ? await spaceAbove(store.location) : undefined);
  if (there === undefined) return skipped(`A store of kind ${store.kind} has no disk that could fill up, or does not report it.`);
  const { free, total } = there;
  const share = total > 0 ? free / total : 1;
  const needed = await estimate();
  const next = needed === undefined ? '' : `; the next backup is about ${formatBytes(needed)} before compression`;
  const seen = `${formatBytes(free)} free (${Math.round(share * 100)} %) at ${store.location}${next}.`;
  const fix = 'Free space, keep fewer backups (lifeboat apply-retention --dry-run shows what could go), or use another store.';
  if (needed !== undefined && free < needed) return { status: 'failed', seen, fix };
  if (share < MIN_FREE_SHARE) return { status: 'warning', seen, fix };
  return { status: 'ok', seen };
}

/** The folder may not exist before the first backup: then the file system above it tells. */
async function spaceAbove(folder: string): Promise<StoreSpace> {
  try {
    const { bavail, blocks, bsize } = await statfs(folder);
    return { free: bavail * bsize, total: blocks * bsize };
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== 'ENOENT' || dirname(folder) === folder) throw thrown;
    return spaceAbove(dirname(folder));
  }
}
