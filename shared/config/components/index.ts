// The components that dr.yml may name: the keys of each kind, and those that every kind has.
import { z } from 'zod';
import type { Kinds } from '../../kinds/registry.ts';
import { about } from '../../schema/fields.ts';
import { commonShape } from './common.ts';

/** The schema of a component of one of the kinds. */
export async function componentSchemaOf(kinds: Kinds) {
  const entries = await Promise.all(
    kinds.all.map(async (kind) =>
      z.strictObject({
        kind: about(z.literal(kind.kind), { description: kind.about, example: kind.kind }),
        ...(await kind.shape()),
        ...commonShape,
      }),
    ),
  );
  // Two types for the checker: what all kinds have, which is what the house reads, and their own keys, which inputs read as text.
  const [first, ...others] = entries as [ComponentSchema, ...ComponentSchema[]];
  return z.discriminatedUnion('kind', [first, ...others]);
}

type ComponentSchema = z.ZodObject<{ kind: z.ZodLiteral<string> } & typeof commonShape, z.core.$strict>;

/** A component of dr.yml with its defaults filled in; references are resolved by DrConfig. */
export type ComponentEntry = z.infer<ComponentSchema>;
