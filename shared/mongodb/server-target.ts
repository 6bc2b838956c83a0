// The target of a restore that the driver reaches: planned, read back and indexed by it; written by either engine.
import type { Progress } from '../step/host.ts';
import type { Secret } from '../step/input.ts';
import { namespaceName, shownName, type CollectionEntry, type Namespace } from './archive.ts';
import { parseMetadata } from './collection-metadata.ts';
import { connectMongo, explainMongoError, type MongoServer } from './connect.ts';
import { dropQuietly, refusedOptionsText, triedOptions } from './create-collection.ts';
import { chooseEngine, type Engine, type EngineChoice } from './engine.ts';
import { buildIndexes, type BuiltIndexes } from './index-build.ts';
import { parseNamespace, renamed } from './namespaces.ts';
import { listCollections, readBack, type LiveNamespace } from './read-back.ts';
import { restoreWithDriver } from './restore-driver.ts';
import type { RestoreJob, RestoreOutcome, RestoreTarget, TargetCollection } from './restore-target.ts';
import { restoreByTools } from './restore-by-tools.ts';
import { localProgram } from './tool-program.ts';

export interface ServerOptions {
  uri: Secret;
  engine: EngineChoice;
  tempDir: string;
  signal?: AbortSignal;
  log?: (line: string) => void;
}

/** @throws UserError when the server cannot be reached, or the engine is not there */
export async function openServerTarget(options: ServerOptions): Promise<RestoreTarget> {
  const server = await connectMongo(options.uri, options.signal ? { signal: options.signal } : {});
  try {
    return new ServerTarget(
      options,
      server,
      await chooseEngine(options.engine, 'mongorestore', { signal: options.signal, log: options.log }),
    );
  } catch (thrown) {
    await server.close();
    throw thrown;
  }
}

class ServerTarget implements RestoreTarget {
  readonly dumpsDatabases = false;
  readonly #options: ServerOptions;
  readonly #server: MongoServer;
  readonly #engine: Engine;

  constructor(options: ServerOptions, server: MongoServer, engine: Engine) {
    this.#options = options;
    this.#server = server;
    this.#engine = engine;
  }

  get fingerprint(): string {
    return this.#server.fingerprint;
  }

  get engine(): Engine['kind'] {
    return this.#engine.kind;
  }

  get version(): string {
    return this.#server.version;
  }

  get product(): string | undefined {
    return this.#server.product;
  }

  list(databases: readonly string[]): Promise<ReadonlyMap<string, TargetCollection>> {
    return listCollections(this.#server, databases);
  }

  async count({ db, collection, type }: TargetCollection): Promise<number> {
    if (type === 'view') return 0;
    const found = this.#server.client.db(db).collection(collection);
    // After a crash the estimate may be 0 for a full collection, and that would pass for an empty one.
    return (await found.estimatedDocumentCount()) || found.countDocuments({}, { limit: 1 });
  }

  write(archive: AsyncIterable<Uint8Array>, job: RestoreJob): Promise<RestoreOutcome> {
    return this.#engine.kind === 'driver' ? this.#writeWithDriver(archive, job) : this.#writeWithTools(this.#engine, archive, job);
  }

  async #writeWithDriver(archive: AsyncIterable<Uint8Array>, job: RestoreJob): Promise<RestoreOutcome> {
    const result = await restoreWithDriver(this.#server, archive, { ...job, ...this.#signal() });
    return {
      documents: result.documents,
      failed: result.failed,
      refusals: result.namespaces
        .filter(({ failed }) => failed > 0)
        .map(({ to, failed, reasons }) => `${shownName(to)}: ${failed} refused (${reasons[0] ?? 'no reason given'})`),
      indexFailures: result.indexFailures,
      dropped: new Set(),
      notes: result.notes,
    };
  }

  async #writeWithTools(
    { tool }: Engine & { kind: 'tools' },
    archive: AsyncIterable<Uint8Array>,
    job: RestoreJob,
  ): Promise<RestoreOutcome> {
    const { uri, tempDir, log } = this.#options;
    const written = await restoreByTools(archive, job, {
      program: localProgram({ tool, uri, tempDir }),
      // Built by the driver below, which sees each failure.
      indexes: false,
      tryOptions: async (entry, options) => {
        const to = renamed(entry, job.renames);
        const refused = await triedOptions(this.#server, to, options);
        return refused && { without: refused.names, note: refusedOptionsText(to, refused) };
      },
      ...this.#signal(),
      ...(log ? { log } : {}),
    });
    const { failures, notes } = await this.#buildIndexes(written.entries, written.outcome.dropped, job);
    return { ...written.outcome, indexFailures: failures, notes: [...written.outcome.notes, ...notes] };
  }

  async #buildIndexes(entries: readonly CollectionEntry[], dropped: ReadonlySet<string>, { renames }: RestoreJob): Promise<BuiltIndexes> {
    const built: BuiltIndexes = { failures: [], notes: [] };
    for (const entry of entries) {
      // An index would bring a dropped collection back.
      if (entry.type === 'view' || dropped.has(namespaceName(entry))) continue;
      const { db, collection } = renamed(entry, renames);
      const { failures, notes } = await buildIndexes(this.#server.client, { db, collection }, parseMetadata(entry.metadata));
      built.failures.push(...failures);
      built.notes.push(...notes);
    }
    return built;
  }

  #signal(): { signal?: AbortSignal } {
    const { signal } = this.#options;
    return signal ? { signal } : {};
  }

  readBack(
    names: readonly Namespace[],
    options: { onProgress?: (progress: Progress) => void; totalDocuments?: number },
  ): Promise<ReadonlyMap<string, LiveNamespace>> {
    return readBack(this.#server, names, { ...this.#signal(), ...options });
  }

  async drop(names: readonly string[]): Promise<string[]> {
    for (const name of names) await dropQuietly(this.#server, parseNamespace(name));
    return [];
  }

  explain(thrown: unknown, doing: string): unknown {
    return explainMongoError(thrown, this.#options.uri, doing);
  }

  close(): Promise<void> {
    return this.#server.close();
  }
}
