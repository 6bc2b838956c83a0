// The target of a restore inside a pod: written by its own mongorestore, seen and proved by dumps of its own mongodump.
import type { Progress } from '../step/host.ts';
import { ArchiveInspector } from './archive-inspector.ts';
import { namespaceName, type CollectionEntry, type Namespace } from './archive.ts';
import { openDump } from './dump-pod.ts';
import { isAccounts, isInternal } from './namespaces.ts';
import { openPodMongo, podProgram, type PodMongo, type PodOptions } from './pod-mongo.ts';
import { joined } from './prelude.ts';
import type { LiveNamespace } from './read-back.ts';
import type { RestoreJob, RestoreOutcome, RestoreTarget, TargetCollection } from './restore-target.ts';
import { restoreWithTools } from './restore-tools.ts';
import { isRefusal } from './tool-output.ts';

export interface PodTargetOptions extends PodOptions {
  hangMs?: number;
}

/** @throws UserError when the pod cannot be found */
export async function openPodTarget(options: PodTargetOptions): Promise<RestoreTarget> {
  return new PodTarget(options, await openPodMongo(options, 'primary'));
}

class PodTarget implements RestoreTarget {
  readonly engine = 'tools';
  readonly dumpsDatabases = true;
  readonly #options: PodTargetOptions;
  readonly #pod: PodMongo;
  /** What was listed, with mongodump's count of it. */
  readonly #entries = new Map<string, CollectionEntry>();
  #version = 'unknown';

  constructor(options: PodTargetOptions, pod: PodMongo) {
    this.#options = options;
    this.#pod = pod;
  }

  get fingerprint(): string {
    return this.#pod.fingerprint;
  }

  get version(): string {
    return this.#version;
  }

  /** The prelude of a dump lists a database with counts; the dump is ended before its data. */
  async list(databases: readonly string[]): Promise<ReadonlyMap<string, TargetCollection>> {
    const found = new Map<string, TargetCollection>();
    for (const database of new Set(databases)) {
      const archive = await openDump(this.#pod, { include: [database], oplog: false }, this.#options);
      await archive.close();
      this.#version = archive.header.serverVersion;
      for (const entry of archive.entries) {
        if (isInternal(entry) || isAccounts(entry)) continue;
        this.#entries.set(namespaceName(entry), entry);
        found.set(namespaceName(entry), { db: entry.db, collection: entry.collection, type: typeOf(entry) });
      }
    }
    return found;
  }

  count(collection: TargetCollection): Promise<number> {
    return Promise.resolve(this.#entries.get(namespaceName(collection))?.size ?? 0);
  }

  async write(archive: AsyncIterable<Uint8Array>, job: RestoreJob): Promise<RestoreOutcome> {
    const { signal, hangMs, log } = this.#options;
    const refusals: string[] = [];
    const result = await restoreWithTools(archive, {
      ...(job.include ? { include: job.include } : {}),
      ...(job.exclude ? { exclude: job.exclude } : {}),
      ...(signal ? { signal } : {}),
      ...(hangMs === undefined ? {} : { hangMs }),
      program: podProgram('mongorestore', this.#pod),
      renames: job.renames,
      replace: job.replace,
      oplog: job.replaysOplog,
      // Nobody else can build them there; one that fails ends mongorestore with an error.
      indexes: true,
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
      indexFailures: [],
      notes: [],
    };
  }

  async readBack(
    names: readonly Namespace[],
    { onProgress, totalDocuments }: { onProgress?: (progress: Progress) => void; totalDocuments?: number },
  ): Promise<ReadonlyMap<string, LiveNamespace>> {
    const wanted = new Set(names.map(namespaceName));
    const live = new Map<string, LiveNamespace>();
    let documents = 0;
    for (const database of new Set(names.map(({ db }) => db))) {
      const others = [...this.#entries.values()].filter((entry) => entry.db === database && !wanted.has(namespaceName(entry)));
      const exclude = others.map(namespaceName).filter((name) => !name.includes('*'));
      const archive = await openDump(
        this.#pod,
        { include: [database], ...(exclude.length > 0 ? { exclude } : {}), oplog: false },
        this.#options,
      );
      const inspector = new ArchiveInspector();
      for await (const chunk of joined([archive])) await inspector.write(chunk);
      for (const namespace of (await inspector.report()).namespaces) {
        if (!wanted.has(namespaceName(namespace))) continue;
        live.set(namespaceName(namespace), namespace);
        documents += namespace.documents;
      }
      onProgress?.({
        phase: 'Reading back',
        done: documents,
        ...(totalDocuments === undefined ? {} : { total: totalDocuments }),
        unit: 'documents',
        detail: database,
      });
    }
    return live;
  }

  /** Only a mongo shell could, and that is not in every image. */
  drop(names: readonly string[]): Promise<string[]> {
    return Promise.resolve([...names]);
  }

  explain(thrown: unknown): unknown {
    return thrown;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

function typeOf({ type }: CollectionEntry): TargetCollection['type'] {
  return type === 'view' || type === 'timeseries' ? type : 'collection';
}
