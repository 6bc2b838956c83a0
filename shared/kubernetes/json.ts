// JSON as the API server writes it, kept exactly: JavaScript's numbers would round what is beyond 2^53.

declare global {
  // ECMAScript 2026; Node.js has it since 22.
  interface JSON {
    parse(text: string, reviver: (key: string, value: unknown, context: { source?: string }) => unknown): unknown;
    /** Something that is written back letter by letter. */
    rawJSON(text: string): { readonly rawJSON: string };
  }
}

/** A number of so many digits may be one that is rounded. In a string it costs a slower reading, and nothing else. */
const LONG_NUMBER = /[:[,\s]-?\d{16}/;
const WHOLE = /^-?\d+$/;

/**
 * Parses JSON; whole numbers that a double cannot hold become what `JSON.stringify` writes back unchanged.
 * @throws SyntaxError when it is none
 */
export function parseExactJson(text: string): unknown {
  if (!LONG_NUMBER.test(text)) return JSON.parse(text);
  return JSON.parse(text, (_key, value, { source }) =>
    typeof value === 'number' && source !== undefined && WHOLE.test(source) && String(value) !== source ? JSON.rawJSON(source) : value,
  );
}
