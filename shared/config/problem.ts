// What is wrong in dr.yml, where, and how it is told: every problem at once, each with file, line and column.
import { UsageError } from '../step/errors.ts';
import { plural } from '../step/format.ts';

/** A place in the file; both count from 1. */
export interface Position {
  line: number;
  column: number;
}

export interface ConfigProblem extends Position {
  /** Dotted path, such as `components.orders.retention.daily`; empty for the file as a whole. */
  path: string;
  /** What is wrong and what was expected; never a secret. */
  message: string;
}

/** dr.yml is wrong. Exit code 2. */
export class ConfigError extends UsageError {
  readonly problems: readonly ConfigProblem[];

  constructor(file: string, problems: readonly ConfigProblem[], fix?: string) {
    const lines = problems.map((problem) => problemLine(file, problem));
    const text = lines.length === 1 ? (lines[0] as string) : `${plural(lines.length, 'problem')} in ${file}:\n- ${lines.join('\n- ')}`;
    super(text, fix === undefined ? {} : { fix });
    this.problems = problems;
  }
}

/** `dr.yml:14:7 components.orders.retention: …`: editors and terminals make the start a link. */
export function problemLine(file: string, { line, column, path, message }: ConfigProblem): string {
  return `${file}:${line}:${column} ${path === '' ? '' : `${path}: `}${message}`;
}

/** `['keys', 0, 'kind']` → `keys[0].kind`. */
export function pathText(path: readonly PropertyKey[]): string {
  return path
    .map((step) => (typeof step === 'number' ? `[${step}]` : `.${shownName(String(step))}`))
    .join('')
    .replace(/^\./, '');
}

/** A name as it may stand in a message: control characters and overlong texts would spoil the line. */
export function shownName(name: string): string {
  const clean = name.replace(/\p{Cc}/gu, '?');
  return clean.length > 60 ? `${clean.slice(0, 57)}...` : clean;
}
