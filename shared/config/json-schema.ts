// The JSON Schema of dr.yml, from the zod schema: what editors complete and explain keys with.
import { z } from 'zod';
import { drSchema } from './schema.ts';

/** The parts of a JSON Schema (draft-07) that this project reads. */
export interface JsonSchema {
  $schema?: string;
  title?: string;
  description?: string;
  examples?: unknown[];
  default?: unknown;
  type?: string;
  const?: unknown;
  enum?: unknown[];
  pattern?: string;
  required?: string[];
  properties?: Record<string, JsonSchema>;
  additionalProperties?: boolean | JsonSchema;
  propertyNames?: JsonSchema;
  items?: JsonSchema;
  oneOf?: JsonSchema[];
}

/** Draft-07, which the YAML language server of editors understands best; the text of `dr.schema.json`. */
export function drJsonSchema(): JsonSchema {
  return z.toJSONSchema(drSchema, {
    target: 'draft-07',
    io: 'input',
    // The marks of fields are for this program only.
    override: ({ jsonSchema }) => {
      delete jsonSchema['secret'];
      delete jsonSchema['path'];
    },
  }) as JsonSchema;
}

/**
 * The schema of the value at a path, as far as it is known.
 * @param data the file's content: it decides between the kinds of a union
 */
export function schemaAt(path: readonly PropertyKey[], data: unknown, root = drJsonSchema()): JsonSchema | undefined {
  let node: JsonSchema | undefined = chosen(root, data);
  let value = data;
  for (const step of path) {
    if (node === undefined) return undefined;
    const other: JsonSchema | undefined = typeof node.additionalProperties === 'object' ? node.additionalProperties : node.items;
    value = typeof value === 'object' && value !== null ? (value as Record<PropertyKey, unknown>)[step] : undefined;
    const next: JsonSchema | undefined = node.properties?.[String(step)] ?? other;
    node = next && chosen(next, value);
  }
  return node;
}

/** The branch of a union that the value's `kind` names; the node itself when there is none. */
function chosen(node: JsonSchema, value: unknown): JsonSchema {
  const kind = typeof value === 'object' && value !== null ? (value as { kind?: unknown }).kind : undefined;
  return node.oneOf?.find((branch) => branch.properties?.kind?.const === kind) ?? node;
}
