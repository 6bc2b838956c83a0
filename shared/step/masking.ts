// Keeps secrets out of what we say, store and send, whatever the CI system masks on top: defence in depth.

/** Parts shorter than this are left alone: hiding every `}` of a JSON secret would make logs unreadable and hide nothing. */
const SHORTEST_PART = 4;

const HIDDEN = '***';

/**
 * Words of our own sentences, and of names that databases usually have. A secret that is such a word would be given away by its mask:
 * "the la*** backup of ***.orders" says what it is. It is hidden where a secret stands, and nowhere else.
 */
const COMMON: ReadonlySet<string> = new Set(
  (
    'access account admin administrator archive audit azure backup backups bucket cancelled changed check cluster collection collections ' +
    'component config confirm container copies copy data database databases db default demo dev development document documents doctor dump ' +
    'engine error escrow example failed file files folder found guest hello index indexes input key keys latest lifeboat list local localhost ' +
    'lock main master missing mongo mongodb mysql name node none object objects operator options output pipeline point postgres prefix prod ' +
    'production proof public read reader remote restore restored retention root run runs safe secret server service shop stage staging state ' +
    'status step steps store stored stores succeeded system task temp test tester testing tests time timestamp tools user users value vault ' +
    'verified verify welcome write writer'
  ).split(' '),
);

/** Remembers secrets and replaces them by `***` in anything shown. */
export class Masker {
  #parts: string[] = [];
  #words: string[] = [];

  /**
   * Registers a secret in every form it is likely to be printed in: whole, per line, JSON-escaped, and for a connection
   * string the password alone (as written and decoded).
   * @returns the parts that are new, for a host that tells its CI system, too; without those that are words like any other.
   */
  add(secret: string): string[] {
    if (secret === '') return [];
    const inAddress = passwords(secret);
    const derived = [...secret.split(/\r\n|\r|\n/), secret.trim(), JSON.stringify(secret).slice(1, -1), ...inAddress];
    const parts = [...new Set([secret, ...derived.filter((part) => part.trim().length >= SHORTEST_PART)])];
    const isWord = (part: string): boolean => isCommonWord(part) || (part !== secret && inAddress.includes(part) && isPlainWord(part));
    const fresh = parts.filter((part) => !isWord(part) && !this.#parts.includes(part));
    // Longest first, so that a part never uncovers the rest of a whole.
    this.#parts = [...this.#parts, ...fresh].sort(longestFirst);
    this.#words = [...new Set([...this.#words, ...[...parts, ...inAddress].filter(isWord)])].sort(longestFirst);
    return fresh;
  }

  /** The text with every known secret replaced. */
  clean(text: string): string {
    let shown = text;
    for (const part of this.#parts) shown = shown.replaceAll(part, HIDDEN);
    for (const word of this.#words) shown = hideWord(shown, word);
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

/** A text without the password of an address: everywhere, or only where passwords stand when it is a word like any other. */
export function hidePassword(text: string, password: string): string {
  return isCommonWord(password) || isPlainWord(password) ? hideWord(text, password) : text.replaceAll(password, HIDDEN);
}

function longestFirst(a: string, b: string): number {
  return b.length - a.length;
}

function isCommonWord(text: string): boolean {
  return COMMON.has(text.toLowerCase());
}

/** A short run of letters, or of digits: it may well be the name of a collection, or a part of a count. */
function isPlainWord(text: string): boolean {
  return /^(?:[A-Za-z]{1,11}|\d{1,8})$/.test(text);
}

/** Hides a word where a secret stands: between `:` and `@` of an address, and behind a name such as `password=`. Holds letters and digits only. */
function hideWord(text: string, word: string): string {
  return text
    .replace(new RegExp(`(://[^\\s/:@]*:)${word}(?=@)`, 'g'), `$1${HIDDEN}`)
    .replace(
      new RegExp(`((?:pass(?:word|phrase|wd)?|pwd|secret|token|credentials?)["']?\\s*[=:]\\s*["']?)${word}\\b`, 'gi'),
      `$1${HIDDEN}`,
    );
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
