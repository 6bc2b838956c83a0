// The living cluster as something to back up: list by list, object by object, and never more than a page of it in memory.
import { randomBytes } from 'node:crypto';
import type { Source } from '../backup/kind.ts';
import { ApiError } from '../kubernetes/api-error.ts';
import type { Cluster } from '../kubernetes/cluster.ts';
import { typeName, type ApiResource } from '../kubernetes/resources.ts';
import { plural } from '../step/format.ts';
import type { Progress } from '../step/host.ts';
import { headerFile, indexFile, jsonBytes, objectPath, packArchive, type ArchiveFile, type IndexedType, type Unread } from './archive.ts';
import type { StateReport } from './inspector.ts';
import { skipReason } from './scrub.ts';
import { Selector, type StateSelection } from './selection.ts';
import { exportedTypes } from './types.ts';

export interface ExportRequest {
  selection: StateSelection;
  /** Only these objects of a safety backup, by path; its report names them. */
  only?: ReadonlySet<string> | undefined;
  onProgress?: ((progress: Progress) => void) | undefined;
}

/** A cluster by what stays the same however it is called and reached. @throws ApiError, ClusterUnreachableError */
export async function fingerprintOf(cluster: Cluster): Promise<string> {
  return `kubernetes:${await cluster.fingerprint()}`;
}

/** Looks at a cluster, and lists nothing before its bytes are read. @throws ApiError, ClusterUnreachableError, UserError */
export async function openStateSource(cluster: Cluster, request: ExportRequest): Promise<Source<StateReport>> {
  const [discovery, version, fingerprint] = await Promise.all([cluster.discover(), cluster.version(), fingerprintOf(cluster)]);
  const { types, unread } = exportedTypes(discovery, new Selector(request.selection));
  const what = `the cluster ${cluster.context} (Kubernetes ${version})`;
  return {
    bytes: packArchive(exportFiles(cluster, { ...request, types, unread })),
    estimate: undefined,
    said: `Reading ${plural(types.length, 'kind')} of ${what}.`,
    tools: {},
    facts: () => ({ source: { fingerprint, version, host: cluster.server }, consistency: 'per-collection' }),
    what,
    consistency: 'each kind of one moment, noted with it',
    doubts: [],
    close: async () => {
      cluster.close();
      await Promise.resolve();
    },
  };
}

interface Export extends ExportRequest {
  types: readonly ApiResource[];
  unread: readonly Unread[];
}

/** The files of an archive, as the lists come. @throws ClusterUnreachableError: what is half read is no backup */
async function* exportFiles(cluster: Cluster, { selection, only, onProgress, types, unread: before }: Export): AsyncGenerator<ArchiveFile> {
  const selector = new Selector(selection);
  const unread = [...before];
  const indexed: IndexedType[] = [];
  const seen = { objects: 0 };
  yield headerFile({ salt: randomBytes(16).toString('hex'), names: only !== undefined });
  for (const type of types) {
    const { group, version, plural: name, kind, namespaced } = type;
    const entry: IndexedType = { group, version, plural: name, kind, namespaced, resourceVersion: '', objects: 0 };
    try {
      for await (const { items, resourceVersion } of cluster.list(type)) {
        entry.resourceVersion ||= resourceVersion;
        for (const object of items) {
          const path = objectPath({ ...entry, namespace: object.metadata.namespace, name: object.metadata.name });
          if (skipReason(type, object) !== undefined || !selector.meansObject(type, object) || (only && !only.has(path))) continue;
          entry.objects += 1;
          yield { name: path, bytes: jsonBytes(object) };
        }
        onProgress?.({
          phase: 'Reading the cluster',
          done: seen.objects + entry.objects,
          unit: 'objects',
          detail: typeName(type),
        });
      }
    } catch (thrown) {
      // One list that cannot be had is told, and the rest is worth having; a server that is gone or does not know us is not.
      if (!(thrown instanceof ApiError) || thrown.status === 401) throw thrown;
      unread.push({ what: typeName(type), why: thrown.message });
    }
    seen.objects += entry.objects;
    if (entry.objects > 0) indexed.push(entry);
  }
  yield indexFile({ types: indexed, unread });
}
