// Documents whose order of fields is their meaning: keys of indexes, pipelines of views, filters, validators. JavaScript moves a field whose
// name is a whole number (`2024`) before all others; with a mark in front of the name it stays where it is. Inside, such documents are held
// with marked names all the way; they lose the marks where they become BSON (`sendable`) or JSON (`unmarkedJson`) again.
import { BSON } from './bson.ts';

// In the private use area of Unicode: no field's name is made of it and digits.
const MARK = '\uE001';
const NUMBER = /^\uE001*\d+$/;
const MARKED = /^\uE001+\d+$/;

/** A document as the others here take it: `{status: 1, '2024': 1}` in that order, the number marked. */
export type OrderedDocument = BSON.Document;

/** BSON numbers keep their type, so that metadata comes back as it was. */
const EXACT = { promoteValues: false, bsonRegExp: true } as const;

/** Reads a document from its bytes, every field at its place, down to the deepest. */
export function orderedDocument(bytes: Uint8Array): OrderedDocument {
  return documentAt(bytes, 0);
}

function documentAt(bytes: Uint8Array, start: number): OrderedDocument {
  return Object.fromEntries(elementsAt(bytes, start).map(({ name, value }) => [marked(name), value]));
}

function elementsAt(bytes: Uint8Array, start: number): { name: string; value: unknown }[] {
  return [...BSON.onDemand.parseToElements(bytes, start)].map(([type, nameAt, nameLength, at, length]) => ({
    name: text(bytes, nameAt, nameLength),
    value: valueAt(bytes, { type, at, length }),
  }));
}

const DOCUMENT = 0x03;
const ARRAY = 0x04;

function valueAt(bytes: Uint8Array, { type, at, length }: { type: number; at: number; length: number }): unknown {
  if (type === DOCUMENT) return documentAt(bytes, at);
  if (type === ARRAY) return elementsAt(bytes, at).map(({ value }) => value);
  // Any other value is read by the library, as the only field of a document.
  const size = 4 + 1 + 2 + length + 1;
  const alone = Buffer.alloc(size);
  alone.writeInt32LE(size);
  alone.set([type, 0x76], 4);
  alone.set(bytes.subarray(at, at + length), 7);
  return (BSON.deserialize(alone, EXACT) as { v: unknown }).v;
}

/** The fields in their order, under their own names. */
export function fieldsOf(document: OrderedDocument): [field: string, value: unknown][] {
  return Object.entries(document).map(([name, value]) => [unmarked(name), value]);
}

/** True for what is a document here, and no value of a type that BSON has beside them. */
export function isDocument(value: unknown): value is OrderedDocument {
  return value !== null && typeof value === 'object' && Object.getPrototypeOf(value) === Object.prototype;
}

/** What the driver sends in just this order: a document with a number as the name of a field becomes a Map, wherever it lies. */
export function sendable(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sendable);
  if (!isDocument(value)) return value;
  return sendableFields(fieldsOf(value).map(([name, inner]): [string, unknown] => [name, sendable(inner)]));
}

/** The same for fields that are ready to be sent. */
export function sendableFields(fields: readonly (readonly [field: string, value: unknown])[]): BSON.Document | Map<string, unknown> {
  return fields.some(([field]) => NUMBER.test(field)) ? new Map(fields) : Object.fromEntries(fields);
}

/** The same JSON, but with numbers as names of fields marked. */
export function markedJson(json: string): string {
  return json.replace(/"(\uE001*\d+)"(?=\s*:)/g, `"${MARK}$1"`);
}

/** Undoes `markedJson`. */
export function unmarkedJson(json: string): string {
  return json.replace(/"\uE001(\uE001*\d+)"(?=\s*:)/g, '"$1"');
}

function marked(name: string): string {
  return NUMBER.test(name) ? MARK + name : name;
}

function unmarked(name: string): string {
  return MARKED.test(name) ? name.slice(MARK.length) : name;
}

function text(bytes: Uint8Array, start: number, length: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, length).toString('utf8');
}
