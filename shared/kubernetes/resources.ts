// Kinds of objects as the API server offers them, and where each lies.

/** A kind of objects that can be asked for. */
export interface ApiResource {
  /** Empty for the core group. */
  group: string;
  version: string;
  /** In paths: `deployments`. */
  plural: string;
  kind: string;
  namespaced: boolean;
  /** Such as `list`, `get`, `create`, `patch`, `delete`. */
  verbs: readonly string[];
}

/** An object with everything it has; fields that a version of the API adds later are kept as they are. */
export interface KubeObject {
  apiVersion: string;
  kind: string;
  metadata: ObjectMeta;
  [field: string]: unknown;
}

export interface ObjectMeta {
  name: string;
  namespace?: string;
  uid?: string;
  resourceVersion?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  /** Set when it was asked to go away, and waits for a finalizer. */
  deletionTimestamp?: string;
  [field: string]: unknown;
}

/** What `apiVersion` of such an object says. */
export function apiVersionOf({ group, version }: Pick<ApiResource, 'group' | 'version'>): string {
  return group === '' ? version : `${group}/${version}`;
}

/** `deployments.apps`: a resource's name without its version. */
export function typeName({ group, plural }: Pick<ApiResource, 'group' | 'plural'>): string {
  return group === '' ? plural : `${plural}.${group}`;
}

/** Which objects, or which one. */
export interface Whereabouts {
  namespace?: string | undefined;
  name?: string | undefined;
  /** Such as `status` or `scale`. */
  subresource?: string | undefined;
}

/** The path of a version of a group, under which its resources lie. */
export function groupPath({ group, version }: Pick<ApiResource, 'group' | 'version'>): string {
  return group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
}

/** The path of a resource, of a namespace's part of it, or of one object. */
export function resourcePath(resource: Pick<ApiResource, 'group' | 'version' | 'plural'>, where: Whereabouts = {}): string {
  const { namespace, name, subresource } = where;
  const parts = [
    ...(namespace === undefined ? [] : ['namespaces', namespace]),
    resource.plural,
    ...(name === undefined ? [] : [name]),
    ...(subresource === undefined ? [] : [subresource]),
  ];
  return `${groupPath(resource)}/${parts.map(encodeURIComponent).join('/')}`;
}
