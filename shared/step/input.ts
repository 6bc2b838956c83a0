// Input kinds of a step: what each accepts, how it is parsed, and what to write instead when it is wrong.
import { expandHome } from './home-path.ts';
import { parseTimestamp, type Timestamp } from './timestamp.ts';

/** A value that must not be seen. Prints as `***`; `reveal()` is the one way to its text. */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return '***';
  }

  toJSON(): string {
    return '***';
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return 'Secret(***)';
  }
}

export type InputKind =
  'string' | 'flag' | 'integer' | 'duration' | 'size' | 'path' | 'list' | 'choice' | 'timestamp' | 'secret' | 'serviceConnection';

export interface InputOptions {
  /** One sentence; becomes the description on every host. */
  summary: string;
  /** A value as a user would write it. */
  example?: string;
  required?: boolean;
  /** Default, written as a user would write it. */
  default?: string;
  /** Where `dr.yml` holds this value: `source.uri` below the component, `/vault` from the root. Of several places the first that says something. */
  config?: string | readonly string[];
  /** Earlier spellings (camelCase). Giving one fails with the mapping. */
  renamedFrom?: readonly string[];
  /** Shown on these hosts only; everywhere when absent. */
  hosts?: readonly ('github' | 'azure' | 'terminal')[];
  /** Heading it stands under in help and forms, such as `Azure sign-in`; see `inGroup`. */
  group?: string;
}

/** One input of a step. `parse` throws a plain Error whose message says what was expected. */
export interface InputSpec<T> extends InputOptions {
  kind: InputKind;
  choices?: readonly string[];
  parse(text: string): T;
  /** Type-level only: the type of the parsed value. */
  readonly _type?: T;
}

type Given<T, O extends InputOptions> = O extends { required: true } | { default: string } ? T : T | undefined;

function spec<T, const O extends InputOptions>(
  kind: InputKind,
  options: O,
  parse: (text: string) => T,
  choices?: readonly string[],
): InputSpec<Given<T, O>> {
  return { ...options, kind, parse, ...(choices ? { choices } : {}) };
}

/** Builders of input specs, one per kind. */
export const input = {
  string: <const O extends InputOptions>(options: O) => spec('string', options, (text) => text),
  /** A text with rules of its own. @param problemOf what is wrong with it, as `expected …`; undefined when nothing is */
  name: <const O extends InputOptions>(problemOf: (text: string) => string | undefined, options: O) =>
    spec('string', options, (text) => {
      const problem = problemOf(text);
      if (problem !== undefined) throw new Error(problem);
      return text;
    }),
  path: <const O extends InputOptions>(options: O) => spec('path', options, parsePath),
  secret: <const O extends InputOptions>(options: O) => spec('secret', options, (text) => new Secret(text)),
  flag: <const O extends InputOptions>(options: O) => spec('flag', options, parseFlag),
  integer: <const O extends InputOptions>(options: O) => spec('integer', options, parseInteger),
  duration: <const O extends InputOptions>(options: O) => spec('duration', options, parseDuration),
  size: <const O extends InputOptions>(options: O) => spec('size', options, parseSize),
  list: <const O extends InputOptions>(options: O) => spec('list', options, parseList),
  /** The name of a new backup. */
  timestamp: <const O extends InputOptions>(options: O) => spec('timestamp', options, parseTimestampInput),
  /** Which of the backups there are; undefined for the latest, also when that is asked for by the word `latest`. */
  chosenTimestamp: <const O extends InputOptions>(options: O) => spec('timestamp', options, parseChosenTimestamp),
  /** The name of an Azure Pipelines service connection; exists on that host only. */
  serviceConnection: <const O extends InputOptions>(options: O) => spec('serviceConnection', options, (text) => text),
  choice: <const C extends readonly string[], const O extends InputOptions>(choices: C, options: O) =>
    spec<C[number], O>('choice', options, (text) => parseChoice(text, choices), choices),
};

/** The same input, but it must be given. */
export function required<T>(spec: InputSpec<T>): InputSpec<NonNullable<T>> {
  return { ...spec, required: true } as InputSpec<NonNullable<T>>;
}

/** The same input, but it may be left out. */
export function optional<T>(spec: InputSpec<T>, changes?: Pick<InputOptions, 'summary'>): InputSpec<T | undefined> {
  return { ...spec, ...changes, required: false };
}

/** The same inputs under one heading in help and forms. */
export function inGroup<I extends Record<string, InputSpec<unknown>>>(group: string, inputs: I): I {
  return Object.fromEntries(Object.entries(inputs).map(([name, spec]) => [name, { ...spec, group }])) as I;
}

function parsePath(text: string): string {
  try {
    return expandHome(text);
  } catch {
    throw new Error('~ with a name is understood by a shell only; expected the whole path');
  }
}

function parseFlag(text: string): boolean {
  // The YAML 1.2 core schema spellings, as @actions/core getBooleanInput takes them.
  if (/^(true|True|TRUE)$/.test(text)) return true;
  if (/^(false|False|FALSE)$/.test(text)) return false;
  throw new Error('expected true or false');
}

function parseInteger(text: string): number {
  const value = Number(text);
  if (!/^-?\d+$/.test(text) || !Number.isSafeInteger(value)) throw new Error('expected a whole number, such as 7');
  return value;
}

const DURATION_UNITS: Record<string, number> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 7 * 86_400_000,
};

/** Milliseconds of `90s`, `30m`, `1h30m`, `7d`. @throws Error with the expected shape. */
export function parseDuration(text: string): number {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d|w)/g)];
  if (parts.length === 0 || parts.map((part) => part[0]).join('') !== text) {
    throw new Error('expected a duration, such as 90s, 30m or 1h30m');
  }
  const milliseconds = parts.reduce((sum, [, amount, unit]) => sum + Number(amount) * (DURATION_UNITS[unit as string] as number), 0);
  if (milliseconds > Number.MAX_SAFE_INTEGER) throw new Error('expected a duration below 285,000 years');
  return milliseconds;
}

const SIZE_UNITS: Record<string, number> = {
  '': 1,
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};

/** Bytes of `64MiB`, `1.5GB`, `4096`. @throws Error with the expected shape. */
export function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s?([KMGT]?i?B?)$/i.exec(text);
  const unit = Object.keys(SIZE_UNITS).find((name) => name.toLowerCase() === match?.[2]?.toLowerCase());
  if (!match || unit === undefined) throw new Error('expected a size, such as 64MiB or 2GB');
  const bytes = Math.round(Number(match[1]) * (SIZE_UNITS[unit] as number));
  if (!Number.isSafeInteger(bytes)) throw new Error('expected a size below 8 PiB');
  return bytes;
}

function parseList(text: string): string[] {
  return text
    .split(/[\n,]/)
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

function parseTimestampInput(text: string): Timestamp {
  const timestamp = parseTimestamp(text);
  if (!timestamp) throw new Error('expected a timestamp in UTC, such as 20241201_120000');
  return timestamp;
}

function parseChosenTimestamp(text: string): Timestamp | undefined {
  if (/^latest$/i.test(text)) return undefined;
  const timestamp = parseTimestamp(text);
  if (!timestamp) throw new Error('expected a timestamp in UTC, such as 20241201_120000, or latest');
  return timestamp;
}

function parseChoice<T extends string>(text: string, choices: readonly T[]): T {
  const choice = choices.find((candidate) => candidate === text);
  if (choice === undefined) throw new Error(`expected one of: ${choices.join(', ')}`);
  return choice;
}

/** `backupId` → `backup-id`: the spelling of GitHub, the terminal and `dr.yml`. */
export function kebabCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
