// Which object names and metadata every kind of store can keep: the strictest common rules, so that a backup can move between stores.
import { StoreError } from './errors.ts';

/** Below this first segment a store keeps what is its own: locks, temporary files. */
export const RESERVED_SEGMENT = '.lifeboat';

/** Azure's limit for a blob name. */
const MAX_NAME_CHARACTERS = 1024;
/** The limit of a file name on ext4, XFS, APFS and NTFS; in UTF-8 bytes. */
const MAX_SEGMENT_BYTES = 255;
/** Azure's limit for all metadata of a blob. */
const MAX_METADATA_BYTES = 8192;

// Control characters are what this looks for.

const CONTROL = /[\u0000-\u001f\u007f]/;

/**
 * Checks the name of an object that is read, written or locked.
 * @throws StoreError saying what is wrong with it
 */
export function checkName(name: string): void {
  const problem = nameProblem(name);
  if (problem !== undefined) throw new StoreError(`${JSON.stringify(name.slice(0, 200))} cannot be an object's name: ${problem}.`);
}

function nameProblem(name: string): string | undefined {
  if (name === '') return 'it is empty';
  if (name.length > MAX_NAME_CHARACTERS) return `it is longer than ${MAX_NAME_CHARACTERS} characters`;
  const segments = name.split('/');
  for (const segment of segments) {
    if (segment === '') return 'it has an empty segment';
    if (segment === '.' || segment === '..') return `it has the segment "${segment}"`;
    // Azure drops a trailing dot, Windows too: two names would become one.
    if (segment.endsWith('.')) return 'a segment ends with a dot';
    if (Buffer.byteLength(segment) > MAX_SEGMENT_BYTES) return `a segment is longer than ${MAX_SEGMENT_BYTES} bytes`;
  }
  if (segments[0] === RESERVED_SEGMENT) return `${RESERVED_SEGMENT} is the store's own`;
  return characterProblem(name);
}

function characterProblem(text: string): string | undefined {
  if (CONTROL.test(text)) return 'it has a control character';
  if (text.includes('\\')) return 'it has a backslash, which some stores take for a separator';
  if (!text.isWellFormed()) return 'it has half a surrogate pair';
  return undefined;
}

/**
 * Checks a prefix to list by. It may end within a segment.
 * @throws StoreError saying what is wrong with it
 */
export function checkPrefix(prefix: string): void {
  const segments = prefix.split('/');
  const whole = segments.slice(0, -1);
  const problem =
    characterProblem(prefix) ??
    (whole.some((segment) => segment === '' || segment === '.' || segment === '..') || segments.at(-1) === '..'
      ? 'it has an empty, "." or ".." segment'
      : undefined);
  if (problem !== undefined) throw new StoreError(`${JSON.stringify(prefix.slice(0, 200))} cannot be a prefix: ${problem}.`);
}

/**
 * Checks metadata: keys are lower-case letters and digits, starting with a letter; values are printable ASCII without outer spaces
 * (they travel as HTTP headers); 8 KiB together.
 * @throws StoreError naming the key
 */
export function checkMetadata(metadata: Readonly<Record<string, string>>): void {
  let bytes = 0;
  for (const [key, value] of Object.entries(metadata)) {
    if (!/^[a-z][a-z0-9]*$/.test(key)) throw new StoreError(`"${key}" cannot be a metadata key: use lower-case letters and digits.`);
    if (!/^[\x20-\x7e]*$/.test(value) || value !== value.trim()) {
      throw new StoreError(`The metadata value of "${key}" is not printable ASCII without outer spaces.`);
    }
    bytes += key.length + value.length;
  }
  if (bytes > MAX_METADATA_BYTES) throw new StoreError(`The metadata is ${bytes} bytes; stores keep at most ${MAX_METADATA_BYTES}.`);
}

/** What a store's own file says is an object's metadata, whatever stands there: only texts under names of their own. */
export function readableMetadata(value: unknown): Record<string, string> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return {};
  return Object.fromEntries(Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
}

/** The order in which stores list names; for ASCII the order of bytes. */
export function compareNames(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
