// Compares a backup with a running MongoDB: is what lives there still, or again, what was backed up?
import { CancelledError } from '../step/errors.ts';
import type { Progress } from '../step/host.ts';
import type { Secret } from '../step/input.ts';
import type { Namespace } from './archive.ts';
import type { ArchiveReport } from './archive-inspector.ts';
import { compare, type Comparison } from './compare.ts';
import { connectMongo, explainMongoError } from './connect.ts';
import { compileSelection, isAccounts, isInternal, parseRenames, renamed, type Selection } from './namespaces.ts';
import { openPodTarget, type PodTargetOptions } from './pod-target.ts';
import { readBack } from './read-back.ts';
import type { RestoreTarget } from './restore-target.ts';

/** What is compared. */
export interface IntegrityWishes extends Selection {
  report: ArchiveReport;
  /** `from=to`, when the data live under other names. */
  renames?: readonly string[];
  signal?: AbortSignal;
  onProgress?: (progress: Progress) => void;
}

export interface IntegrityOptions extends IntegrityWishes {
  uri: Secret;
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
  const { uri, signal } = options;
  const server = await connectMongo(uri, signal ? { signal } : {});
  try {
    const comparison = await compareWith(options, (names, more) => readBack(server, names, { ...(signal ? { signal } : {}), ...more }));
    return { ...comparison, fingerprint: server.fingerprint };
  } catch (thrown) {
    throw explainMongoError(thrown, uri, 'Reading the server failed');
  } finally {
    await server.close();
  }
}

/** The same with a MongoDB inside a pod. */
export async function compareWithPod(wishes: IntegrityWishes, options: PodTargetOptions): Promise<Integrity> {
  const target = await openPodTarget(options);
  const comparison = await compareWith(wishes, (names, more) => target.readBack(names, more));
  return { ...comparison, fingerprint: target.fingerprint };
}

async function compareWith(wishes: IntegrityWishes, read: RestoreTarget['readBack']): Promise<Comparison> {
  const { report, signal, onProgress } = wishes;
  const selector = compileSelection(wishes);
  const renames = parseRenames(wishes.renames ?? []);
  const only = (namespace: Namespace): boolean => selector.matches(namespace) && !isInternal(namespace);
  const names = report.namespaces.filter((namespace) => only(namespace) && !isAccounts(namespace));
  try {
    const live = await read(
      names.map((namespace) => renamed(namespace, renames)),
      { ...(onProgress ? { onProgress } : {}), totalDocuments: report.totals.documents },
    );
    return compare(report, live, { renames, only });
  } catch (thrown) {
    if (signal?.aborted) throw new CancelledError('Cancelled while comparing.', { cause: thrown });
    throw thrown;
  }
}
