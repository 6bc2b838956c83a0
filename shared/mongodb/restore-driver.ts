// The built-in restore engine: reads a mongodump archive and writes its raw documents in bulk, then indexes, views, users and roles.
import { MongoServerError, type Document } from 'mongodb';
import { DocumentSequence } from 'mongodb/lib/cmap/commands.js';
import { release } from '../tools/release.ts';
import { CancelledError, throwIfCancelled, UserError } from '../step/errors.ts';
import { ArchiveParser, documentEnd, namespaceName, type ArchiveVisitor, type CollectionEntry, type Namespace } from './archive.ts';
import { parseMetadata, type CollectionMetadata } from './collection-metadata.ts';
import type { MongoServer } from './connect.ts';
import { plainArchive } from './plain-archive.ts';
import { buildIndexes, type IndexFailure } from './index-build.ts';
import { compileSelection, isAccounts, isInternal, renamed, type Renaming, type Selection } from './namespaces.ts';

export interface DriverRestoreOptions extends Selection {
  renames?: readonly Renaming[];
  /** Drop each collection just before its first document is written. */
  replace?: boolean;
  /** Take over users and roles when the archive has them. */
  accounts?: boolean;
  signal?: AbortSignal;
  onProgress?: (done: { documents: number; bytes: number; namespace: string }) => void;
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
  options: DriverRestoreOptions = {},
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
  buffer: Buffer;
  filled: number;
  count: number;
}

class ArchiveRestore implements ArchiveVisitor {
  readonly #server: MongoServer;
  readonly #options: DriverRestoreOptions;
  readonly #selector;
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
    this.#selector = compileSelection(options);
  }

  header(): void {
    // The header's facts are in the backup's report.
  }

  collection(entry: CollectionEntry): void {
    const to = renamed(entry, this.#options.renames ?? []);
    const accounts = isAccounts(entry) && this.#selector.everything && this.#options.accounts !== false;
    const taken = entry.db !== '' && this.#selector.matches(entry) && !isInternal(entry) && (!isAccounts(entry) || accounts);
    const target = !taken ? undefined : isAccounts(entry) ? ACCOUNT_STAGING[entry.collection] : dataTarget(entry, to);
    this.#tasks.set(entry, {
      entry,
      metadata: parseMetadata(entry.metadata),
      target,
      result: {
        from: { db: entry.db, collection: entry.collection },
        to: isAccounts(entry) ? entry : to,
        documents: 0,
        failed: 0,
        reasons: [],
      },
      ready: undefined,
      buffer: Buffer.alloc(0),
      filled: 0,
      count: 0,
    });
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
    for (let end = documentEnd(bytes, at); end > 0; end = documentEnd(bytes, at)) {
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
    this.#track(async () => {
      await task.ready;
      await this.#insert(task, buffer.subarray(0, filled), count);
      // The server has answered: nobody reads the batch any more.
      release(buffer);
    });
  }

  #prepared(task: Task): void {
    if (task.ready || task.entry.type === 'view') return;
    task.ready = this.#prepare(task);
    this.#track(() => task.ready as Promise<void>);
  }

  #track(work: () => Promise<void>): void {
    const running: Promise<void> = work()
      .catch((thrown: unknown) => {
        this.#failure ??= { thrown };
      })
      .finally(() => this.#inFlight.delete(running));
    this.#inFlight.add(running);
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
    const { db } = task.target as Namespace;
    const database = this.#server.client.db(db);
    if (this.#options.replace || isAccounts(task.entry)) await dropQuietly(this.#server, { db, collection: visibleName(task) });
    const options = creationOptions(task.metadata);
    const create = (some: Document): Promise<unknown> => database.command({ create: visibleName(task), ...some });
    try {
      await create(isAccounts(task.entry) ? {} : options);
    } catch (thrown) {
      if (!(thrown instanceof MongoServerError)) throw thrown;
      if (thrown.code === NAMESPACE_EXISTS) return;
      if (Object.keys(options).length === 0) return;
      this.#notes.push(
        `${namespaceName(task.result.to)}: the target does not take its options (${Object.keys(options).join(', ')}): ${thrown.message}.`,
      );
      await create({}).catch((again: unknown) => {
        if (!(again instanceof MongoServerError)) throw again;
      });
    }
  }

  async #insert(task: Task, documents: Buffer, count: number): Promise<void> {
    const target = task.target as Namespace;
    const sequence = new DocumentSequence('documents');
    sequence.push({}, documents);
    const reply = await this.#server.client
      .db(target.db)
      .command(
        {
          insert: target.collection,
          ordered: false,
          bypassDocumentValidation: true,
          ...(this.#server.topology === 'standalone' ? {} : { writeConcern: { w: 'majority' } }),
          documents: sequence,
        },
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
      throw new UserError(`Documents of ${namespaceName(target)} were not written to a majority of the replica set: ${concern}.`);
    this.#documents += count - errors.length;
    this.#bytes += documents.length;
    this.#options.onProgress?.({ documents: this.#documents, bytes: this.#bytes, namespace: namespaceName(target) });
  }

  #insertProblem(task: Task, thrown: unknown): unknown {
    if (this.#options.signal?.aborted || !(thrown instanceof Error)) return thrown;
    return new UserError(`Writing documents of ${namespaceName(task.result.to)} failed: ${thrown.message}.`, {
      fix: 'The target holds only a part now. See that it is up and takes this kind of data, then restore again with replace.',
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
          `${namespaceName(task.result.from)}: its metadata in the archive cannot be read, so its options and indexes could not be restored.`,
        );
      }
      const { db, collection } = task.result.to;
      indexFailures.push(...(await buildIndexes(this.#server.client, { db, collection }, task.metadata)));
    }
    for (const task of tasks) if (task.target && task.entry.type === 'view') await this.#createView(task);
    if (tasks.some(({ target, entry }) => target && isAccounts(entry))) await this.#mergeAccounts(tasks);
    const namespaces = tasks.filter(({ target, entry }) => target && !isAccounts(entry)).map(({ result }) => result);
    return {
      namespaces,
      documents: namespaces.reduce((sum, { documents }) => sum + documents, 0),
      failed: namespaces.reduce((sum, { failed }) => sum + failed, 0),
      indexFailures,
      notes: this.#notes,
    };
  }

  async #createView(task: Task): Promise<void> {
    const { to } = task.result;
    if (this.#options.replace) await dropQuietly(this.#server, to);
    try {
      await this.#server.client.db(to.db).command({ create: to.collection, ...task.metadata.options });
    } catch (thrown) {
      if (!(thrown instanceof MongoServerError)) throw thrown;
      this.#notes.push(`The view ${namespaceName(to)} could not be created: ${thrown.message}.`);
    }
  }

  /** As mongorestore does: users and roles are written aside, and the server itself merges them. */
  async #mergeAccounts(tasks: readonly Task[]): Promise<void> {
    const admin = this.#server.client.db('admin');
    const has = (collection: string): boolean =>
      tasks.some(({ entry, target, result }) => target && entry.collection === collection && isAccounts(entry) && result.documents > 0);
    try {
      if (!has('system.users') && !has('system.roles')) return;
      await admin.command({
        _mergeAuthzCollections: 1,
        ...(has('system.users') ? { tempUsersCollection: 'admin.tempusers' } : {}),
        ...(has('system.roles') ? { tempRolesCollection: 'admin.temproles' } : {}),
        drop: false,
        db: '',
      });
    } catch (thrown) {
      if (!(thrown instanceof MongoServerError)) throw thrown;
      this.#notes.push(`Users and roles were not restored: ${thrown.message}.`);
    } finally {
      for (const staging of Object.values(ACCOUNT_STAGING)) if (staging) await dropQuietly(this.#server, staging).catch(() => undefined);
    }
  }
}

const NAMESPACE_EXISTS = 48;

/** Where users and roles wait until the server merges them; `system.version` belongs to the server and is not restored. */
const ACCOUNT_STAGING: Record<string, Namespace | undefined> = {
  'system.users': { db: 'admin', collection: 'tempusers' },
  'system.roles': { db: 'admin', collection: 'temproles' },
};

/** A time series takes its documents through its buckets, under the series' new name. */
function dataTarget(entry: CollectionEntry, to: Namespace): Namespace {
  return entry.type === 'timeseries' ? { db: to.db, collection: `system.buckets.${to.collection}` } : to;
}

/** The name a collection is created and dropped by. */
function visibleName(task: Task): string {
  return isAccounts(task.entry) ? (task.target as Namespace).collection : task.result.to.collection;
}

/** Options as `create` takes them: without what the server adds by itself. */
function creationOptions(metadata: CollectionMetadata): Document {
  return Object.fromEntries(Object.entries(metadata.options).filter(([name]) => !['autoIndexId', 'flags', 'temp'].includes(name)));
}

/** Drops a collection; one that is not there is fine. */
async function dropQuietly(server: MongoServer, { db, collection }: Namespace): Promise<void> {
  try {
    await server.client.db(db).command({ drop: collection });
  } catch (thrown) {
    if (!(thrown instanceof MongoServerError) || (thrown.code !== 26 && !/ns not found/i.test(thrown.message))) throw thrown;
  }
}
