// The built-in restore engine: reads a mongodump archive and writes its raw documents in bulk, then indexes, views, users and roles.
import type { Document } from 'mongodb';
import { DocumentSequence } from 'mongodb/lib/cmap/commands.js';
import { release } from '../tools/release.ts';
import { CancelledError, throwIfCancelled, UserError } from '../step/errors.ts';
import {
  ArchiveParser,
  documentEnd,
  largestDocument,
  namespaceName,
  shownName,
  type ArchiveVisitor,
  type CollectionEntry,
  type Namespace,
} from './archive.ts';
import { parseMetadata, type CollectionMetadata } from './collection-metadata.ts';
import type { MongoServer } from './connect.ts';
import { createCollection, createView, dropQuietly } from './create-collection.ts';
import { plainArchive } from './plain-archive.ts';
import { buildIndexes, type IndexFailure } from './index-build.ts';
import { isAccounts, renamed, type Renaming } from './namespaces.ts';
import { ACCOUNT_STAGING, mergeAccounts } from './restore-accounts.ts';
import { hasRawData, takesZeroTimestamps } from './server-abilities.ts';

export interface DriverRestoreOptions {
  /** Collections of the archive to restore, `db.collection` each. */
  planned: ReadonlySet<string>;
  renames: readonly Renaming[];
  /** Drop each collection just before its first document is written. */
  replace: boolean;
  /** Take over users and roles when the archive has them. */
  accounts: boolean;
  signal?: AbortSignal;
  onProgress?: (done: { documents: number; bytes: number; namespace: string }) => void;
  onStarted?: (name: string) => void;
}

/** What became of one collection. */
export interface RestoredNamespace {
  /** Name in the archive. */
  from: Namespace;
  /** Name on the target. */
  to: Namespace;
  documents: number;
  /** Documents the server refused. */
  failed: number;
  /** The first few refusals, in the server's words. */
  reasons: string[];
}

export interface RestoreResult {
  namespaces: RestoredNamespace[];
  /** Documents written and refused, over all. */
  documents: number;
  failed: number;
  indexFailures: IndexFailure[];
  /** What the target could not represent: collection options, views, users. One sentence each. */
  notes: string[];
}

/** Documents per insert command: enough to be fast, small enough to keep several in flight. */
const BATCH_BYTES = 4 * 1024 * 1024;
const INSERTS_IN_FLIGHT = 4;

/**
 * Restores an archive (plain or gzip). Refused documents are counted, not thrown; a lost connection or a server error that is not
 * about single documents is thrown.
 * @throws VerificationError for a damaged archive, UserError when the target refuses a whole command
 */
export async function restoreWithDriver(
  server: MongoServer,
  archive: AsyncIterable<Uint8Array>,
  options: DriverRestoreOptions,
): Promise<RestoreResult> {
  const restore = new ArchiveRestore(server, options);
  const parser = new ArchiveParser(restore);
  try {
    for await (const chunk of plainArchive(archive)) {
      throwIfCancelled(options.signal);
      parser.push(chunk);
      await restore.settle();
    }
    parser.end();
    return await restore.finish();
  } finally {
    await restore.idle();
  }
}

/** A collection of the archive on its way into the target. */
interface Task {
  entry: CollectionEntry;
  metadata: CollectionMetadata;
  /** Undefined: not selected, its documents are passed over. */
  target: Namespace | undefined;
  result: RestoredNamespace;
  /** Resolves when the collection exists; inserts wait for it. */
  ready: Promise<void> | undefined;
  /** The last insert: the next one waits for it where the order of documents means something. */
  tail: Promise<void> | undefined;
  buffer: Buffer;
  filled: number;
  count: number;
}

class ArchiveRestore implements ArchiveVisitor {
  readonly #server: MongoServer;
  readonly #options: DriverRestoreOptions;
  readonly #tasks = new Map<CollectionEntry, Task>();
  readonly #inFlight = new Set<Promise<void>>();
  readonly #notes: string[] = [];
  #failure: { thrown: unknown } | undefined;
  #task: Task | undefined;
  #bytes = 0;
  #documents = 0;

  constructor(server: MongoServer, options: DriverRestoreOptions) {
    this.#server = server;
    this.#options = options;
  }

  header(): void {
    // The header's facts are in the backup's report.
  }

  collection(entry: CollectionEntry): void {
    const to = renamed(entry, this.#options.renames);
    this.#tasks.set(entry, {
      entry,
      metadata: parseMetadata(entry.metadata),
      target: this.#targetOf(entry, to),
      result: {
        from: { db: entry.db, collection: entry.collection },
        to: isAccounts(entry) ? entry : to,
        documents: 0,
        failed: 0,
        reasons: [],
      },
      ready: undefined,
      tail: undefined,
      buffer: Buffer.alloc(0),
      filled: 0,
      count: 0,
    });
  }

  /** Where the documents are written; undefined when they are passed over. */
  #targetOf(entry: CollectionEntry, to: Namespace): Namespace | undefined {
    if (isAccounts(entry)) return this.#options.accounts ? ACCOUNT_STAGING[entry.collection] : undefined;
    if (!this.#options.planned.has(namespaceName(entry))) return undefined;
    // A time series takes its documents through its buckets, under the series' new name.
    const inBuckets = entry.type === 'timeseries' && !hasRawData(this.#server);
    return inBuckets ? { db: to.db, collection: `system.buckets.${to.collection}` } : to;
  }

  beginBlock(entry: CollectionEntry): void {
    const task = this.#tasks.get(entry) as Task;
    this.#task = task;
    if (task.target) this.#prepared(task);
  }

  walk(bytes: Uint8Array, start: number): number {
    const task = this.#task as Task;
    let at = start;
    let run = start;
    const largest = largestDocument(task.entry);
    for (let end = documentEnd(bytes, at, largest); end > 0; end = documentEnd(bytes, at, largest)) {
      if (task.target && (task.filled + (end - run) > BATCH_BYTES || task.count === this.#server.maxWriteBatchSize)) {
        this.#keep(task, bytes.subarray(run, at));
        this.#flush(task);
        run = at;
      }
      at = end;
      task.count += 1;
    }
    if (task.target) this.#keep(task, bytes.subarray(run, at));
    else task.count = 0;
    return at;
  }

  /** Copies a run of documents into the batch: the chunk they lie in is gone after the call. */
  #keep(task: Task, run: Uint8Array): void {
    if (task.filled + run.length > task.buffer.length) {
      const larger = Buffer.allocUnsafe(
        Math.max(task.filled + run.length, Math.min(BATCH_BYTES, Math.max(64 * 1024, task.buffer.length * 4))),
      );
      larger.set(task.buffer.subarray(0, task.filled));
      release(task.buffer);
      task.buffer = larger;
    }
    task.buffer.set(run, task.filled);
    task.filled += run.length;
  }

  endBlock(entry: CollectionEntry): void {
    this.#flush(this.#tasks.get(entry) as Task);
    this.#task = undefined;
  }

  endNamespace(entry: CollectionEntry): void {
    const task = this.#tasks.get(entry) as Task;
    // An archive need not have a block for an empty collection.
    if (task.target) this.#prepared(task);
  }

  /** Sends what the batch holds. */
  #flush(task: Task): void {
    if (task.filled === 0) return;
    const { buffer, filled, count } = task;
    task.buffer = Buffer.alloc(0);
    task.filled = 0;
    task.count = 0;
    // A capped collection gives its documents back in the order in which they came.
    const before = task.metadata.options['capped'] === true ? task.tail : undefined;
    task.tail = this.#track(async () => {
      await task.ready;
      await before;
      await this.#insert(task, buffer.subarray(0, filled), count);
      // The server has answered: nothing reads the batch any more.
      release(buffer);
    });
  }

  #prepared(task: Task): void {
    if (task.ready || task.entry.type === 'view') return;
    task.ready = this.#prepare(task);
    void this.#track(() => task.ready as Promise<void>);
  }

  /** Counts some work among what is in flight. What is returned never rejects: failures are kept for `settle`. */
  #track(work: () => Promise<void>): Promise<void> {
    const running: Promise<void> = work()
      .catch((thrown: unknown) => {
        this.#failure ??= { thrown };
      })
      .finally(() => this.#inFlight.delete(running));
    this.#inFlight.add(running);
    return running;
  }

  /** Waits until few enough commands are in flight to take more of the archive. */
  async settle(limit: number = INSERTS_IN_FLIGHT): Promise<void> {
    while (this.#inFlight.size > limit && !this.#failure) await Promise.race(this.#inFlight);
    if (this.#failure) throw this.#explain(this.#failure.thrown);
  }

  /** Waits for everything in flight, whatever comes of it. */
  async idle(): Promise<void> {
    await Promise.allSettled(this.#inFlight);
  }

  #explain(thrown: unknown): unknown {
    if (this.#options.signal?.aborted) return new CancelledError('Cancelled during the restore.', { cause: thrown });
    return thrown;
  }

  async #prepare(task: Task): Promise<void> {
    const accounts = isAccounts(task.entry);
    const name = accounts ? (task.target as Namespace) : task.result.to;
    if (!accounts) this.#options.onStarted?.(namespaceName(name));
    if (this.#options.replace || accounts) await dropQuietly(this.#server, name);
    this.#note(...(await createCollection(this.#server, name, accounts ? {} : task.metadata.options)));
  }

  #note(...sentences: readonly (string | undefined)[]): void {
    this.#notes.push(...sentences.filter((sentence) => sentence !== undefined));
  }

  async #insert(task: Task, documents: Buffer, count: number): Promise<void> {
    const target = task.target as Namespace;
    const sequence = new DocumentSequence('documents');
    sequence.push({}, documents);
    const reply = await this.#server.client
      .db(target.db)
      .command(
        { insert: target.collection, ...insertOptions(this.#server, task.entry), documents: sequence },
        this.#options.signal ? { signal: this.#options.signal } : {},
      )
      .catch((thrown: unknown) => {
        throw this.#insertProblem(task, thrown);
      });
    // Not `n`: some servers count it wrongly when there were errors.
    const errors = (reply['writeErrors'] ?? []) as { errmsg?: string }[];
    const { result } = task;
    result.failed += errors.length;
    result.documents += count - errors.length;
    for (const { errmsg } of errors.slice(0, Math.max(0, 3 - result.reasons.length))) result.reasons.push(errmsg ?? 'no reason given');
    const concern = (reply['writeConcernError'] as { errmsg?: string } | undefined)?.errmsg;
    if (concern !== undefined)
      throw new UserError(`Documents of ${shownName(target)} were not written to a majority of the replica set: ${concern}.`);
    this.#documents += count - errors.length;
    this.#bytes += documents.length;
    this.#options.onProgress?.({ documents: this.#documents, bytes: this.#bytes, namespace: namespaceName(target) });
  }

  #insertProblem(task: Task, thrown: unknown): unknown {
    if (this.#options.signal?.aborted || !(thrown instanceof Error)) return thrown;
    return new UserError(`Writing documents of ${shownName(task.result.to)} failed: ${thrown.message}.`, {
      fix: 'See that the target is up and takes this kind of data, then restore again.',
      cause: thrown,
    });
  }

  /** Everything that comes after the documents. */
  async finish(): Promise<RestoreResult> {
    await this.settle(0);
    const indexFailures: IndexFailure[] = [];
    const tasks = [...this.#tasks.values()];
    for (const task of tasks) {
      throwIfCancelled(this.#options.signal);
      if (!task.target || isAccounts(task.entry) || task.entry.type === 'view') continue;
      if (task.metadata.state === 'invalid') {
        this.#notes.push(
          `${shownName(task.result.from)}: its metadata in the archive cannot be read, so its options and indexes could not be restored.`,
        );
      }
      const { db, collection } = task.result.to;
      const built = await buildIndexes(this.#server.client, { db, collection }, task.metadata);
      indexFailures.push(...built.failures);
      this.#note(...built.notes);
    }
    for (const task of tasks) {
      if (!task.target || task.entry.type !== 'view') continue;
      this.#options.onStarted?.(namespaceName(task.result.to));
      if (this.#options.replace) await dropQuietly(this.#server, task.result.to);
      this.#note(...(await createView(this.#server, task.result.to, task.metadata.options)));
    }
    await this.#finishAccounts(tasks);
    const namespaces = tasks.filter(({ target, entry }) => target && !isAccounts(entry)).map(({ result }) => result);
    return {
      namespaces,
      documents: namespaces.reduce((sum, { documents }) => sum + documents, 0),
      failed: namespaces.reduce((sum, { failed }) => sum + failed, 0),
      indexFailures,
      notes: this.#notes,
    };
  }

  async #finishAccounts(tasks: readonly Task[]): Promise<void> {
    const staged = tasks.filter(({ entry, target }) => target && isAccounts(entry));
    if (staged.length === 0) return;
    const refused = staged.reduce((sum, { result }) => sum + result.failed, 0);
    if (refused > 0)
      this.#note(`${refused} users or roles were not taken by the server: ${staged.flatMap(({ result }) => result.reasons)[0] ?? ''}.`);
    const has = (collection: string): boolean =>
      staged.some(({ entry, result }) => entry.collection === collection && result.documents > 0);
    this.#note(await mergeAccounts(this.#server, { users: has('system.users'), roles: has('system.roles') }));
  }
}

/** What an insert command says besides its documents, so that they are written as they are. */
export function insertOptions(
  server: Pick<MongoServer, 'topology' | 'product' | 'version'>,
  { type }: Pick<CollectionEntry, 'type'>,
): Document {
  return {
    ordered: false,
    // They were valid, or were taken all the same, where they come from. Buckets have a validator of the server's own.
    ...(type === 'timeseries' ? {} : { bypassDocumentValidation: true }),
    ...(type === 'timeseries' && hasRawData(server) ? { rawData: true } : {}),
    ...(takesZeroTimestamps(server) ? { bypassEmptyTsReplacement: true } : {}),
    ...(server.topology === 'standalone' ? {} : { writeConcern: { w: 'majority' } }),
  };
}
