// The target of a restore that the driver reaches: planned, read back and indexed by it; written by either engine.
import { UserError } from '../step/errors.ts';
import type { Progress } from '../step/host.ts';
import type { Secret } from '../step/input.ts';
import { ArchiveParser, namespaceName, type CollectionEntry, type Namespace } from './archive.ts';
import { parseMetadata } from './collection-metadata.ts';
import { connectMongo, explainMongoError, type MongoServer } from './connect.ts';
import { dropCollections } from './drop.ts';
import { chooseEngine, type Engine, type EngineChoice } from './engine.ts';
import { buildIndexes, type IndexFailure } from './index-build.ts';
import { renamed } from './namespaces.ts';
import { Prelude } from './prelude.ts';
import { listCollections, readBack, type LiveNamespace } from './read-back.ts';
import { restoreWithDriver } from './restore-driver.ts';
import type { RestoreJob, RestoreOutcome, RestoreTarget, TargetCollection } from './restore-target.ts';
import { restoreWithTools } from './restore-tools.ts';
import { isRefusal } from './tool-output.ts';
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
    return type === 'view' ? 0 : this.#server.client.db(db).collection(collection).estimatedDocumentCount();
  }

  write(archive: AsyncIterable<Uint8Array>, job: RestoreJob): Promise<RestoreOutcome> {
    return this.#engine.kind === 'driver' ? this.#writeWithDriver(archive, job) : this.#writeWithTools(this.#engine, archive, job);
  }

  async #writeWithDriver(archive: AsyncIterable<Uint8Array>, job: RestoreJob): Promise<RestoreOutcome> {
    const result = await restoreWithDriver(this.#server, archive, { ...this.#selection(job), onProgress: job.onProgress });
    return {
      documents: result.documents,
      failed: result.failed,
      refusals: result.namespaces
        .filter(({ failed }) => failed > 0)
        .map(({ to, failed, reasons }) => `${namespaceName(to)}: ${failed} refused (${reasons[0] ?? 'no reason given'})`),
      indexFailures: result.indexFailures,
      notes: result.notes,
    };
  }

  async #writeWithTools(engine: Engine & { kind: 'tools' }, archive: AsyncIterable<Uint8Array>, job: RestoreJob): Promise<RestoreOutcome> {
    const { uri, tempDir, log } = this.#options;
    const prelude = new Prelude();
    const refusals: string[] = [];
    const result = await restoreWithTools(tapPrelude(archive, prelude), {
      ...this.#selection(job),
      // Another product's users collection is not mongod's, and mongorestore would stop there. It takes no excludes beside an oplog replay.
      exclude: [...(job.exclude ?? []), ...(this.product === undefined || job.replaysOplog ? [] : ['admin.system.*'])],
      program: localProgram({ tool: engine.tool, uri, tempDir }),
      oplog: job.replaysOplog,
      onProgress: job.onProgress,
      log: (line) => {
        if (isRefusal(line) && refusals.length < 5) refusals.push(line);
        log?.(line);
      },
    });
    return {
      documents: result.documents,
      failed: result.failed,
      refusals: result.failed > 0 ? refusals : [],
      indexFailures: await this.#buildIndexes(prelude.entries, job),
      notes: [],
    };
  }

  async #buildIndexes(entries: readonly CollectionEntry[], { planned, renames }: RestoreJob): Promise<IndexFailure[]> {
    const failures: IndexFailure[] = [];
    for (const entry of entries) {
      if (!planned.has(namespaceName(entry)) || entry.type === 'view') continue;
      const { db, collection } = renamed(entry, renames);
      failures.push(...(await buildIndexes(this.#server.client, { db, collection }, parseMetadata(entry.metadata))));
    }
    return failures;
  }

  #selection({ include, exclude, renames, replace }: RestoreJob) {
    const { signal } = this.#options;
    return { ...(include ? { include } : {}), ...(exclude ? { exclude } : {}), ...(signal ? { signal } : {}), renames, replace };
  }

  readBack(
    names: readonly Namespace[],
    options: { onProgress?: (progress: Progress) => void; totalDocuments?: number },
  ): Promise<ReadonlyMap<string, LiveNamespace>> {
    const { signal } = this.#options;
    return readBack(this.#server, names, { ...(signal ? { signal } : {}), ...options });
  }

  async drop(names: readonly string[]): Promise<string[]> {
    await dropCollections(this.#options.uri, names, this.#options.signal);
    return [];
  }

  explain(thrown: unknown, doing: string): unknown {
    return explainMongoError(thrown, this.#options.uri, doing);
  }

  close(): Promise<void> {
    return this.#server.close();
  }
}

/** Lets an archive pass and notes its prelude, for what mongorestore is not asked to do. */
async function* tapPrelude(archive: AsyncIterable<Uint8Array>, prelude: Prelude): AsyncGenerator<Uint8Array> {
  const parser = new ArchiveParser(prelude);
  let first = true;
  for await (const chunk of archive) {
    if (first && chunk[0] === 0x1f)
      throw new UserError('mongorestore cannot restore this gzip archive from here.', { fix: 'Use engine: driver.' });
    first = false;
    if (!prelude.ended) parser.push(chunk);
    yield chunk;
  }
}
