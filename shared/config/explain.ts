// Turns what zod found into sentences: what was expected at which path, and what was probably meant.
import type { z } from 'zod';
import type { YamlFile } from './document.ts';
import { drJsonSchema, schemaAt, type JsonSchema } from './json-schema.ts';
import { literalSecret } from './literal-secrets.ts';
import { pathText, shownName, type ConfigProblem } from './problem.ts';
import { LATER_KEYS, LATER_KINDS } from './schema.ts';
import { nearestSpelling } from '../schema/spelling.ts';

type Issue = z.core.$ZodIssue;

const LATER = 'not yet supported by this version of Lifeboat';

/** Every problem behind a failed parse, in the order of the file. */
export function explainIssues(issues: readonly Issue[], yaml: YamlFile): ConfigProblem[] {
  const root = drJsonSchema();
  return issues.flatMap((issue) => explainIssue(issue, yaml, root));
}

function explainIssue(issue: Issue, yaml: YamlFile, root: JsonSchema): ConfigProblem[] {
  const problem = (path: readonly PropertyKey[], message: string, what: 'key' | 'value' = 'value'): ConfigProblem => ({
    ...yaml.locate(path, what),
    path: pathText(path),
    message,
  });
  const value = valueAt(yaml.data, issue.path);
  if (issue.code === 'unrecognized_keys') {
    const known = Object.keys(schemaAt(issue.path, yaml.data, root)?.properties ?? {});
    return issue.keys.map((key) => problem([...issue.path, key], unknownKey([...issue.path, key], known, value), 'key'));
  }
  if (issue.code === 'invalid_key') {
    return issue.issues.map(({ message }) => problem(issue.path, message, 'key'));
  }
  const parent = valueAt(yaml.data, issue.path.slice(0, -1));
  if (value === undefined && issue.path.length > 0) {
    if (isSupersededByLater(issue.path, parent) || isMisspelt(issue.path, parent, root, yaml)) return [];
    return [problem(issue.path, missing(issue, root, yaml))];
  }
  if (value === null) return [problem(issue.path, `has no value: ${expectation(issue)}`, 'key')];
  if (issue.code === 'invalid_union' || issue.code === 'invalid_value') return [problem(issue.path, wrongWord(issue, value))];
  return [problem(issue.path, `${expectation(issue)}${found(issue, value)}`)];
}

function valueAt(data: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (value, step) =>
      typeof value === 'object' && value !== null && Object.hasOwn(value, step) ? (value as Record<PropertyKey, unknown>)[step] : undefined,
    data,
  );
}

/** `components.*.kind`: entries named by the user count as one. */
function matchesPath(pattern: string, path: readonly PropertyKey[]): boolean {
  const steps = pattern.split('.');
  return steps.length === path.length && steps.every((step, index) => step === '*' || step === path[index]);
}

function unknownKey(path: readonly PropertyKey[], known: string[], parent: unknown): string {
  if (LATER_KEYS.some((pattern) => matchesPath(pattern, path))) return LATER;
  const free = known.filter((key) => !Object.hasOwn(parent as object, key));
  const near = nearestSpelling(String(path.at(-1)), free);
  return near === undefined ? `unknown key. Known here: ${known.join(', ')}` : `unknown key. Did you mean ${near}?`;
}

/** `source: { kubernetes: … }`: that uri is missing is not the news. */
function isSupersededByLater(path: readonly PropertyKey[], parent: unknown): boolean {
  const siblings = typeof parent === 'object' && parent !== null ? Object.keys(parent) : [];
  return siblings.some((key) => LATER_KEYS.some((pattern) => pattern.includes('.') && matchesPath(pattern, [...path.slice(0, -1), key])));
}

/** For `accuont: …` the message about the unknown key is enough. */
function isMisspelt(path: readonly PropertyKey[], parent: unknown, root: JsonSchema, yaml: YamlFile): boolean {
  const known = Object.keys(schemaAt(path.slice(0, -1), yaml.data, root)?.properties ?? {});
  const given = typeof parent === 'object' && parent !== null ? Object.keys(parent) : [];
  const free = known.filter((key) => !given.includes(key));
  return given.some((key) => !known.includes(key) && nearestSpelling(key, free) === path.at(-1));
}

function missing(issue: Issue, root: JsonSchema, yaml: YamlFile): string {
  if (issue.code === 'invalid_union') return `is missing: expected one of ${kinds(issue).join(', ')}`;
  const schema = schemaAt(issue.path, yaml.data, root);
  const example = schema?.examples?.[0];
  const shown = typeof example === 'string' || typeof example === 'number' ? ` Example: ${String(issue.path.at(-1))}: ${example}` : '';
  return `is missing. ${schema?.description ?? ''}${shown}`.trim();
}

function wrongWord(issue: Issue & { code: 'invalid_union' | 'invalid_value' }, value: unknown): string {
  if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean')
    return `${expectation(issue)}${found(issue, value)}`;
  const word = String(value);
  const words = issue.code === 'invalid_union' ? kinds(issue) : issue.values.map(String);
  const later = Object.entries(LATER_KINDS).find(([pattern, names]) => matchesPath(pattern, issue.path) && names.includes(word));
  if (later) return `kind ${word} is ${LATER}`;
  const near = nearestSpelling(word, words);
  const expected = issue.message.startsWith('Invalid')
    ? `expected ${words.length === 1 ? '' : 'one of '}${words.join(', ')}`
    : issue.message;
  return `${expected}${found(issue, value)}${near === undefined || near === word ? '' : `. Did you mean ${near}?`}`;
}

/** The words of a union's `kind`. */
function kinds(issue: Issue): string[] {
  return 'options' in issue && Array.isArray(issue.options) ? issue.options.map(String) : [];
}

/** Messages of our own fields start with "expected"; zod's own ones name the type. */
function expectation(issue: Issue): string {
  if (issue.code === 'invalid_type' && issue.message.startsWith('Invalid')) {
    const names: Record<string, string> = {
      object: 'a mapping',
      record: 'a mapping',
      array: 'a list',
      string: 'a text',
      number: 'a number',
    };
    return `expected ${names[issue.expected] ?? issue.expected}`;
  }
  if (issue.code === 'invalid_union' && kinds(issue).length > 0) return `expected one of ${kinds(issue).join(', ')}`;
  return issue.message;
}

/** `, found "fulll"`: short harmless values only, never what may be a secret. */
function found(issue: Issue, value: unknown): string {
  if (issue.code === 'custom' || value === undefined) return '';
  // That there is a list is not what is wrong with one that is too short.
  if (Array.isArray(value)) return issue.code === 'too_small' ? '' : ', found a list';
  if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean') return ', found a mapping';
  const sensitive = /uri|sas|url|key|pass|secret|token/i.test(String(issue.path.at(-1))) || literalSecret(String(value)) !== undefined;
  if (typeof value !== 'string') return sensitive ? `, found a ${typeof value}` : `, found ${value}`;
  return sensitive || value.length > 60 ? '' : `, found ${JSON.stringify(shownName(value))}`;
}
