// What a restore needs of the place it writes to: a server reached by the driver, or one inside a pod.
import type { Progress } from '../step/host.ts';
import type { ArchiveReport } from './archive-inspector.ts';
import type { Namespace } from './archive.ts';
import type { IndexFailure } from './index-build.ts';
import type { Renaming } from './namespaces.ts';
import type { LiveNamespace } from './read-back.ts';

/** A collection that is there. */
export interface TargetCollection extends Namespace {
  type: 'collection' | 'view' | 'timeseries';
}

/** What is to be written. */
export interface RestoreJob {
  report: ArchiveReport;
  /** Names in the backup of what is planned: `db.collection`. */
  planned: ReadonlySet<string>;
  renames: readonly Renaming[];
  /** Drop each collection just before its own documents are written. */
  replace: boolean;
  replaysOplog: boolean;
  /** Merge users and roles of the backup into those of the target. */
  accounts: boolean;
  onProgress: (done: { documents: number; namespace: string }) => void;
  /** Told when a collection of the target is going to be dropped, made or written, `db.collection`. */
  onStarted: (name: string) => void;
}

export interface RestoreOutcome {
  documents: number;
  /** Documents the target refused: any is a failure. */
  failed: number;
  /** The first refusals by collection, in the server's words. */
  refusals: string[];
  indexFailures: IndexFailure[];
  /** Collections, by their names in the backup, that the replayed oplog drops. */
  dropped: ReadonlySet<string>;
  /** What is not as it was in the backup although all documents are there. One sentence each. */
  notes: string[];
}

export interface RestoreTarget {
  /** Identity of the target, without credentials. */
  readonly fingerprint: string;
  readonly engine: 'tools' | 'driver';
  /** A dump of it takes databases, less some of their collections, but no list of collections. */
  readonly dumpsDatabases: boolean;
  /** Known once `list` was called. */
  readonly version: string;
  /** Set when the server is not MongoDB's own. */
  readonly product?: string | undefined;
  /** Every collection of these databases, by `db.collection`. Databases that are not there are left out. */
  list(databases: readonly string[]): Promise<ReadonlyMap<string, TargetCollection>>;
  /** About how many documents a listed collection holds. */
  count(collection: TargetCollection): Promise<number>;
  write(archive: AsyncIterable<Uint8Array>, job: RestoreJob): Promise<RestoreOutcome>;
  /** Reads the named collections to their last document. By `db.collection`; a name that is not there is absent. */
  readBack(
    names: readonly Namespace[],
    options: { onProgress?: (progress: Progress) => void; totalDocuments?: number },
  ): Promise<ReadonlyMap<string, LiveNamespace>>;
  /** Drops collections, `db.collection` each; one that is not there is fine. @returns those that it has no way to drop */
  drop(names: readonly string[]): Promise<string[]>;
  /** Turns what a library threw into a sentence; passes our own errors through. */
  explain(thrown: unknown, doing: string): unknown;
  close(): Promise<void>;
}
