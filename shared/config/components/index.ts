// The kinds of components dr.yml may name. A new kind is one new file and one line here.
import { z } from 'zod';
import { mongodbSchema } from './mongodb.ts';

export const componentSchema = z.discriminatedUnion('kind', [mongodbSchema]);

/** A component of dr.yml with its defaults filled in; references are resolved by DrConfig. */
export type ComponentEntry = z.infer<typeof componentSchema>;
export type ComponentKind = ComponentEntry['kind'];

/** Kinds this version can back up and restore. */
export const COMPONENT_KINDS: readonly string[] = componentSchema.options.map(({ shape }) => shape.kind.value);
