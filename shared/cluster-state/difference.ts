// How two objects differ, for people: by path, with what is in Secrets as a hash. And the patch that makes one the other.
import type { KubeObject } from '../kubernetes/resources.ts';
import { createHash, createHmac, randomBytes } from 'node:crypto';
import { canonicalJson, type JsonValue } from '../backup/json.ts';
import { printable } from '../step/prose.ts';
import { mapping } from './objects.ts';

/** One place where two objects differ. Values as JSON, cut when long; undefined where there is none. */
export interface Difference {
  /** `spec.replicas`, `data["tls.crt"]`. */
  path: string;
  from: string | undefined;
  to: string | undefined;
}

/** More of them tell nothing. */
const MOST_DIFFERENCES = 20;
const MOST_LETTERS = 60;
/** The same value has the same hash within a run, and no one can try values against it afterwards. */
const HASH_KEY = randomBytes(32);
const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';

/** Tells equal objects from others: 128 bits, hexadecimal. */
export function digestOf(object: unknown): string {
  return createHash('sha256')
    .update(canonicalJson(object as JsonValue))
    .digest('hex')
    .slice(0, 32);
}

/** Where two objects of one kind differ. */
export function differencesOf(from: KubeObject, to: KubeObject): Difference[] {
  const found: Difference[] = [];
  walk(from, to, [], (path, before, after) => {
    if (found.length >= MOST_DIFFERENCES) return;
    const secret = isSecret(to, path);
    found.push({ path: pathText(path), from: shown(before, secret), to: shown(after, secret) });
  });
  return found;
}

/** `spec.replicas 3 → 0, data.a is new`. */
export function differenceText({ path, from, to }: Difference): string {
  if (from === undefined) return `${path} is new (${to ?? ''})`;
  if (to === undefined) return `${path} is gone (${from})`;
  return `${path} ${from} → ${to}`;
}

/** What turns one object into another, by RFC 7386; undefined when both are equal. Lists are given whole. */
export function mergePatch(from: unknown, to: unknown): unknown {
  const [before, after] = [mapping(from), mapping(to)];
  if (before === undefined || after === undefined) return isEqual(from, to) ? undefined : to;
  const entries: [string, unknown][] = [];
  for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
    if (!Object.hasOwn(after, key)) entries.push([key, null]);
    else {
      const patch = Object.hasOwn(before, key) ? mergePatch(before[key], after[key]) : after[key];
      if (patch !== undefined) entries.push([key, patch]);
    }
  }
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}

type Tell = (path: readonly string[], before: unknown, after: unknown) => void;

function walk(before: unknown, after: unknown, path: readonly string[], tell: Tell): void {
  if (isEqual(before, after)) return;
  const [left, right] = [container(before), container(after)];
  if (left === undefined || right === undefined || Array.isArray(before) !== Array.isArray(after)) {
    tell(path, before, after);
    return;
  }
  for (const key of new Set([...Object.keys(left), ...Object.keys(right)])) walk(own(left, key), own(right, key), [...path, key], tell);
}

function container(value: unknown): Record<string, unknown> | undefined {
  return Array.isArray(value) ? Object.fromEntries(value.entries()) : mapping(value);
}

function own(of: Record<string, unknown>, key: string): unknown {
  return Object.hasOwn(of, key) ? of[key] : undefined;
}

function isEqual(a: unknown, b: unknown): boolean {
  if (a === undefined || b === undefined) return a === b;
  return canonicalJson(a as JsonValue) === canonicalJson(b as JsonValue);
}

/** What kubectl applied is noted in an annotation, with all that was secret in it. */
function isSecret({ kind }: KubeObject, path: readonly string[]): boolean {
  return kind === 'Secret' && (path[0] === 'data' || path[0] === 'stringData' || path.includes(LAST_APPLIED) || path.length <= 2);
}

function shown(value: unknown, secret: boolean): string | undefined {
  if (value === undefined) return undefined;
  const text = canonicalJson(value as JsonValue);
  if (secret) return `#${createHmac('sha256', HASH_KEY).update(text).digest('hex').slice(0, 8)}`;
  return printable(text.length > MOST_LETTERS ? `${text.slice(0, MOST_LETTERS)}…` : text);
}

function pathText(path: readonly string[]): string {
  return path
    .map((step, at) =>
      /^\d+$/.test(step) ? `[${step}]` : /^[\w-]+$/.test(step) ? `${at === 0 ? '' : '.'}${step}` : `[${printable(JSON.stringify(step))}]`,
    )
    .join('');
}
