// Restores a MongoDB backup in three acts: plan (nothing touched), run, prove (the target read back and held against the backup).
import { CancelledError, RefusedError, UserError } from '../step/errors.ts';
import type { Progress } from '../step/host.ts';
import { ArchiveParser, namespaceName, type ArchiveVisitor, type CollectionEntry, type Namespace } from './archive.ts';
import { parseMetadata } from './collection-metadata.ts';
import { compare, type Comparison } from './compare.ts';
import { connectMongo, explainMongoError, type MongoServer } from './connect.ts';
import { chooseEngine, type Engine } from './engine.ts';
import { buildIndexes, type IndexFailure } from './index-build.ts';
import { renamed, type Renaming, type Selection } from './namespaces.ts';
import { readBack } from './read-back.ts';
import { restoreWithDriver } from './restore-driver.ts';
import { asItIs, makePlan, renamesOf, type RestoreOptions, type RestorePlan } from './restore-plan.ts';
import { restoreWithTools } from './restore-tools.ts';

export type { PlannedNamespace, RestoreOptions, RestorePlan } from './restore-plan.ts';

export interface RestoreOutcome {
  documents: number;
  /** Documents the target refused: any is a failure. */
  failed: number;
  /** The first refusals by collection, in the server's words. */
  refusals: string[];
  indexFailures: IndexFailure[];
  notes: string[];
}

/**
 * Connects and plans.
 * @throws UsageError for names that are not in the backup, UserError when the target cannot be reached
 */
export async function openRestore(options: RestoreOptions): Promise<Restore> {
  const renames = renamesOf(options);
  const server = await connectMongo(options.uri, options.signal ? { signal: options.signal } : {});
  try {
    const engine = await chooseEngine(options.engine, 'mongorestore', { signal: options.signal, log: options.log });
    return new Restore(options, server, engine, renames, await makePlan(options, server, engine, renames));
  } catch (thrown) {
    await server.close();
    throw explainMongoError(thrown, options.uri, 'Planning the restore failed');
  }
}

/** A planned restore. Call `close` in a finally. */
export class Restore {
  readonly plan: RestorePlan;
  readonly #options: RestoreOptions;
  readonly #server: MongoServer;
  readonly #engine: Engine;
  readonly #renames: readonly Renaming[];

  constructor(options: RestoreOptions, server: MongoServer, engine: Engine, renames: readonly Renaming[], plan: RestorePlan) {
    this.#options = options;
    this.#server = server;
    this.#engine = engine;
    this.#renames = renames;
    this.plan = plan;
  }

  /**
   * The guard against overwriting by accident.
   * @throws RefusedError when collections hold documents and `replace` was not given
   */
  refuseOccupied(): void {
    const { occupied, fingerprint } = this.plan;
    const { spell = asItIs } = this.#options;
    if (occupied.length === 0 || this.#options.replace) return;
    const names = occupied.slice(0, 3).map(({ to, existing }) => `${to} (${existing ?? 0} documents)`);
    const more = occupied.length > 3 ? ` and ${occupied.length - 3} more` : '';
    throw new RefusedError(`The target ${fingerprint} is not empty: ${names.join(', ')}${more}.`, {
      fix: `Restore beside it with ${spell('rename')} or ${spell('targetDatabase')}, or allow the replacement with ${spell('replace')}.`,
    });
  }

  /**
   * Writes the archive into the target. With `replace`, each collection is dropped just before its own documents are written, so what
   * is not yet reached is still there when it fails; what was dropped is in the safety backup.
   * @throws RefusedError as `refuseOccupied`; UserError when the engine fails
   */
  async run(archive: AsyncIterable<Uint8Array>, onProgress?: (progress: Progress) => void): Promise<RestoreOutcome> {
    this.refuseOccupied();
    const told = (done: { documents: number; namespace: string }): void => {
      onProgress?.({
        phase: 'Restoring',
        done: done.documents,
        total: this.#options.report.totals.documents,
        unit: 'documents',
        detail: done.namespace,
      });
    };
    try {
      return this.#engine.kind === 'driver' ? await this.#runDriver(archive, told) : await this.#runTools(this.#engine, archive, told);
    } catch (thrown) {
      if (this.#options.signal?.aborted)
        throw new CancelledError('Cancelled during the restore; the target holds a part of the backup.', { cause: thrown });
      throw explainMongoError(thrown, this.#options.uri, 'The restore failed');
    }
  }

  async #runDriver(
    archive: AsyncIterable<Uint8Array>,
    told: (done: { documents: number; namespace: string }) => void,
  ): Promise<RestoreOutcome> {
    const result = await restoreWithDriver(this.#server, archive, { ...this.#common(), onProgress: told });
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

  async #runTools(
    engine: Engine & { kind: 'tools' },
    archive: AsyncIterable<Uint8Array>,
    told: (done: { documents: number; namespace: string }) => void,
  ): Promise<RestoreOutcome> {
    const { uri, tempDir, log } = this.#options;
    const prelude = new PreludeTap();
    const refusals: string[] = [];
    const result = await restoreWithTools(prelude.tap(archive), {
      ...this.#common(),
      // Another product's users collection is not mongod's, and mongorestore would stop there. It takes no excludes beside an oplog replay.
      exclude: [
        ...(this.#options.exclude ?? []),
        ...(this.#server.product === undefined || this.plan.replaysOplog ? [] : ['admin.system.*']),
      ],
      tool: engine.tool,
      uri,
      tempDir,
      oplog: this.plan.replaysOplog,
      onProgress: told,
      log: (line) => {
        if (/error|duplicate|E11000/i.test(line) && refusals.length < 5) refusals.push(line);
        log?.(line);
      },
    });
    return {
      documents: result.documents,
      failed: result.failed,
      refusals: result.failed > 0 ? refusals : [],
      indexFailures: await this.#buildIndexes(prelude.entries),
      notes: [],
    };
  }

  async #buildIndexes(entries: readonly CollectionEntry[]): Promise<IndexFailure[]> {
    const planned = new Set(this.plan.namespaces.map(({ from }) => from));
    const failures: IndexFailure[] = [];
    for (const entry of entries) {
      if (!planned.has(namespaceName(entry)) || entry.type === 'view') continue;
      const { db, collection } = renamed(entry, this.#renames);
      failures.push(...(await buildIndexes(this.#server.client, { db, collection }, parseMetadata(entry.metadata).indexes)));
    }
    return failures;
  }

  #common(): Selection & { renames: readonly Renaming[]; replace: boolean; signal?: AbortSignal } {
    const { include, exclude, replace, signal } = this.#options;
    return {
      ...(include ? { include } : {}),
      ...(exclude ? { exclude } : {}),
      ...(signal ? { signal } : {}),
      renames: this.#renames,
      replace: replace ?? false,
    };
  }

  /** Reads the target back to its last document and compares it with the backup. */
  async prove(onProgress?: (progress: Progress) => void): Promise<Comparison> {
    const planned = new Set(this.plan.namespaces.map(({ from }) => from));
    const only = (namespace: Namespace): boolean => planned.has(namespaceName(namespace));
    const { report, signal, uri } = this.#options;
    try {
      const live = await readBack(
        this.#server,
        report.namespaces.filter(only).map((namespace) => renamed(namespace, this.#renames)),
        { ...(signal ? { signal } : {}), ...(onProgress ? { onProgress } : {}), totalDocuments: report.totals.documents },
      );
      return compare(report, live, { renames: this.#renames, only, replayed: this.plan.replaysOplog });
    } catch (thrown) {
      if (signal?.aborted) throw new CancelledError('Cancelled while proving the restore.', { cause: thrown });
      throw explainMongoError(thrown, uri, 'Reading the target back failed');
    }
  }

  close(): Promise<void> {
    return this.#server.close();
  }
}

/**
 * The sentence of a restore that is not what the backup was; undefined when everything was written and proved.
 * @throws nothing: the step decides which error carries it
 */
export function restoreProblem(outcome: RestoreOutcome, comparison: Comparison): string | undefined {
  if (outcome.failed > 0)
    return `${outcome.failed} document${outcome.failed === 1 ? '' : 's'} could not be restored: ${outcome.refusals[0] ?? 'the target refused them'}.`;
  const [index] = outcome.indexFailures;
  if (index) return `The index ${index.index} of ${namespaceName(index)} could not be created: ${index.reason}.`;
  const wrong = comparison.rows.filter(({ verdict }) => verdict === 'different');
  if (wrong.length === 0) return undefined;
  const first = wrong[0] as Comparison['rows'][number];
  return `${wrong.length} of ${comparison.rows.length} collections are not what the backup holds; ${first.to}: ${first.differences.join(', ')}.`;
}

/** Notes the prelude of an archive that passes by, for what mongorestore is not asked to do. */
class PreludeTap implements ArchiveVisitor {
  readonly entries: CollectionEntry[] = [];
  #done = false;

  async *tap(archive: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    const parser = new ArchiveParser(this);
    let first = true;
    for await (const chunk of archive) {
      if (first && chunk[0] === 0x1f)
        throw new UserError('mongorestore cannot restore this gzip archive from here.', { fix: 'Use engine: driver.' });
      first = false;
      if (!this.#done) parser.push(chunk);
      yield chunk;
    }
  }

  header(): void {
    // In the report already.
  }

  collection(entry: CollectionEntry): void {
    this.entries.push(entry);
  }

  preludeEnd(): void {
    this.#done = true;
  }

  beginBlock(): void {
    // Data are mongorestore's business.
  }

  walk(bytes: Uint8Array): number {
    return bytes.length;
  }

  endBlock(): void {
    // Data are mongorestore's business.
  }

  endNamespace(): void {
    // Data are mongorestore's business.
  }
}
