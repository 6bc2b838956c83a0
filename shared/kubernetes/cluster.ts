// A cluster as the rest of Lifeboat knows it: one API server that is asked in plain JSON, so that nothing of an object is lost.
import { throwIfCancelled } from '../step/errors.ts';
import type { ClusterAccess } from './access.ts';
import { isNotFound } from './api-error.ts';
import { Connection } from './connection.ts';
import { discover, type Discovery } from './discovery.ts';
import { parseExactJson } from './json.ts';
import { listPages, type ListOptions, type ListPage } from './listing.ts';
import { Requests, type RepeatableRequest, type RequestPatience } from './requests.ts';
import { apiVersionOf, resourcePath, type ApiResource, type KubeObject, type Whereabouts } from './resources.ts';

export interface ClusterOptions extends RequestPatience {
  signal?: AbortSignal | undefined;
  /** For tests; the process's own otherwise. */
  env?: NodeJS.ProcessEnv;
}

export interface WriteOptions {
  signal?: AbortSignal | undefined;
  /** The server goes all the way, webhooks too, and stores nothing. */
  dryRun?: boolean | undefined;
  /** Written into `managedFields`; default `lifeboat`. */
  fieldManager?: string | undefined;
  /** What the server does with fields it does not know; its default is `Warn`. */
  fieldValidation?: 'Ignore' | 'Warn' | 'Strict' | undefined;
}

/** How a patch is written: server-side apply, or RFC 7386, RFC 6902, Kubernetes' own. */
export type PatchType = 'apply' | 'merge' | 'json' | 'strategic';

const PATCH_TYPES: Record<PatchType, string> = {
  // JSON is YAML.
  apply: 'application/apply-patch+yaml',
  merge: 'application/merge-patch+json',
  json: 'application/json-patch+json',
  strategic: 'application/strategic-merge-patch+json',
};

export interface DeleteOptions extends Pick<WriteOptions, 'signal' | 'dryRun'> {
  /** Refused (409 Conflict) when the object has another one by now. */
  uid?: string | undefined;
  /** What happens to what it owns. Default: the resource's own. */
  propagation?: 'Background' | 'Foreground' | 'Orphan' | undefined;
}

/**
 * Opens a cluster by kubeconfig, or from inside. Nothing is asked of it yet: wrong servers and logins are told by the first request.
 * @throws UsageError, UserError when there is no kubeconfig, or it is not right
 */
export async function openCluster(access: ClusterAccess, { env, signal, ...patience }: ClusterOptions = {}): Promise<Cluster> {
  throwIfCancelled(signal);
  return new Cluster(await Connection.open(access, env), { signal, ...patience });
}

/** Every method throws ApiError when the server says no, ClusterUnreachableError when it does not answer, CancelledError. */
export class Cluster {
  /** For streams; objects are asked for below. */
  readonly connection: Connection;
  readonly #requests: Requests;
  readonly #signal: AbortSignal | undefined;

  constructor(connection: Connection, { signal, ...patience }: ClusterOptions) {
    this.connection = connection;
    this.#signal = signal;
    this.#requests = new Requests(connection, patience);
  }

  /** Its API server's address. */
  get server(): string {
    return this.connection.server;
  }

  /** The context's name in the kubeconfig. */
  get context(): string {
    return this.connection.context;
  }

  /** What stays the same however the cluster is called and reached: the uid of its namespace kube-system. */
  async fingerprint(signal?: AbortSignal): Promise<string> {
    const path = '/api/v1/namespaces/kube-system';
    return ((await this.request({ method: 'GET', path, signal })) as KubeObject).metadata.uid ?? '';
  }

  /** Of the API server: `v1.36.3`. */
  async version(signal?: AbortSignal): Promise<string> {
    return ((await this.request({ method: 'GET', path: '/version', signal })) as { gitVersion: string }).gitVersion;
  }

  /**
   * Any request, its answer parsed; undefined for an empty one. What only reads is repeated when the connection breaks or the server has
   * trouble; other requests only with `repeatable`, or where it is certain that they were not begun.
   */
  async request(request: RepeatableRequest): Promise<unknown> {
    const { text } = await this.#send(request);
    return text === '' ? undefined : parseExactJson(text);
  }

  /** What kinds of objects it has. */
  discover(signal?: AbortSignal): Promise<Discovery> {
    return discover((request) => this.request(request), signal);
  }

  /** The objects of a resource, page by page and of one moment. */
  list(resource: ApiResource, options?: ListOptions): AsyncGenerator<ListPage, void> {
    return listPages((request) => this.#send(request), resource, options);
  }

  /** One object. */
  async get(resource: ApiResource, where: Whereabouts & { name: string }, signal?: AbortSignal): Promise<KubeObject> {
    return (await this.request({ method: 'GET', path: resourcePath(resource, where), signal })) as KubeObject;
  }

  /** One object; undefined when it is not there. */
  async find(resource: ApiResource, where: Whereabouts & { name: string }, signal?: AbortSignal): Promise<KubeObject | undefined> {
    try {
      return await this.get(resource, where, signal);
    } catch (thrown) {
      if (isNotFound(thrown)) return undefined;
      throw thrown;
    }
  }

  /** Makes an object; 409 AlreadyExists when there is one. Goes into the namespace that it names. */
  async create(resource: ApiResource, object: KubeObject, options: WriteOptions = {}): Promise<KubeObject> {
    const path = resourcePath(resource, { namespace: object.metadata.namespace });
    return (await this.request({ method: 'POST', path, body: object, ...writing(options) })) as KubeObject;
  }

  /** Puts an object in the place of the one of its name; 409 Conflict when it names a `resourceVersion` that has passed. */
  async replace(resource: ApiResource, object: KubeObject, options: WriteOptions & { subresource?: string } = {}): Promise<KubeObject> {
    const { namespace, name } = object.metadata;
    const path = resourcePath(resource, { namespace, name, subresource: options.subresource });
    return (await this.request({ method: 'PUT', path, body: object, ...writing(options) })) as KubeObject;
  }

  /**
   * Changes an object; with `apply` it is made when it is not there.
   * @param patch for `apply` the object with the fields that are wanted; it gets its apiVersion and kind here
   */
  async patch(
    resource: ApiResource,
    where: Whereabouts & { name: string },
    { type, patch, force, ...options }: WriteOptions & { type: PatchType; patch: unknown; force?: boolean },
  ): Promise<KubeObject> {
    const apply = type === 'apply';
    const { query, signal } = writing(options);
    const body = apply ? { ...(patch as object), apiVersion: apiVersionOf(resource), kind: resource.kind } : patch;
    return (await this.request({
      method: 'PATCH',
      path: resourcePath(resource, where),
      query: { ...query, ...(apply ? { force: force ?? false } : {}) },
      body,
      contentType: PATCH_TYPES[type],
      // Applied twice is applied.
      repeatable: apply || type === 'merge',
      signal,
    })) as KubeObject;
  }

  /** Asks an object to go away. It may stay for a while: as long as it has finalizers, and a namespace as long as it holds something. */
  async delete(
    resource: ApiResource,
    where: Whereabouts & { name: string },
    { uid, propagation, dryRun, signal }: DeleteOptions = {},
  ): Promise<void> {
    const body = {
      apiVersion: 'v1',
      kind: 'DeleteOptions',
      ...(uid === undefined ? {} : { preconditions: { uid } }),
      ...(propagation === undefined ? {} : { propagationPolicy: propagation }),
      ...(dryRun ? { dryRun: ['All'] } : {}),
    };
    await this.request({ method: 'DELETE', path: resourcePath(resource, where), body, repeatable: uid !== undefined, signal });
  }

  /** True when the cluster says that this login may do this. */
  async may(
    verb: string,
    what: { group?: string; resource: string; subresource?: string; namespace?: string; name?: string },
    signal?: AbortSignal,
  ): Promise<boolean> {
    const group = 'authorization.k8s.io/v1';
    const review = (await this.request({
      method: 'POST',
      path: `/apis/${group}/selfsubjectaccessreviews`,
      body: { apiVersion: group, kind: 'SelfSubjectAccessReview', spec: { resourceAttributes: { verb, ...what } } },
      repeatable: true,
      signal,
    })) as { status?: { allowed?: boolean } };
    return review.status?.allowed ?? false;
  }

  /** Ends its connections. */
  close(): void {
    this.connection.close();
  }

  #send(request: RepeatableRequest): ReturnType<Requests['send']> {
    const { signal } = request;
    const own = this.#signal;
    const both = own && signal ? AbortSignal.any([own, signal]) : (own ?? signal);
    return this.#requests.send({ ...request, signal: both });
  }
}

function writing({
  signal,
  dryRun,
  fieldManager = 'lifeboat',
  fieldValidation,
}: WriteOptions): Pick<RepeatableRequest, 'query' | 'signal'> {
  return { query: { fieldManager, fieldValidation, dryRun: dryRun ? 'All' : undefined }, signal };
}
