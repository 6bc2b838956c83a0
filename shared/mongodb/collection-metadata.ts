// What an archive says about a collection besides its documents: options, indexes, uuid. Read from Extended JSON, brought into one form.
import type { JsonValue } from '../backup/json.ts';
import { BSON } from './bson.ts';
import { fieldsOf, isDocument, markedJson, unmarkedJson, type OrderedDocument } from './field-order.ts';

/** An index in a form that two servers can be compared by: without `v`, `ns`, `background` and options at their default. */
export type IndexReport = {
  readonly name: string;
  /** Field and direction or kind, in the order that matters. */
  readonly keys: readonly (readonly [field: string, kind: JsonValue])[];
  /** Everything else, sorted by name, in relaxed Extended JSON. */
  readonly options: { readonly [name: string]: JsonValue };
  /** See OrderedTexts; absent where the index has no such option. */
  readonly ordered?: OrderedTexts;
};

/**
 * The options in which the order of fields has a meaning (a view's pipeline, a filter, a validator) and some document has two fields or more:
 * each by its name as relaxed Extended JSON without white space, fields in MongoDB's order. JSON readers may reorder `options`; a text they
 * cannot. Manifests of versions before it have none.
 */
export type OrderedTexts = { readonly [option: string]: string };

/** An index as the server gave it. */
export type IndexSpec = BSON.Document & { name: string; key: OrderedDocument };

/** A collection's metadata as far as it could be read. */
export interface CollectionMetadata {
  /** `absent`: the writer left none (oplog). `invalid`: not readable as JSON; the data can still be good. */
  state: 'read' | 'absent' | 'invalid';
  options: BSON.Document;
  indexes: IndexSpec[];
  uuid?: string;
  /** 'collection', 'view' or 'timeseries' where the writer noted it. */
  type?: string;
}

/**
 * Reads the metadata text of an archive. Never throws: real archives carry invalid JSON (mongodump 4.2.2 did not escape quotes in
 * index keys), and that must not stop the verification of the data.
 */
export function parseMetadata(text: string): CollectionMetadata {
  if (text.trim() === '') return { state: 'absent', options: {}, indexes: [] };
  try {
    const value = parseExact(text);
    const indexes: unknown = value['indexes'] ?? [];
    if (!Array.isArray(indexes)) throw new TypeError('indexes is not a list');
    const options: unknown = value['options'] ?? {};
    const uuid: unknown = value['uuid'];
    const type: unknown = value['type'];
    return {
      state: 'read',
      options: options as BSON.Document,
      indexes: indexes as IndexSpec[],
      ...(typeof uuid === 'string' ? { uuid } : {}),
      ...(typeof type === 'string' ? { type } : {}),
    };
  } catch {
    return { state: 'invalid', options: {}, indexes: [] };
  }
}

// In the private use area of Unicode: no field of a collection's options begins with it.
const HIDDEN = '\uE000';

/**
 * Extended JSON in which `{$regex: 'a', $ne: 'b'}` stays what it is: the library takes it for a regular expression and loses the rest.
 * mongodump 100.x writes regular expressions as `$regularExpression`; to a query, the older tools' `{$regex, $options}` means the same.
 * Every document keeps the order of its fields (field-order.ts).
 */
function parseExact(text: string): BSON.Document {
  const hidden = markedJson(text).replace(/"\$regex"(?=\s*:)/g, `"${HIDDEN}regex"`);
  return shown(BSON.EJSON.parse(hidden, { relaxed: false })) as BSON.Document;
}

function shown(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shown);
  if (!isDocument(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name.replace(HIDDEN, '$'), shown(inner)]));
}

/** Writes metadata as mongodump 100.x does: canonical Extended JSON. Values must not be promoted (Int32, Long, Double kept apart). */
export function formatMetadata(metadata: {
  options: BSON.Document;
  indexes: BSON.Document[];
  uuid?: string;
  collectionName: string;
  type: string;
}): string {
  const { options, indexes, uuid, collectionName, type } = metadata;
  return unmarkedJson(BSON.EJSON.stringify({ options, indexes, ...(uuid ? { uuid } : {}), collectionName, type }, { relaxed: false }));
}

/** The options that servers add or drop without a change of meaning. */
const UNTOLD = new Set(['v', 'ns', 'key', 'name', 'background', 'textIndexVersion', '2dsphereIndexVersion']);

/** Options whose fields have no order: servers write them in one of their own. */
const UNORDERED = new Set([
  'collation',
  'weights',
  'wildcardProjection',
  'storageEngine',
  'timeseries',
  'clusteredIndex',
  'changeStreamPreAndPostImages',
  'indexOptionDefaults',
]);

/** Brings index specifications of any source into the comparable form, sorted by name. */
export function indexReports(specs: readonly BSON.Document[]): IndexReport[] {
  return specs
    .map((spec) => {
      const options = Object.entries(spec)
        .filter(([name, value]) => !UNTOLD.has(name) && value !== false && value !== undefined)
        .sort(([a], [b]) => (a < b ? -1 : 1));
      return {
        name: String(spec['name']),
        keys: fieldsOf((spec['key'] ?? {}) as OrderedDocument).map(([field, kind]): [string, JsonValue] => [field, plain(kind)]),
        options: Object.fromEntries(options.map(([name, value]): [string, JsonValue] => [name, plain(value)])),
        ...orderedTexts(Object.fromEntries(options)),
      };
    })
    .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

/** The field `ordered` of a report, where there is something to put into it. */
export function orderedTexts(options: BSON.Document): { ordered?: OrderedTexts } {
  const texts = Object.entries(options)
    .map(([name, value]): [string, unknown] => [name, withExpressions(value)])
    .filter(([name, value]) => !UNORDERED.has(name) && hasOrder(value))
    .map(([name, value]): [string, string] => [name, unmarkedJson(BSON.EJSON.stringify(value, { relaxed: true }))]);
  return texts.length === 0 ? {} : { ordered: Object.fromEntries(texts) };
}

function hasOrder(value: unknown): boolean {
  if (Array.isArray(value)) return value.some(hasOrder);
  if (!isDocument(value)) return false;
  const inner = Object.values(value);
  return inner.length > 1 || inner.some(hasOrder);
}

/** `{$regex, $options}` and the regular expression that it stands for are one condition; the older tools made one of the other. */
function withExpressions(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withExpressions);
  if (!isDocument(value)) return value;
  const { $regex: pattern, $options: flags = '', ...others } = value;
  if (typeof pattern === 'string' && typeof flags === 'string' && Object.keys(others).length === 0)
    return new BSON.BSONRegExp(pattern, flags);
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, withExpressions(inner)]));
}

/**
 * A BSON value as plain JSON, for comparing: numbers of any width become numbers, so that 1, 1.0 and int64 1 are the same index direction;
 * a query's `{$regex, $options}` becomes the regular expression it stands for.
 */
export function plain(value: unknown): JsonValue {
  const text = unmarkedJson(BSON.EJSON.stringify({ value: literal(value) }, { relaxed: true }));
  return (JSON.parse(text) as { value: JsonValue }).value;
}

/** Manifests hold options as the library's parser makes them of Extended JSON; those of a living server must look the same. */
function literal(value: unknown): unknown {
  try {
    return (BSON.EJSON.parse(BSON.EJSON.stringify({ value }, { relaxed: false }), { relaxed: false }) as { value: unknown }).value;
  } catch {
    // A query whose field is called `$oid` or the like.
    return value;
  }
}
