// What a field of dr.yml is marked with: whether it is a secret, whether it is a path. One walk reads the marks; no list of names is kept.
import { z } from 'zod';

/** The marks of a field; see `secret` and `path` in fields.ts. */
export interface Marks {
  /** The whole resolved value is a secret. */
  secret: boolean;
  /** A path on this machine: a relative one starts at dr.yml's own folder. */
  path: boolean;
}

/**
 * The marks of the value at a path.
 * @param data the file's content: it decides between the kinds of a union
 */
export function marksAt(root: z.ZodType, path: readonly PropertyKey[], data: unknown): Marks {
  const marks: Marks = { secret: false, path: false };
  let node: unknown = unwrapped(root, data);
  let value = data;
  for (const step of path) {
    value = typeof value === 'object' && value !== null ? (value as Record<PropertyKey, unknown>)[step] : undefined;
    if (node instanceof z.ZodObject) node = (node.shape as Record<PropertyKey, unknown>)[step];
    else if (node instanceof z.ZodRecord) node = node.valueType;
    else if (node instanceof z.ZodArray) node = node.element;
    else return marks;
    node = unwrapped(node, value, marks);
  }
  return marks;
}

/** What lies inside optional values, defaults and unions; notes the marks on the way. */
function unwrapped(schema: unknown, value: unknown, marks?: Marks): unknown {
  let node = schema;
  for (;;) {
    if (marks && node instanceof z.ZodType) {
      const meta = node.meta();
      marks.secret ||= meta?.['secret'] === true;
      marks.path ||= meta?.['path'] === true;
    }
    if (node instanceof z.ZodOptional || node instanceof z.ZodDefault || node instanceof z.ZodPrefault) node = node.unwrap();
    else if (node instanceof z.ZodUnion) node = node.options.find((option) => isOfKind(option, value));
    else return node;
  }
}

/** Whether a branch of a union is the one that the value's `kind` names. */
function isOfKind(option: unknown, value: unknown): boolean {
  const kind = typeof value === 'object' && value !== null ? (value as { kind?: unknown }).kind : undefined;
  const literal: unknown = option instanceof z.ZodObject ? option.shape['kind'] : undefined;
  return literal instanceof z.ZodLiteral && literal.value === kind;
}
