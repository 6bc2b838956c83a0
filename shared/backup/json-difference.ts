// Where two JSON documents differ first, in words for a person.
import { canonicalJson, type JsonValue } from './json.ts';

/** `path: expected …, found …` of the first difference in key order; undefined when both are equal. */
export function firstDifference(expected: JsonValue | undefined, found: JsonValue | undefined, path = ''): string | undefined {
  if (expected === undefined || found === undefined) {
    return expected === found ? undefined : `${path || 'the report'}: expected ${shown(expected)}, found ${shown(found)}`;
  }
  if (isContainer(expected) && isContainer(found) && Array.isArray(expected) === Array.isArray(found)) {
    const left = expected as Record<string, JsonValue>;
    const right = found as Record<string, JsonValue>;
    const numeric = Array.isArray(expected);
    const keys = [...new Set([...Object.keys(left), ...Object.keys(right)])];
    if (!numeric) keys.sort();
    for (const key of keys) {
      const place = numeric ? `${path}[${key}]` : path === '' ? key : `${path}.${key}`;
      const difference = firstDifference(own(left, key), own(right, key), place);
      if (difference !== undefined) return difference;
    }
    return undefined;
  }
  return canonicalJson(expected) === canonicalJson(found)
    ? undefined
    : `${path || 'the report'}: expected ${shown(expected)}, found ${shown(found)}`;
}

function own(record: Record<string, JsonValue>, key: string): JsonValue | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}

function isContainer(value: JsonValue): boolean {
  return value !== null && typeof value === 'object';
}

function shown(value: JsonValue | undefined): string {
  if (value === undefined) return 'nothing';
  const text = canonicalJson(value);
  return text.length > 100 ? `${text.slice(0, 100)}…` : text;
}
