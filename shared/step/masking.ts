// Keeps secrets out of what we say, store and send, whatever the CI system masks on top: defence in depth.

/** Parts shorter than this are left alone: hiding every `}` of a JSON secret would make logs unreadable and hide nothing. */
const SHORTEST_PART = 4;

/** Remembers secrets and replaces them by `***` in anything shown. */
export class Masker {
  #parts: string[] = [];

  /**
   * Registers a secret in every form it is likely to be printed in: whole, per line, JSON-escaped, and for a connection
   * string the password alone (as written and decoded).
   * @returns the parts that are new, for a host that tells its CI system, too.
   */
  add(secret: string): string[] {
    if (secret === '') return [];
    const derived = [...secret.split(/\r\n|\r|\n/), secret.trim(), JSON.stringify(secret).slice(1, -1), ...passwords(secret)];
    const parts = new Set([secret, ...derived.filter((part) => part.trim().length >= SHORTEST_PART)]);
    const fresh = [...parts].filter((part) => !this.#parts.includes(part));
    // Longest first, so that a part never uncovers the rest of a whole.
    this.#parts = [...this.#parts, ...fresh].sort((a, b) => b.length - a.length);
    return fresh;
  }

  /** The text with every known secret replaced. */
  clean(text: string): string {
    let shown = text;
    for (const part of this.#parts) shown = shown.replaceAll(part, '***');
    return shown;
  }

  /** A copy of any JSON value with every string cleaned, so that the result stays valid JSON. */
  cleanDeep(value: unknown): unknown {
    if (typeof value === 'string') return this.clean(value);
    if (Array.isArray(value)) return value.map((item) => this.cleanDeep(item));
    if (value !== null && typeof value === 'object') {
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [this.clean(key), this.cleanDeep(item)]));
    }
    return value;
  }
}

/** The password of a `scheme://user:password@…` text, as written and percent-decoded. */
function passwords(text: string): string[] {
  const written = /^[a-z][a-z0-9+.-]*:\/\/[^:@/?#]*:([^@/]+)@/i.exec(text.trim())?.[1];
  if (written === undefined) return [];
  try {
    return [written, decodeURIComponent(written)];
  } catch {
    return [written];
  }
}
