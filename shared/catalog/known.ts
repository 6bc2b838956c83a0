// The one truth about a backup: what the listing shows of it, corrected by the newest proof that a run left of it in the same store. What shows
// or uses the state of a backup (list, status, restore, retention, copies, doctor) asks here and nowhere else.
import { timestampToDate } from '../step/timestamp.ts';
import type { Store } from '../stores/store.ts';
import { listBackups, type BackupState, type ListedBackup, type ListQuery } from './list.ts';
import { listRuns, type ListedRun } from './runs.ts';

/** What a run that read a backup found. `proved`: to its last document; `whole`: the stored bytes are those of its manifest. */
export interface BackupFinding {
  verdict: 'proved' | 'whole' | 'damaged' | 'keyless';
  /** When the run began. */
  at: Date;
}

/** `<component>/<timestamp>` → the newest finding. */
export type BackupFindings = ReadonlyMap<string, BackupFinding>;

/** States of a backup that is there whole. */
export const WHOLE: ReadonlySet<BackupState> = new Set(['verified', 'committed', 'suspect']);

/** Steps that read to the last document: what they find good is as good as a backup that was read back when it was made. */
const PROVES: ReadonlySet<string> = new Set(['backup-validation', 'verify']);

/** Collects the newest finding about each backup. That other ones are good meanwhile tells nothing about it. @param runs oldest first */
export function findingsIn(
  runs: readonly Pick<ListedRun, 'step' | 'timestamp' | 'badBackups' | 'goodBackups' | 'keylessBackups'>[],
): Map<string, BackupFinding> {
  const findings = new Map<string, BackupFinding>();
  for (const { step, timestamp, badBackups, goodBackups, keylessBackups } of runs) {
    const at = timestampToDate(timestamp);
    for (const name of goodBackups) {
      // Bytes that are whole are those that were proved before.
      const isProved = PROVES.has(step) || findings.get(name)?.verdict === 'proved';
      findings.set(name, { verdict: isProved ? 'proved' : 'whole', at });
    }
    for (const name of keylessBackups) findings.set(name, { verdict: 'keyless', at });
    for (const name of badBackups) findings.set(name, { verdict: 'damaged', at });
  }
  return findings;
}

/** The backups with what runs found of them. */
export function withFindings(backups: readonly ListedBackup[], findings: BackupFindings): ListedBackup[] {
  return backups.map((backup) => {
    const finding = findings.get(`${backup.component}/${backup.timestamp}`);
    if (finding === undefined || !WHOLE.has(backup.state) || isAnother(backup, finding)) return backup;
    if (finding.verdict === 'damaged' || finding.verdict === 'keyless') return { ...backup, state: finding.verdict, found: finding.at };
    return finding.verdict === 'proved' && backup.state === 'committed' ? { ...backup, state: 'verified' } : backup;
  });
}

/** A backup that was made after the finding, under a timestamp that was free again. BackupFindings know the second only. */
function isAnother({ created }: Pick<ListedBackup, 'created'>, { at }: BackupFinding): boolean {
  return created !== undefined && Math.floor(created.getTime() / 1000) * 1000 > at.getTime();
}

/** Backups and run records of one place. */
export interface Catalog {
  /** Oldest first, components of one moment by name. */
  backups: ListedBackup[];
  /** Oldest first. */
  runs: ListedRun[];
}

/** Lists the backups of a place and the records of its runs. @throws StoreError */
export async function readCatalog(store: Store, prefix: string, query: ListQuery = {}): Promise<Catalog> {
  const [listed, runs] = await Promise.all([listBackups(store, prefix, query), listRuns(store, prefix, query.signal)]);
  return { backups: withFindings(listed, findingsIn(runs)), runs };
}

/** Lists the backups of a place with all that is known of them, oldest first, components of one moment by name. @throws StoreError */
export async function knownBackups(store: Store, prefix: string, query: ListQuery = {}): Promise<ListedBackup[]> {
  return (await readCatalog(store, prefix, query)).backups;
}

/** The state in the middle of a sentence, after "is" where that fits: `found damaged on 2026-11-29 02:17 UTC`. */
export function stateText({ state, found }: Pick<ListedBackup, 'state' | 'found'>): string {
  const on = found === undefined ? '' : ` on ${found.toISOString().slice(0, 16).replace('T', ' ')} UTC`;
  if (state === 'damaged') return found === undefined ? 'damaged' : `found damaged${on}`;
  if (state === 'keyless') return `without a key${on === '' ? '' : `, as found${on}`}`;
  return {
    verified: 'verified',
    committed: 'not fully read back',
    suspect: 'suspect',
    leftover: 'never completed',
    pruning: 'being removed',
  }[state];
}
