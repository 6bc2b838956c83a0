// What kinds of objects an API server has: in two requests where it gathers them (Kubernetes 1.26), else version by version.
import { errorMessage } from '../step/errors.ts';
import { ApiError } from './api-error.ts';
import type { RepeatableRequest } from './requests.ts';
import { groupPath, type ApiResource } from './resources.ts';

export interface Discovery {
  /** Each in the version that its group prefers, or in the first that has it. No subresources. */
  resources: ApiResource[];
  /** Versions of groups that cannot be looked into, for example since the server behind an APIService is down. */
  failed: { group: string; version: string; why: string }[];
}

/** Sends a request and parses the answer. */
export type Ask = (request: RepeatableRequest) => Promise<unknown>;

interface FoundVersion {
  version: string;
  resources: ApiResource[];
  why?: string;
}

interface FoundGroup {
  group: string;
  /** The preferred one first. */
  versions: FoundVersion[];
}

/** Servers choose the first they know. */
const GATHERED = ['v2', 'v2beta1'].map((version) => `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`);
const ACCEPT = [...GATHERED, 'application/json'].join(',');

/** @throws ApiError, ClusterUnreachableError when not even the groups can be listed */
export async function discover(ask: Ask, signal?: AbortSignal): Promise<Discovery> {
  const [core, others] = await Promise.all(
    ['/api', '/apis'].map((path) => ask({ method: 'GET', path, accept: ACCEPT, signal }) as Promise<Answer>),
  );
  const groups = [...(await groupsOf(core, ask, signal)), ...(await groupsOf(others, ask, signal))];
  const failed = groups.flatMap(({ group, versions }) =>
    versions.flatMap(({ version, why }) => (why === undefined ? [] : [{ group, version, why }])),
  );
  for (const one of failed) one.why = (await apiServiceWhy(one, ask, signal)) ?? one.why;
  return { resources: groups.flatMap(preferred), failed };
}

type Answer = GatheredList | { kind: 'APIVersions'; versions: string[] } | { kind: 'APIGroupList'; groups: LegacyGroup[] } | undefined;

async function groupsOf(answer: Answer, ask: Ask, signal: AbortSignal | undefined): Promise<FoundGroup[]> {
  if (answer?.kind === 'APIGroupDiscoveryList') return answer.items.map(gathered);
  if (answer?.kind === 'APIVersions') return [{ group: '', versions: await legacyVersions('', answer.versions, ask, signal) }];
  const groups: FoundGroup[] = [];
  for (const { name, versions, preferredVersion } of answer?.groups ?? []) {
    const first = preferredVersion?.version;
    const names = versions.map(({ version }) => version).sort((a, b) => Number(b === first) - Number(a === first));
    groups.push({ group: name, versions: await legacyVersions(name, names, ask, signal) });
  }
  return groups;
}

/** `apidiscovery.k8s.io/v2` */
interface GatheredList {
  kind: 'APIGroupDiscoveryList';
  items: {
    metadata?: { name?: string };
    versions: {
      version: string;
      freshness?: 'Current' | 'Stale';
      resources?: {
        resource: string;
        responseKind?: { group?: string; version?: string; kind?: string };
        scope: 'Namespaced' | 'Cluster';
        verbs?: string[];
      }[];
    }[];
  }[];
}

function gathered({ metadata, versions }: GatheredList['items'][number]): FoundGroup {
  const group = metadata?.name ?? '';
  return {
    group,
    versions: versions.map(({ version, freshness, resources = [] }) => {
      const found = resources.flatMap(({ resource, responseKind, scope, verbs = [] }) =>
        responseKind?.kind
          ? [{ group, version, plural: resource, kind: responseKind.kind, namespaced: scope === 'Namespaced', verbs }]
          : [],
      );
      // What is listed of a stale version is what it had when it was last seen.
      return freshness === 'Stale' ? { version, resources: [], why: 'its API server does not answer' } : { version, resources: found };
    }),
  };
}

interface LegacyGroup {
  name: string;
  versions: { version: string }[];
  preferredVersion?: { version: string };
}

/** `kind: APIResourceList` */
interface LegacyList {
  resources?: { name: string; kind: string; namespaced: boolean; verbs?: string[] }[];
}

async function legacyVersions(
  group: string,
  versions: readonly string[],
  ask: Ask,
  signal: AbortSignal | undefined,
): Promise<FoundVersion[]> {
  return Promise.all(
    versions.map(async (version) => {
      const path = groupPath({ group, version });
      try {
        const { resources = [] } = (await ask({ method: 'GET', path, signal })) as LegacyList;
        const own = resources.filter(({ name }) => !name.includes('/'));
        return {
          version,
          resources: own.map(({ name, kind, namespaced, verbs = [] }) => ({ group, version, plural: name, kind, namespaced, verbs })),
        };
      } catch (thrown) {
        if (!(thrown instanceof ApiError)) throw thrown;
        return { version, resources: [], why: errorMessage(thrown) };
      }
    }),
  );
}

function preferred({ versions }: FoundGroup): ApiResource[] {
  const found = new Map<string, ApiResource>();
  for (const { resources } of versions) for (const one of resources) if (!found.has(one.plural)) found.set(one.plural, one);
  return [...found.values()];
}

interface ApiService {
  status?: { conditions?: { type: string; status: string; message?: string }[] };
}

/** What the APIService says about itself; undefined when it cannot be read or says that all is well. */
async function apiServiceWhy(
  { group, version }: { group: string; version: string },
  ask: Ask,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  const path = `/apis/apiregistration.k8s.io/v1/apiservices/${version}.${group}`;
  try {
    const { status } = (await ask({ method: 'GET', path, signal })) as ApiService;
    return status?.conditions?.find(({ type, status: holds }) => type === 'Available' && holds !== 'True')?.message;
  } catch (thrown) {
    if (!(thrown instanceof ApiError)) throw thrown;
    return undefined;
  }
}
