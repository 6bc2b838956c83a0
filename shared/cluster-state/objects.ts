// Objects of a cluster: what is read of any of them, and how they are named.

/** A kind of object as the API serves it: `apps/v1`, `deployments`. */
export interface ResourceType {
  /** Empty for the core group. */
  group: string;
  version: string;
  /** In the plural: `deployments`. */
  plural: string;
  kind: string;
  namespaced: boolean;
}

/** Any object. What it holds besides is its kind's own. */
export interface ClusterObject {
  apiVersion: string;
  kind: string;
  metadata: Metadata;
  [key: string]: unknown;
}

export interface Metadata {
  name: string;
  namespace?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  [key: string]: unknown;
}

/** Where an object is. */
export interface ObjectId {
  group: string;
  version: string;
  plural: string;
  /** Undefined for one that belongs to no namespace. */
  namespace: string | undefined;
  name: string;
}

type Typed = Pick<ResourceType, 'group' | 'plural'>;

/** A type as kubectl names it, without its version: `deployments.apps`, `configmaps`. */
export function typeName({ group, plural }: Typed): string {
  return group === '' ? plural : `${plural}.${group}`;
}

/** An object as people name it: `deployments.apps shop/web`. */
export function objectName(id: Typed & Pick<ObjectId, 'namespace' | 'name'>): string {
  return `${typeName(id)} ${id.namespace === undefined ? '' : `${id.namespace}/`}${id.name}`;
}

export function apiVersionOf({ group, version }: Pick<ResourceType, 'group' | 'version'>): string {
  return group === '' ? version : `${group}/${version}`;
}

/** A part of an object when it is a mapping: nothing may be taken for granted of what others wrote. */
export function mapping(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
}

/** The mappings of a list. */
export function mappings(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? value.map(mapping).filter((one) => one !== undefined) : [];
}

/** A text within an object: `textAt(secret, 'metadata', 'labels', 'owner')`. */
export function textAt(value: unknown, ...path: readonly string[]): string | undefined {
  let found = value;
  for (const step of path) {
    const at = mapping(found);
    found = at !== undefined && Object.hasOwn(at, step) ? at[step] : undefined;
  }
  return typeof found === 'string' ? found : undefined;
}

/** A copy of all of it. */
export function cloned<T>(value: T): T {
  if (Array.isArray(value)) return value.map(cloned) as T;
  // A number that JavaScript would round is kept as its text, which no copy could be made of.
  if (typeof value !== 'object' || value === null || JSON.isRawJSON(value)) return value;
  const copy = Object.fromEntries(Object.entries(value).map(([key, one]) => [key, cloned(one)]));
  return copy as T;
}

declare global {
  // ECMAScript 2026; Node.js has it since 22.
  interface JSON {
    isRawJSON(value: unknown): value is { readonly rawJSON: string };
  }
}
