// Which safety backup a rollback takes: the last one of a whole state. One that was made after a restore had been interrupted holds what that
// restore left, and the original is in the one before it.
import { z } from 'zod';
import { openBackup } from '../backup/read.ts';
import { safetyComponent } from '../backup/layout.ts';
import type { Manifest } from '../backup/manifest.ts';
import { backupsEverywhere } from '../catalog/everywhere.ts';
import { listRuns } from '../catalog/runs.ts';
import { reportOf } from '../backup/kind.ts';
import type { AnyKind } from '../kinds/registry.ts';
import { CancelledError, errorMessage } from '../step/errors.ts';
import type { Timestamp } from '../step/timestamp.ts';
import type { KeyRecipient } from '../vaults/vault.ts';
import type { RestoreContext as Context } from './restore-inputs.ts';
import { madeBy } from './safety-backup.ts';
import { seenPlaces, type Sources } from '../session/sources.ts';

/** The safety backups of a component, as far as a way back goes. */
export interface WayBack {
  /** The last whole state; undefined when there is no safety backup. */
  whole: Timestamp | undefined;
  /** Later safety backups: of states that an interrupted restore had left, oldest first. */
  halfRestored: Timestamp[];
  /** The last restore that replaced something did not end well. */
  interrupted: boolean;
  /** What the restores after the last whole state had made. */
  made: string[];
}

const ended = z.object({ result: z.object({ safetyTimestamp: z.string().nullish() }) });

/**
 * Looks at the safety backups and at the records of the restores that made them. What cannot be looked at must not keep a database from being
 * restored: then the newest safety backup is taken for the last whole state.
 */
export async function findWayBack(
  context: Context,
  kind: AnyKind,
  { sources, recipients, component }: { sources: Sources; recipients: readonly KeyRecipient[]; component: string },
): Promise<WayBack> {
  const backups = backupsEverywhere({ seen: seenPlaces(sources) }).filter((backup) => backup.component === safetyComponent(component));
  const safeties = backups.filter(({ state }) => state === 'verified').map(({ timestamp }) => timestamp);
  const none: WayBack = { whole: safeties.at(-1), halfRestored: [], interrupted: false, made: [] };
  if (safeties.length === 0) return none;
  try {
    const finished = await finishedRestores(context, sources, component);
    const open = (timestamp: Timestamp): Promise<Manifest> => manifestOf(context, { sources, recipients, component, timestamp });
    let at = safeties.length - 1;
    while (at > 0) {
      const [before, after] = [safeties[at - 1] as Timestamp, safeties[at] as Timestamp];
      if (finished(before) || !(await sameTarget(kind, await open(before), await open(after)))) break;
      at -= 1;
    }
    const halfRestored = safeties.slice(at + 1);
    const made = new Set<string>();
    for (const timestamp of halfRestored) for (const name of madeBy(await open(timestamp))) made.add(name);
    return { whole: safeties[at], halfRestored, interrupted: !finished(safeties.at(-1)), made: [...made] };
  } catch (thrown) {
    if (thrown instanceof CancelledError) throw thrown;
    context.signal.throwIfAborted();
    context.host.debug(`Whether the last restore was interrupted is not known: ${errorMessage(thrown)}`);
    return none;
  }
}

/**
 * Tells of a safety backup whether the restore that made it ended well. One older than every record of a run is taken for such: retention takes
 * old records away.
 */
async function finishedRestores(
  { signal, step }: Context,
  { store, prefix }: Sources,
  component: string,
): Promise<(timestamp: Timestamp) => boolean> {
  const runs = await listRuns(store, prefix, signal);
  const names = new Set<string>();
  for (const run of runs) {
    if (run.step !== step || run.component !== component || (run.outcome !== 'succeeded' && run.outcome !== 'partial')) continue;
    const record = ended.safeParse(parsed(await store.read(run.name, { signal })));
    if (record.success && typeof record.data.result.safetyTimestamp === 'string') names.add(record.data.result.safetyTimestamp);
  }
  const oldest = runs[0]?.timestamp;
  return (timestamp) => names.has(timestamp) || (oldest !== undefined && timestamp < oldest);
}

function parsed(bytes: Uint8Array | undefined): unknown {
  try {
    return JSON.parse(Buffer.from(bytes ?? new Uint8Array()).toString());
  } catch {
    return undefined;
  }
}

async function manifestOf(
  { signal }: Context,
  {
    sources,
    recipients,
    component,
    timestamp,
  }: { sources: Sources; recipients: readonly KeyRecipient[]; component: string; timestamp: Timestamp },
): Promise<Manifest> {
  const { store, prefix } = sources;
  const opened = await openBackup({ ...{ store, prefix, component: safetyComponent(component), timestamp, recipients }, signal });
  return opened.manifest;
}

/** Two restores had to do with the same data when they went to one target and replaced or made some of the same things there. */
async function sameTarget(kind: AnyKind, one: Manifest, other: Manifest): Promise<boolean> {
  const { names } = await kind.load();
  const namesOf = (manifest: Manifest): string[] => [...names(reportOf(kind, manifest)), ...madeBy(manifest)];
  const known = new Set(namesOf(one));
  return one.source.fingerprint === other.source.fingerprint && namesOf(other).some((name) => known.has(name));
}

/** Lines of a plan about it; empty when every restore before ended well. */
export function wayBackFacts(
  { whole, halfRestored, interrupted }: WayBack,
  { component, rollback, chosen }: { component: string; rollback: boolean; chosen: Timestamp },
): [string, string][] {
  const [safety, half] = [safetyComponent(component), halfRestored.join(', ')];
  if (whole === undefined || (halfRestored.length === 0 && !interrupted)) return [];
  const original = `${safety} ${whole}`;
  const state = `The last restore that replaced something was interrupted or failed`;
  if (halfRestored.length === 0)
    return rollback ? [] : [['Interrupted', `${state}: the target may be half restored. What was there before it is in ${original}.`]];
  const both = `${safety} ${half} holds what an interrupted restore had left, ${original} the last whole state before it.`;
  if (!rollback) return [['Interrupted', `${interrupted ? `${state}. ` : ''}${both} A rollback takes ${whole}.`]];
  const choice = chosen === whole ? `This puts back ${whole}; the timestamp ${half} would choose the other.` : `This puts back ${chosen}.`;
  return [['Interrupted', `${interrupted ? `${state}. ` : ''}${both} ${choice}`]];
}
