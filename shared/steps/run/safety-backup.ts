// The way back of a restore: what it is going to replace is backed up first, and kept from retention while people find out what they have.
import { nextLaterTimestamp } from '../../backup/free-timestamp.ts';
import { safetyComponent } from '../../backup/layout.ts';
import type { Manifest } from '../../backup/manifest.ts';
import { writeHold } from '../../catalog/hold.ts';
import { listBackups } from '../../catalog/list.ts';
import type { Restore } from '../../mongodb/restore.ts';
import type { StepContext } from '../../step/define.ts';
import { errorMessage } from '../../step/errors.ts';
import { plural } from '../../step/format.ts';
import type { Timestamp } from '../../step/timestamp.ts';
import type { KeyRecipient } from '../../vaults/vault.ts';
import type { Context } from '../mongodb-restore/inputs.ts';
import { copyPlaces } from './copy-backups.ts';
import { openDumpOf } from './mongodb-address.ts';
import { backUpDump } from './mongodb-backup.ts';
import type { Sources } from './sources.ts';

/** How long retention stays away from a safety backup. */
const HOLD_DAYS = 30;

export interface SafetyBackup {
  /** The restore that is going to replace something. */
  restore: Restore;
  place: Sources;
  recipients: readonly KeyRecipient[];
  /** The component that is restored. */
  component: string;
  /** The backup that takes its place, as messages call it. */
  replacedBy: string;
  limitRate: number | undefined;
}

/**
 * Backs up what a restore is going to replace.
 * @returns the timestamp of the safety backup; undefined when nothing that holds documents is replaced
 * @throws what `openDumpOf` and `backUpDump` throw: without a way back nothing is replaced
 */
export async function backUpReplaced(context: Context, safety: SafetyBackup): Promise<Timestamp | undefined> {
  const { restore, place, recipients, replacedBy, limitRate } = safety;
  const { occupied, namespaces } = restore.plan;
  if (occupied.length === 0) return undefined;
  context.host.info(`Backing up ${plural(occupied.length, 'collection')} that will be replaced.`);
  const component = safetyComponent(safety.component);
  // Empty collections and views, too: a rollback must leave them as they were, not full.
  const present = restore.present();
  const dump = await openDumpOf(context, present);
  const { timestamp } = await backUpDump(context, {
    place,
    recipients,
    component,
    timestamp: await nextTimestamp(context, place, component),
    inputs: {
      verify: 'full',
      compression: 'zstd',
      compressionLevel: 3,
      maxShrink: 100,
      include: present.include,
      exclude: present.exclude,
      limitRate,
    },
    dump,
    copies: await copyPlaces(context, place.copies),
    source: { replacedBy, made: namespaces.filter(({ existing }) => existing === undefined).map(({ to }) => to) },
  });
  await hold(context, place, { component, timestamp, reason: `what the restore of ${replacedBy} replaced` });
  return timestamp;
}

/** Collections that the restore made which a safety backup is from: a rollback drops them. */
export function madeBy({ source }: Pick<Manifest, 'source'>): string[] {
  const made: unknown = source['made'];
  return Array.isArray(made) ? made.map(String) : [];
}

/** Now, but later than every safety backup there is: a rollback takes the last one, also after two restores in a second or a clock that went back. */
async function nextTimestamp({ clock, signal }: StepContext, { store, prefix }: Sources, component: string): Promise<Timestamp> {
  const before = await listBackups(store, prefix, { component, signal });
  return nextLaterTimestamp(
    clock.now(),
    before.map(({ time }) => time),
  );
}

/** Retention must not take the way back while people still find out whether the restore was right. */
async function hold(
  { host, clock, signal }: StepContext,
  { store, prefix }: Sources,
  held: { component: string; timestamp: Timestamp; reason: string },
): Promise<void> {
  const now = clock.now();
  const until = new Date(now.getTime() + HOLD_DAYS * 86_400_000);
  try {
    await writeHold(store, prefix, { ...held, until, by: host.run, now }, signal);
  } catch (thrown) {
    if (signal.aborted) throw thrown;
    // The backup itself is safe; that retention may take it some day is no reason to leave the database broken.
    host.warning(`The safety backup ${held.timestamp} could not be held: ${errorMessage(thrown)}`);
  }
}
