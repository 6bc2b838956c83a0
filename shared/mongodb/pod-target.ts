// The target of a restore inside a pod: written by its own mongorestore, looked at and proved by whole dumps of its own mongodump.
import type { Progress } from '../step/host.ts';
import { ArchiveInspector, type NamespaceReport } from './archive-inspector.ts';
import { namespaceName, type Namespace } from './archive.ts';
import { openDump } from './dump-pod.ts';
import { isAccounts, isInternal, type Selection } from './namespaces.ts';
import { openPodMongo, podProgram, type PodMongo, type PodOptions } from './pod-mongo.ts';
import { dropByShell } from './pod-shell.ts';
import { joined } from './prelude.ts';
import type { LiveNamespace } from './read-back.ts';
import type { RestoreJob, RestoreOutcome, RestoreTarget, TargetCollection } from './restore-target.ts';
import { restoreByTools } from './restore-by-tools.ts';

export interface PodTargetOptions extends PodOptions {
  hangMs?: number;
  /** Told while the target is looked at, before there is a plan. */
  onProgress?: (progress: Progress) => void;
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
  /** What was there when the restore was planned. */
  readonly #found = new Map<string, NamespaceReport>();
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

  /** An archive's prelude names collections, but not how many documents are in them: so the databases are read whole. */
  async list(databases: readonly string[]): Promise<ReadonlyMap<string, TargetCollection>> {
    for (const database of new Set(databases)) {
      for (const namespace of await this.#read({ include: [database] }, 'Looking at the target')) {
        if (!isInternal(namespace) && !isAccounts(namespace)) this.#found.set(namespaceName(namespace), namespace);
      }
    }
    return this.#found;
  }

  count(collection: TargetCollection): Promise<number> {
    return Promise.resolve(this.#found.get(namespaceName(collection))?.documents ?? 0);
  }

  /** What a whole dump of a database holds. */
  async #read(selection: Selection, phase: string): Promise<readonly NamespaceReport[]> {
    const { onProgress, ...options } = this.#options;
    const told = (progress: Progress): void => onProgress?.({ ...progress, phase });
    const archive = await openDump(this.#pod, { ...selection, oplog: false }, { ...options, onProgress: told });
    const inspector = new ArchiveInspector();
    for await (const chunk of joined([archive])) await inspector.write(chunk);
    this.#version = archive.header.serverVersion;
    return (await inspector.end()).namespaces;
  }

  async write(archive: AsyncIterable<Uint8Array>, job: RestoreJob): Promise<RestoreOutcome> {
    const { signal, hangMs, log } = this.#options;
    const { outcome } = await restoreByTools(archive, job, {
      program: podProgram('mongorestore', this.#pod),
      // Nothing else can build them there; one that fails ends mongorestore with an error.
      indexes: true,
      ...(signal ? { signal } : {}),
      ...(hangMs === undefined ? {} : { hangMs }),
      ...(log ? { log } : {}),
    });
    return outcome;
  }

  async readBack(
    names: readonly Namespace[],
    { onProgress, totalDocuments }: { onProgress?: (progress: Progress) => void; totalDocuments?: number },
  ): Promise<ReadonlyMap<string, LiveNamespace>> {
    const wanted = new Set(names.map(namespaceName));
    const live = new Map<string, LiveNamespace>();
    let documents = 0;
    for (const database of new Set(names.map(({ db }) => db))) {
      // What is not compared need not travel, as far as it is known.
      const exclude = [...this.#found].filter(([name, { db }]) => db === database && !wanted.has(name) && !name.includes('*'));
      const selection = { include: [database], ...(exclude.length > 0 ? { exclude: exclude.map(([name]) => name) } : {}) };
      for (const namespace of await this.#read(selection, 'Reading back')) {
        if (!wanted.has(namespaceName(namespace))) continue;
        live.set(namespaceName(namespace), namespace);
        documents += namespace.documents;
      }
      const total = totalDocuments === undefined ? {} : { total: totalDocuments };
      onProgress?.({ phase: 'Reading back', done: documents, ...total, unit: 'documents', detail: database });
    }
    return live;
  }

  /** Only a mongo shell can, and that is not in every image. */
  async drop(names: readonly string[]): Promise<string[]> {
    return (await dropByShell(this.#pod, names, this.#options.signal)) ? [] : [...names];
  }

  explain(thrown: unknown): unknown {
    return thrown;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
