// The types of objects that a living cluster serves: which are backed up, and which an archive's objects belong to.
import { ApiError } from '../kubernetes/api-error.ts';
import type { Cluster } from '../kubernetes/cluster.ts';
import type { Discovery } from '../kubernetes/discovery.ts';
import { apiVersionOf, groupPath, typeName, type ApiResource } from '../kubernetes/resources.ts';
import type { Unread } from './archive.ts';
import type { ResourceType } from './objects.ts';
import { inRestoreOrder } from './order.ts';
import { NEVER_EXPORTED } from './scrub.ts';
import type { Selector } from './selection.ts';

/** Figures of a moment, which are nothing to restore. */
const COMPUTED = /(^|\.)metrics\.k8s\.io$/;
const NEEDED_VERBS = ['list', 'get', 'create', 'delete'];
/** The same objects are served by the newer group, too. */
const SERVED_TWICE: Readonly<Record<string, string>> = { 'ingresses.extensions': 'ingresses.networking.k8s.io' };

/** What is backed up of a cluster, in the order in which it is restored; and what of it cannot be looked into. */
export function exportedTypes({ resources, failed }: Discovery, selector: Selector): { types: ApiResource[]; unread: Unread[] } {
  const names = new Set(resources.map(typeName));
  const types = resources.filter(
    (type) =>
      NEEDED_VERBS.every((verb) => type.verbs.includes(verb)) &&
      !NEVER_EXPORTED.has(typeName(type)) &&
      !names.has(SERVED_TWICE[typeName(type)] ?? '') &&
      selector.meansType(type),
  );
  const unread = failed
    .filter(({ group }) => !COMPUTED.test(group) && selector.meansGroup(group))
    .map(({ group, version, why }) => ({ what: apiVersionOf({ group, version }), why }));
  return { types: inRestoreOrder(types), unread };
}

/** The types of a cluster by what archives call them. Looked up anew when definitions were restored. */
export class ServedTypes {
  readonly #cluster: Cluster;
  #found: Promise<Map<string, ApiResource>> | undefined;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  /** Undefined when the cluster does not serve that version. @throws ApiError, ClusterUnreachableError */
  async find(type: Pick<ResourceType, 'group' | 'version' | 'plural'>): Promise<ApiResource | undefined> {
    this.#found ??= this.#look();
    const found = await this.#found;
    const served = found.get(keyOf(type));
    if (served !== undefined) return served;
    // Discovery names each type once, in the version that its group prefers; others may be served as well.
    const other = [...found.values()].find((one) => typeName(one) === typeName(type));
    return other !== undefined && (await this.#serves(type)) ? { ...other, version: type.version } : undefined;
  }

  forget(): void {
    this.#found = undefined;
  }

  async #look(): Promise<Map<string, ApiResource>> {
    const { resources } = await this.#cluster.discover();
    return new Map(resources.map((one) => [keyOf(one), one]));
  }

  async #serves(type: Pick<ResourceType, 'group' | 'version' | 'plural'>): Promise<boolean> {
    try {
      const { resources } = (await this.#cluster.request({ method: 'GET', path: groupPath(type) })) as { resources?: { name: string }[] };
      return resources?.some(({ name }) => name === type.plural) ?? false;
    } catch (thrown) {
      if (thrown instanceof ApiError) return false;
      throw thrown;
    }
  }
}

function keyOf({ group, version, plural }: Pick<ResourceType, 'group' | 'version' | 'plural'>): string {
  return `${group}/${version}/${plural}`;
}
