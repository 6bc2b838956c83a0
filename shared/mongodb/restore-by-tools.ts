// A restore by mongorestore, wherever it runs: first the planned collections, then users and roles in a run of their own.
import { CancelledError, errorMessage, UserError } from '../step/errors.ts';
import { once } from '../tools/once.ts';
import type { CollectionEntry } from './archive.ts';
import { PlannedArchive } from './planned-archive.ts';
import type { RestoreJob, RestoreOutcome } from './restore-target.ts';
import { restoreWithTools, type ToolRestoreOptions } from './restore-tools.ts';
import type { TryOptions } from './tool-metadata.ts';
import { isRefusal } from './tool-output.ts';

/** The first few refusals are told. */
const TOLD = 5;

/**
 * Writes the planned part of an archive.
 * @returns the outcome, and the collections that were written as the archive names them
 * @throws UserError as `restoreWithTools`; VerificationError for a damaged archive
 */
export async function restoreByTools(
  archive: AsyncIterable<Uint8Array>,
  { planned, renames, replace, replaysOplog, accounts, onProgress, onStarted }: RestoreJob,
  { tryOptions, ...how }: Pick<ToolRestoreOptions, 'program' | 'indexes' | 'signal' | 'hangMs' | 'log'> & { tryOptions?: TryOptions },
): Promise<{ outcome: RestoreOutcome; entries: readonly CollectionEntry[] }> {
  const parts = new PlannedArchive({ planned, oplog: replaysOplog, tryOptions });
  const refusals: string[] = [];
  const result = await restoreWithTools(parts.data(archive), {
    ...how,
    renames,
    replace,
    oplog: replaysOplog,
    onProgress: (done) => {
      onStarted(done.namespace);
      onProgress(done);
    },
    log: (line) => {
      if (isRefusal(line) && refusals.length < TOLD) refusals.push(line);
      how.log?.(line);
    },
  });
  const note = accounts ? await restoreAccounts(parts.accounts(), how) : undefined;
  return {
    outcome: {
      documents: result.documents,
      failed: result.failed,
      refusals: result.failed > 0 ? refusals : [],
      indexFailures: [],
      dropped: parts.dropped,
      notes: [...parts.notes, ...(note === undefined ? [] : [note])],
    },
    entries: parts.entries,
  };
}

/** Without --drop, which would remove the users that the backup does not have, the login of this run among them. @returns what went wrong */
async function restoreAccounts(
  archive: Uint8Array | undefined,
  how: Pick<ToolRestoreOptions, 'program' | 'signal' | 'hangMs' | 'log'>,
): Promise<string | undefined> {
  if (archive === undefined) return undefined;
  try {
    await restoreWithTools(once(archive), how);
    return undefined;
  } catch (thrown) {
    if (thrown instanceof CancelledError || !(thrown instanceof UserError)) throw thrown;
    return `Users and roles were not restored: ${errorMessage(thrown)}`;
  }
}
