// The key of an index, whose order of fields is its meaning. JavaScript moves a field whose name is a whole number (`2024`) before all
// others; with a mark in front of the name it stays where it is.
import { BSON } from './bson.ts';

// In the private use area of Unicode: no field's name begins with it.
const MARK = '\uE001';
const MARKED = new RegExp(`"${MARK}(\\d+)"(?=\\s*:)`, 'g');

/** A key as the others here take it: `{status: 1, '2024': 1}` in that order, the number marked. */
export type IndexKey = BSON.Document;

/** True when a key that was read as a plain object may have lost its order. */
export function mayBeDisordered(key: IndexKey): boolean {
  const fields = Object.keys(key);
  return fields.length > 1 && fields.some(isNumber);
}

/** Brings a key whose order was lost into the order of the names. */
export function orderedKey(key: IndexKey, names: readonly string[]): IndexKey {
  return Object.fromEntries(names.map((name): [string, unknown] => [isNumber(name) ? MARK + name : name, key[name]]));
}

/** The fields in their order, under their own names. */
export function keyFields(key: IndexKey): [field: string, kind: unknown][] {
  return Object.entries(key).map(([name, kind]) => [unmarked(name), kind]);
}

/** What the driver sends in just this order. */
export function sendableKey(fields: readonly (readonly [field: string, kind: unknown])[]): IndexKey | Map<string, unknown> {
  return fields.some(([field]) => isNumber(field)) ? new Map(fields) : Object.fromEntries(fields);
}

/** The same JSON, but with numbers as names of fields marked. */
export function markedJson(text: string): string {
  return text.replace(/"(\d+)"(?=\s*:)/g, `"${MARK}$1"`);
}

/** Undoes `markedJson`. */
export function unmarkedJson(text: string): string {
  return text.replace(MARKED, '"$1"');
}

/** A field's name without its mark. */
export function unmarked(name: string): string {
  return name.replace(MARK, '');
}

/** Name and field names of an index as the server lists it, from its bytes. */
export function listedKey(index: Uint8Array): { name: string; fields: string[] } {
  const elements = [...BSON.onDemand.parseToElements(index)];
  const find = (wanted: string): number => {
    const element = elements.find(([, nameOffset, nameLength]) => text(index, nameOffset, nameLength) === wanted);
    if (!element) throw new TypeError(`The server listed an index without a ${wanted}.`);
    return element[3];
  };
  const name = find('name');
  return {
    name: text(index, name + 4, new DataView(index.buffer, index.byteOffset + name, 4).getInt32(0, true) - 1),
    fields: [...BSON.onDemand.parseToElements(index, find('key'))].map(([, nameOffset, nameLength]) => text(index, nameOffset, nameLength)),
  };
}

function isNumber(name: string): boolean {
  return /^\d+$/.test(name);
}

function text(bytes: Uint8Array, start: number, length: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, length).toString('utf8');
}
