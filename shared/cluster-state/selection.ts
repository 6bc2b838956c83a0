// What of a cluster is meant: namespaces, kinds, names and labels, by patterns with `*`.
import { typeName, type KubeObject } from '../kubernetes/resources.ts';
import { labelsOf } from './inputs.ts';
import { textAt, type ResourceType } from './objects.ts';

/** What a call selects; everything that is absent selects all. */
export interface StateSelection {
  includeNamespaces?: readonly string[] | undefined;
  excludeNamespaces?: readonly string[] | undefined;
  includeKinds?: readonly string[] | undefined;
  excludeKinds?: readonly string[] | undefined;
  includeNames?: readonly string[] | undefined;
  selector?: string | undefined;
}

type Test = (text: string) => boolean;

/** Kinds that every call means that does not leave them out: without them others could not be restored. */
const NAMESPACES = 'namespaces';

export class Selector {
  readonly #namespaces: { in: Test | undefined; out: Test | undefined };
  readonly #kinds: { in: Test | undefined; out: Test | undefined };
  readonly #names: Test | undefined;
  readonly #labels: readonly string[];

  constructor(selection: StateSelection) {
    const { includeNamespaces, excludeNamespaces, includeKinds, excludeKinds, includeNames, selector } = selection;
    this.#namespaces = { in: anyOf(includeNamespaces), out: anyOf(excludeNamespaces) };
    this.#kinds = { in: anyOf(includeKinds), out: anyOf(excludeKinds) };
    this.#names = anyOf(includeNames);
    this.#labels = labelsOf(selector);
  }

  /** Whether objects of this type can be meant at all. */
  meansType(type: Pick<ResourceType, 'group' | 'plural' | 'kind' | 'namespaced'>): boolean {
    const names = [typeName(type), type.plural, type.kind.toLowerCase()];
    if (this.#kinds.out && names.some(this.#kinds.out)) return false;
    if (this.#kinds.in) return names.some(this.#kinds.in);
    return type.namespaced || this.#namespaces.in === undefined || typeName(type) === NAMESPACES;
  }

  /** Whether something of a group can be meant whose types are not known. */
  meansGroup(group: string): boolean {
    const any = `*.${group}`;
    return !this.#kinds.out?.(any) && (this.#kinds.in?.(any) ?? true);
  }

  /** Of a type that is meant. */
  meansObject(type: Pick<ResourceType, 'group' | 'plural'>, { metadata }: KubeObject): boolean {
    const namespace = typeName(type) === NAMESPACES ? metadata.name : metadata.namespace;
    if (namespace !== undefined) {
      if (this.#namespaces.out?.(namespace)) return false;
      if (this.#namespaces.in && !this.#namespaces.in(namespace)) return false;
    }
    if (this.#names && !this.#names(metadata.name)) return false;
    return this.#labels.every((label) => hasLabel(metadata.labels, label));
  }
}

function hasLabel(labels: unknown, wanted: string): boolean {
  const [name = '', operator, value] = wanted.split(/(!?=)/);
  const found = textAt(labels, name);
  if (operator === undefined) return found !== undefined;
  return operator === '=' ? found === value : found !== value;
}

function anyOf(patterns: readonly string[] | undefined): Test | undefined {
  if (!patterns?.length) return undefined;
  const sources = patterns.map((pattern) =>
    pattern
      .toLowerCase()
      .replace(/[.+?^${}()|[\]\\]/g, '\\$&')
      .replaceAll('*', '.*'),
  );
  const whole = new RegExp(`^(?:${sources.join('|')})$`);
  return (text) => whole.test(text.toLowerCase());
}
