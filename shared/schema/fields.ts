// Kinds of values in dr.yml: what each accepts, what it says when it is wrong, and what an editor shows about it.
import { z } from 'zod';
import { parseDuration } from '../step/input.ts';
import { newComponentProblem, reservedName } from '../step/names.ts';

/** What every key of dr.yml must have: editors show it, errors quote it. */
export interface About {
  /** One or two sentences. */
  description: string;
  /** A value as a user would write it. */
  example: unknown;
}

interface Shape {
  /** What a value without references looks like; anchored by this module. */
  pattern?: string;
  /** Continues a sentence: `expected a duration, such as 24h`. */
  expected: string;
}

/** `${env:NAME}` or `${vault:name}` anywhere in a text. */
const HAS_REFERENCE = String.raw`[\s\S]*\$\{(?:env|vault):[\s\S]*`;

/** Adds description and example. */
export function about<S extends z.ZodType>(schema: S, { description, example }: About): S {
  return schema.meta({ description, examples: [example] });
}

/** A text that is taken as written: references in it are not resolved. */
export function plainText(meta: About, { pattern = String.raw`[\s\S]*\S[\s\S]*`, expected }: Shape) {
  return about(z.string({ error: expected }).regex(new RegExp(`^(?:${pattern})$`), { error: expected }), meta);
}

/** A text that may hold `${env:NAME}` and `${vault:name}`. */
export function text(meta: About, { pattern = String.raw`[\s\S]*\S[\s\S]*`, expected }: Shape) {
  return plainText(meta, { pattern: `${HAS_REFERENCE}|${pattern}`, expected });
}

/** A path of a file or folder; `~/` is the user's home. `~name` is another user's to a shell only, and refused. */
export function path(meta: About, expected: string) {
  return remotePath(meta, expected).meta({ path: true });
}

/** The same on another machine: a relative one does not start at dr.yml's own folder. */
export function remotePath(meta: About, expected: string) {
  return text(meta, { pattern: String.raw`(?!~[^/\\])[\s\S]*\S[\s\S]*`, expected });
}

/** Marks a text whose whole resolved value is a secret: masked before anything can log it, `***` where dr.yml is shown. */
export function secret<S extends z.ZodType>(schema: S): S {
  return schema.meta({ secret: true });
}

/** A secret that only a reference may stand for; the example is one. */
export function secretReference(description: string, example: string) {
  return secret(text({ description, example }, { pattern: '(?!)', expected: `expected a reference to a secret, such as ${example}` }));
}

/** A choice between fixed words. */
export function choice<const T extends readonly [string, ...string[]]>(words: T, meta: About) {
  return about(z.enum(words, { error: `expected one of ${words.join(', ')}` }), meta);
}

/** A whole number between two limits. */
export function integer(limits: { min: number; max: number }, meta: About) {
  const expected = `expected a whole number from ${limits.min} to ${limits.max}`;
  return about(z.int({ error: expected }).min(limits.min, { error: expected }).max(limits.max, { error: expected }), meta);
}

/** A positive length of time: `90s`, `30m`, `1h30m`, `7d`; kept as text, read by parseDuration. */
export function duration(meta: About) {
  const expected = `expected a duration, such as ${String(meta.example)}`;
  return about(
    z
      .string({ error: expected })
      .regex(/^(?:\d+(?:\.\d+)?(?:ms|s|m|h|d|w))+$/, { error: expected, abort: true })
      .refine((value) => parseDuration(value) > 0, { error: 'expected a duration longer than zero' }),
    meta,
  );
}

/** What a name within dr.yml looks like: it becomes a folder in the store and part of a Key Vault secret's name. */
export const NAME_PATTERN = '[a-z0-9](?:[a-z0-9-]*[a-z0-9])?';

/** A name as a key of a mapping: a component, a store, a phase. */
export function entryName(what: 'component' | 'store' | 'phase', maxLength: number) {
  const expected = `expected a ${what} name of lower-case letters, digits and dashes, at most ${maxLength} characters`;
  return z
    .string({ error: expected })
    .regex(new RegExp(`^${NAME_PATTERN}$`), { error: expected, abort: true })
    .max(maxLength, { error: expected })
    .superRefine((name, context) => {
      const problem = what === 'component' ? newComponentProblem(name) : reservedName(name);
      if (problem !== undefined) context.addIssue({ code: 'custom', message: problem });
    });
}
