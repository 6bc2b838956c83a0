// JSON as a type, and its one fixed serialisation: what a manifest's HMAC is computed over.

export type JsonValue = string | number | boolean | null | readonly JsonValue[] | { readonly [key: string]: JsonValue };

/** RFC 8785 (JSON Canonicalization Scheme): keys sorted by UTF-16 code units, no white space, ECMAScript numbers. */
export function canonicalJson(value: JsonValue): string {
  if (Array.isArray(value)) return `[${value.map((item: JsonValue) => canonicalJson(item)).join(',')}]`;
  if (value !== null && typeof value === 'object') {
    // As JSON.stringify does, which writes the document that is read back: what is undefined is not there.
    const there = Object.entries(value as Record<string, JsonValue | undefined>).filter(
      (entry): entry is [string, JsonValue] => entry[1] !== undefined,
    );
    const entries = there.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonicalJson(item)}`).join(',')}}`;
  }
  return JSON.stringify(value);
}
