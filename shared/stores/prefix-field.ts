// The folder within a container or bucket, as dr.yml says it.
import { text } from '../schema/fields.ts';

/** Segments of names within a store: never empty, `.` or `..`. */
const PREFIX = String.raw`(?!\.{1,2}(?:/|$))[^/\s\\]+(?:/(?!\.{1,2}(?:/|$))[^/\s\\]+)*`;

export const prefix = text(
  { description: "Folder in the container or bucket, in which the folder with dr.yml's name is made.", example: 'team-a' },
  { pattern: PREFIX, expected: 'expected names separated by /, without . or ..' },
).optional();
