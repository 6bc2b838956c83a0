// Searches everything a run printed, wrote or passed to children for secrets that a test planted, in every form they may have taken.
import { readdirSync, readFileSync, statSync, type Dirent } from 'node:fs';
import { join } from 'node:path';

/** Shorter pieces occur by chance. */
const SHORTEST = 6;
const SAMPLE_MILLISECONDS = 5;

/** A planted secret that was seen somewhere. */
export interface Find {
  /** Name the test gave the secret. */
  secret: string;
  /** `plain`, `base64`, `URL-encoded`, … */
  form: string;
  /** `stdout`, a file's path, `argv of 123 mongodump`. */
  where: string;
}

interface Form {
  secret: string;
  form: string;
  bytes: Buffer;
}

/**
 * Collects traces and searches them. Plant secrets, watch while the thing under test runs, add what it printed and wrote, then ask `finds()`.
 * A hunt that was given nothing to search throws, so that a test cannot pass by looking nowhere.
 */
export class SecretsHunt {
  readonly #forms: Form[] = [];
  readonly #finds = new Map<string, Find>();
  #searchedBytes = 0;
  #children = 0;

  /** @param secrets by the name they are reported under; at least 6 characters each */
  constructor(secrets: Readonly<Record<string, string>>) {
    for (const [secret, value] of Object.entries(secrets)) {
      if (value.length < SHORTEST) throw new Error(`The planted secret ${secret} is too short to be told from chance.`);
      for (const [form, bytes] of formsOf(value)) this.#forms.push({ secret, form, bytes });
    }
  }

  /** Searches printed text, or any bytes. */
  search(where: string, content: string | Uint8Array): void {
    const bytes = Buffer.from(content as Uint8Array);
    this.#searchedBytes += bytes.length;
    for (const { secret, form, bytes: wanted } of this.#forms) {
      if (bytes.includes(wanted)) this.#finds.set(`${secret}\n${form}\n${where}`, { secret, form, where });
    }
  }

  /** Searches names and contents of everything below a folder; `skip` leaves out paths where a secret belongs. */
  searchFolder(folder: string, skip: (path: string) => boolean = () => false): void {
    for (const entry of entriesOf(folder)) {
      const path = join(folder, entry.name);
      if (skip(path)) continue;
      this.search(`name of ${path}`, entry.name);
      if (entry.isDirectory()) this.searchFolder(path, skip);
      else if (entry.isFile()) this.search(path, readFileSync(path));
    }
  }

  /**
   * Searches the command lines of a process and all its descendants until stopped, by sampling /proc (Linux).
   * A child that lives shorter than a sample (5 ms) may be missed.
   * @param root process id; its own command line counts, too
   */
  watchArguments(root: number): { stop(): void } {
    const sample = (): void => {
      for (const [id, argv] of descendants(root)) {
        this.#children += 1;
        this.search(`argv of ${id} ${argv[0] ?? ''}`, argv.join('\n'));
      }
    };
    sample();
    const timer = setInterval(sample, SAMPLE_MILLISECONDS);
    return {
      stop: () => {
        clearInterval(timer);
      },
    };
  }

  /** How much was searched: for a test's own check that it looked where it meant to. */
  get searched(): { bytes: number; commandLines: number } {
    return { bytes: this.#searchedBytes, commandLines: this.#children };
  }

  /** Every find once. @throws Error when nothing was searched */
  finds(): Find[] {
    if (this.#searchedBytes === 0) throw new Error('The hunt for secrets searched nothing.');
    return [...this.#finds.values()];
  }
}

/** A secret as it is, line by line, and in the encodings that logs, addresses and headers use. */
function formsOf(value: string): Map<string, Buffer> {
  const forms = new Map<string, Buffer>();
  const add = (form: string, text: string): void => {
    const known = [...forms.values()].some((bytes) => bytes.equals(Buffer.from(text)));
    if (text.length >= SHORTEST && !known) forms.set(form, Buffer.from(text));
  };
  add('plain', value);
  const lines = value.split(/\r?\n/);
  for (const [index, line] of lines.entries()) if (lines.length > 1) add(`line ${index + 1}`, line.trim());
  add('URL-encoded', encodeURIComponent(value));
  add('form-encoded', new URLSearchParams({ v: value }).toString().slice(2));
  add('JSON', JSON.stringify(value).slice(1, -1));
  add('hex', Buffer.from(value).toString('hex'));
  add('upper-case hex', Buffer.from(value).toString('hex').toUpperCase());
  // Within a longer text the secret may start at any of three offsets; the letters at the edges depend on the neighbours.
  for (const offset of [0, 1, 2]) {
    const encoded = Buffer.concat([Buffer.alloc(offset), Buffer.from(value)]).toString('base64');
    const inner = encoded.slice(Math.ceil((offset * 8) / 6), Math.floor(((offset + Buffer.byteLength(value)) * 8) / 6));
    add(`base64 at offset ${offset}`, inner);
    add(`base64url at offset ${offset}`, inner.replaceAll('+', '-').replaceAll('/', '_'));
  }
  return forms;
}

function entriesOf(folder: string): Dirent[] {
  return statSync(folder).isDirectory() ? readdirSync(folder, { withFileTypes: true }) : [];
}

/** Process ids and command lines of a process and all below it, as /proc has them at this moment. */
function descendants(root: number): Map<number, string[]> {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const stat = readProc(`/proc/${name}/stat`);
    // The command's name stands in parentheses and may hold anything; the parent is the second field after it.
    const parent = stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[1];
    if (parent !== undefined) parents.set(Number(name), Number(parent));
  }
  const found = new Map<number, string[]>();
  for (const id of parents.keys()) {
    if (!isBelow(id, root, parents)) continue;
    const argv = readProc(`/proc/${id}/cmdline`)?.split('\0').slice(0, -1) ?? [];
    if (argv.length > 0) found.set(id, argv);
  }
  return found;
}

function isBelow(id: number, root: number, parents: ReadonlyMap<number, number>): boolean {
  for (let current: number | undefined = id; current !== undefined && current > 0; current = parents.get(current)) {
    if (current === root) return true;
  }
  return false;
}

/** A process may end while it is looked at. */
function readProc(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return undefined;
  }
}
