// The way back of a restore: what it is going to replace is backed up first, and kept from retention while people find out what they have.
import { nextLaterTimestamp } from '../backup/free-timestamp.ts';
import { safetyComponent } from '../backup/layout.ts';
import type { Manifest } from '../backup/manifest.ts';
import { writeHold } from '../catalog/hold.ts';
import { listBackups } from '../catalog/list.ts';
import type { Target } from '../backup/kind.ts';
import type { AnyKind } from '../kinds/registry.ts';
import type { StepContext } from '../step/define.ts';
import { errorMessage } from '../step/errors.ts';
import type { Timestamp } from '../step/timestamp.ts';
import type { KeyRecipient } from '../vaults/vault.ts';
import type { RestoreContext as Context } from './restore-inputs.ts';
import { copyPlaces } from './copy.ts';
import { backUpSource } from './backup.ts';
import type { Sources } from '../session/sources.ts';

/** How long retention stays away from a safety backup. */
const HOLD_DAYS = 30;

export interface SafetyBackup {
  /** The restore that is going to replace something. */
  target: Target;
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
 * @returns the timestamp of the safety backup; undefined when nothing is replaced
 * @throws what the target and `backUpSource` throw: without a way back nothing is replaced
 */
export async function backUpReplaced(context: Context, kind: AnyKind, safety: SafetyBackup): Promise<Timestamp | undefined> {
  const { target, place, recipients, replacedBy, limitRate } = safety;
  const present = target.present();
  if (present === undefined) return undefined;
  context.host.info(`Backing up ${present.said} that will be replaced.`);
  const component = safetyComponent(safety.component);
  const { timestamp } = await backUpSource(context, kind, {
    place,
    recipients,
    component,
    timestamp: await nextTimestamp(context, place, component),
    inputs: {
      verify: 'full',
      compression: 'zstd',
      compressionLevel: 3,
      maxShrink: 100,
      limitRate,
    },
    selection: present.selection,
    source: await present.open(),
    copies: await copyPlaces(context, place.copies),
    facts: { replacedBy, made: [...target.makes] },
  });
  await hold(context, place, { component, timestamp, reason: `what the restore of ${replacedBy} replaced` });
  return timestamp;
}

/** What the restore made which a safety backup is from: a rollback removes it. */
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
