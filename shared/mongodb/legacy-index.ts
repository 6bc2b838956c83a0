// Indexes as servers and drivers of former years left them, and what they are today. One truth for making them and for comparing them.
import type { JsonValue } from '../backup/json.ts';

/**
 * What the makers of indexes once took or stored and servers of today refuse or ignore: the form's version, the name of the collection, how it
 * was built, and what drivers passed on of their own write options (Rocket.Chat #8935). Left out without a try.
 */
export const FORMER_OPTIONS: ReadonlySet<string> = new Set([
  'v',
  'ns',
  'background',
  'dropDups',
  'dropdups',
  'drop_dups',
  'safe',
  'w',
  'j',
  'fsync',
  'wtimeout',
  'writeConcern',
  'commitQuorum',
]);

/** Former options that were everyday: that they are gone is not worth a word. */
const EVERYDAY: ReadonlySet<string> = new Set(['v', 'ns', 'background']);

/** Options that are true or not there. */
const FLAGS: ReadonlySet<string> = new Set(['unique', 'sparse', 'hidden', 'prepareUnique', 'clustered']);

/** What the options of an index mean to MongoDB: one without them would be another index. Source: `createIndexes` of 8.0. */
export const MEANINGFUL_OPTIONS: ReadonlySet<string> = new Set([
  ...FLAGS,
  'expireAfterSeconds',
  'partialFilterExpression',
  'weights',
  'default_language',
  'language_override',
  'bits',
  'min',
  'max',
  'collation',
  'wildcardProjection',
]);

/** Known to `createIndexes`, and of no consequence for what the index does. */
export const TECHNICAL_OPTIONS: ReadonlySet<string> = new Set(['storageEngine', 'textIndexVersion', '2dsphereIndexVersion', 'bucketSize']);

/** The largest that `expireAfterSeconds` may be; what mongorestore makes of NaN, so that nothing expires by mistake. */
const NEVER_SECONDS = 2_147_483_647;

/** What an option is today. */
export type Modern = { value: 'as it is' } | { value: 'left out' } | { value: 'changed'; to: JsonValue };

const AS_IT_IS: Modern = { value: 'as it is' };
const LEFT_OUT: Modern = { value: 'left out' };

/** @param value the option as plain JSON */
export function modernOption(name: string, value: JsonValue | undefined): Modern {
  if (FORMER_OPTIONS.has(name) || value === undefined) return LEFT_OUT;
  if (FLAGS.has(name)) {
    if (value === true) return AS_IT_IS;
    // Servers took any value but these as true.
    return value === false || value === null || value === 0 ? LEFT_OUT : { value: 'changed', to: true };
  }
  if (name === 'expireAfterSeconds') {
    const seconds = numberOf(value);
    // Of what is no number, old servers expired nothing.
    if (seconds === undefined) return LEFT_OUT;
    return Number.isNaN(seconds) ? { value: 'changed', to: NEVER_SECONDS } : AS_IT_IS;
  }
  return value === null && (MEANINGFUL_OPTIONS.has(name) || TECHNICAL_OPTIONS.has(name)) ? LEFT_OUT : AS_IT_IS;
}

/**
 * What a direction or kind in the key of an index means today: old servers took every number below zero as descending, every word as a kind,
 * and anything else (true, "", 0, null) as ascending.
 * @param kind as plain JSON
 */
export function modernKind(kind: JsonValue): string | number {
  if (isModernKind(kind)) return kind;
  return typeof kind !== 'string' && (numberOf(kind) ?? 1) < 0 ? -1 : 1;
}

/** True for what servers of today take in a key as it stands. */
export function isModernKind(kind: JsonValue): kind is string | number {
  return typeof kind === 'string' ? kind !== '' : typeof kind === 'number' && Number.isInteger(kind) && kind !== 0;
}

/** A number of relaxed Extended JSON: those that JSON has no way to write are documents there. */
function numberOf(value: JsonValue): number | undefined {
  if (typeof value === 'number') return value;
  if (value === null || typeof value !== 'object') return undefined;
  const [[name, text] = [], ...others] = Object.entries(value);
  return name?.startsWith('$number') && typeof text === 'string' && others.length === 0 ? Number(text) : undefined;
}

/** An index in the form of a comparison: see IndexReport. */
export interface ModernIndex {
  keys: [field: string, kind: string | number][];
  options: { [name: string]: JsonValue };
  /** What of it is not as it stood, in words; empty for an index of today. */
  changes: string[];
}

/** Brings an index into today's form. */
export function modernIndex(index: {
  readonly keys: readonly (readonly [field: string, kind: JsonValue])[];
  readonly options: { readonly [name: string]: JsonValue };
}): ModernIndex {
  const changes: string[] = [];
  const keys = index.keys.map(([field, kind]): [string, string | number] => {
    const to = modernKind(kind);
    if (!isModernKind(kind)) changes.push(`${field}: ${JSON.stringify(kind)} as ${to}`);
    return [field, to];
  });
  const options: [string, JsonValue][] = [];
  const without: string[] = [];
  for (const [name, value] of Object.entries(index.options)) {
    const modern = modernOption(name, value);
    if (modern.value === 'left out') {
      if (!EVERYDAY.has(name) && value !== false) without.push(name);
    } else options.push([name, modern.value === 'changed' ? modern.to : value]);
    if (modern.value === 'changed') changes.push(`${name}: ${JSON.stringify(value)} as ${JSON.stringify(modern.to)}`);
  }
  if (without.length > 0) changes.push(`without ${without.join(', ')}`);
  return { keys, options: Object.fromEntries(options), changes };
}
