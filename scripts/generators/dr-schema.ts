// The JSON Schema of dr.yml, published at the project's root for editors.
import { drJsonSchema } from '../../shared/config/json-schema.ts';

/** Where the schema lives, from the project's root. */
export const DR_SCHEMA = 'dr.schema.json';

/** The text of DR_SCHEMA. */
export function drSchema(): string {
  return `${JSON.stringify(drJsonSchema(), null, 2)}\n`;
}
