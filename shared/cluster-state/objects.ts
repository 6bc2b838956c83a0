// Objects of a cluster: what is read of any of them, and how they are named.
import { typeName, type ApiResource, type KubeObject } from '../kubernetes/resources.ts';

/** A kind of object as an archive knows it: what can be done with it there is the cluster's affair. */
export type ResourceType = Omit<ApiResource, 'verbs'>;

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

/** An object as people name it: `deployments.apps shop/web`. */
export function objectName(id: Typed & Pick<ObjectId, 'namespace' | 'name'>): string {
  return `${typeName(id)} ${id.namespace === undefined ? '' : `${id.namespace}/`}${id.name}`;
}

/** A part of an object when it is a mapping: nothing may be taken for granted of what others wrote. */
export function mapping(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
}

/** The mappings of a list. */
export function mappings(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? value.map(mapping).filter((one) => one !== undefined) : [];
}

/** What an object says of its state; none for one that says nothing. */
export function conditionsOf(object: KubeObject | undefined): Record<string, unknown>[] {
  return mappings(mapping(object?.['status'])?.['conditions']);
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
