// Compares a backup with a running MongoDB: is what lives there still, or again, what was backed up?
import { CancelledError } from '../step/errors.ts';
import type { Progress } from '../step/host.ts';
import type { Secret } from '../step/input.ts';
import type { ArchiveReport } from './archive-inspector.ts';
import { compare, type Comparison } from './compare.ts';
import { connectMongo, explainMongoError } from './connect.ts';
import { compileSelection, isAccounts, isInternal, parseRenames, renamed, type Selection } from './namespaces.ts';
import { readBack } from './read-back.ts';

export interface IntegrityOptions extends Selection {
  uri: Secret;
  report: ArchiveReport;
  /** `from=to`, when the data live under other names. */
  renames?: readonly string[];
  signal?: AbortSignal;
  onProgress?: (progress: Progress) => void;
}

export interface Integrity extends Comparison {
  /** Identity of the server that was read, without credentials. */
  fingerprint: string;
}

/**
 * Reads every collection of the backup from the server and compares. Writes nothing. A database in use differs from its last backup:
 * the caller decides what that means.
 * @throws UserError when the server cannot be reached or read
 */
export async function compareWithServer(options: IntegrityOptions): Promise<Integrity> {
  const { uri, report, signal } = options;
  const selector = compileSelection(options);
  const renames = parseRenames(options.renames ?? []);
  const only = (namespace: { db: string; collection: string }): boolean => selector.matches(namespace) && !isInternal(namespace);
  const server = await connectMongo(uri, signal ? { signal } : {});
  try {
    const live = await readBack(
      server,
      report.namespaces.filter((namespace) => only(namespace) && !isAccounts(namespace)).map((namespace) => renamed(namespace, renames)),
      {
        ...(signal ? { signal } : {}),
        ...(options.onProgress ? { onProgress: options.onProgress } : {}),
        totalDocuments: report.totals.documents,
      },
    );
    return { ...compare(report, live, { renames, only }), fingerprint: server.fingerprint };
  } catch (thrown) {
    if (signal?.aborted) throw new CancelledError('Cancelled while comparing.', { cause: thrown });
    throw explainMongoError(thrown, uri, 'Reading the server failed');
  } finally {
    await server.close();
  }
}
