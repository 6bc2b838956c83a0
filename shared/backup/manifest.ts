// The manifest: the JSON document written last. Its schema, its HMAC, its one serialisation, and a parser that survives hostile input.
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { UserError, VerificationError } from '../step/errors.ts';
import { parseTimestamp, type Timestamp } from '../step/timestamp.ts';
import type { WrappedKey } from '../vaults/vault.ts';
import { manifestKey } from './content-key.ts';
import { REGION_BYTES, regionCount, storedSize } from './encryption.ts';
import { MAX_FRAME_BYTES } from './frames.ts';
import { canonicalJson, type JsonValue } from './json.ts';

/** No manifest is larger: about 100,000 collections. The writer refuses, the reader does not read further. */
export const MAX_MANIFEST_BYTES = 32 * 1024 * 1024;
const MAX_DEPTH = 64;

const count = z.int().min(0);
const line = z.string().min(1).max(4096);
const name = z.string().regex(/^[a-z][a-z0-9-]{0,62}$/);
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const moment = z.iso.datetime();

const recipientSchema: z.ZodType<WrappedKey> = z.object({
  kind: z.enum(['key-vault-secret', 'key-vault-key', 'escrow', 'folder']),
  keyId: line,
  algorithm: z.enum(['A256KW', 'RSA-OAEP-256']),
  encryptedKey: z.base64().max(8192),
});

const schema = z.object({
  formatVersion: z.literal(1),
  component: name,
  kind: name,
  timestamp: z.custom<Timestamp>((text) => typeof text === 'string' && parseTimestamp(text) !== undefined, 'not a timestamp'),
  created: moment,
  tools: z.record(z.string(), z.string()),
  source: z.record(z.string(), z.unknown()),
  consistency: z.enum(['point-in-time', 'per-collection', 'per-object']),
  compression: z.discriminatedUnion('algorithm', [
    z.object({ algorithm: z.literal('zstd'), level: z.int(), frameBytes: z.int().min(1).max(MAX_FRAME_BYTES), frames: count }),
    z.object({ algorithm: z.literal('none') }),
  ]),
  encryption: z.object({
    protocol: z.literal('2.0'),
    algorithm: z.literal('AES_GCM_256'),
    regionBytes: z.literal(REGION_BYTES),
    regions: count,
  }),
  sizes: z.object({ plain: count, compressed: count, stored: count }),
  sha256,
  // Whatever the inspector reported; parsed JSON needs no second look, and there may be a million entries.
  content: z.custom<JsonValue>((value) => value !== undefined, 'missing'),
  durationMs: count,
  keyRecipients: z.array(recipientSchema).min(1).max(32),
  suspect: z.array(line).max(100),
  verified: z.object({ level: z.enum(['full', 'sample', 'none']), at: moment.nullable() }),
  attempt: line.optional(),
  textSha256: sha256.optional(),
});

/** How thoroughly a backup was read back before it was committed. `docs/format.md` says what each level proves. */
export type VerifyLevel = 'full' | 'sample' | 'none';
/** Whether all of the content is of one moment. */
export type Consistency = 'point-in-time' | 'per-collection' | 'per-object';

/** What is known of the thing that was backed up. Never credentials. */
export interface SourceFacts {
  host?: string;
  version?: string;
  topology?: string;
  /** What tells this source from every other: a replica set's name and hosts, a cluster's UID. */
  fingerprint?: string;
  readonly [key: string]: JsonValue | undefined;
}

/** A parsed manifest. Sizes in bytes; `sha256` of the stored object; times in ISO 8601, UTC. */
export interface Manifest {
  formatVersion: 1;
  component: string;
  kind: string;
  timestamp: Timestamp;
  created: string;
  /** Program → version. */
  tools: Record<string, string>;
  source: SourceFacts;
  consistency: Consistency;
  compression: { algorithm: 'zstd'; level: number; frameBytes: number; frames: number } | { algorithm: 'none' };
  encryption: { protocol: '2.0'; algorithm: 'AES_GCM_256'; regionBytes: typeof REGION_BYTES; regions: number };
  sizes: { plain: number; compressed: number; stored: number };
  sha256: string;
  /** The inspector's report. */
  content: JsonValue;
  /** From the start of the run to this manifest. */
  durationMs: number;
  keyRecipients: WrappedKey[];
  /** Why the content is doubtful; empty for a good backup. */
  suspect: string[];
  verified: { level: VerifyLevel; at: string | null };
  /** The random id of the run that wrote it, as in the data's metadata; absent in older manifests. */
  attempt?: string;
  /** Of the manifest's text without this field and `hmac`: the order of the keys is part of the spelling. Absent in older manifests. */
  textSha256?: string;
}

/** A manifest as it was stored: `checkHmac` proves it once the content key is there. Until then nothing in it is to be trusted. */
export interface StoredManifest {
  manifest: Manifest;
  /** @throws VerificationError when the manifest is not the one that was written with this key */
  checkHmac(contentKey: Uint8Array): void;
}

/**
 * The bytes of a manifest: indented JSON for people, in exactly the serialisation that `parseManifest` asks for, with the HMAC inside.
 * @throws UserError when the content report is too large
 */
export function serializeManifest(manifest: Manifest, contentKey: Uint8Array, { noteText = false } = {}): Buffer {
  const tooLarge = (length: number): UserError =>
    new UserError(
      `${manifest.component} ${manifest.timestamp}: the list of what is in it takes ${length} bytes, more than a manifest may have (${MAX_MANIFEST_BYTES}).`,
      { fix: 'Split the component: select fewer databases or namespaces for each.' },
    );
  const compact = JSON.stringify(manifest);
  // Already too long without its indentation: no one should wait for the rest.
  if (compact.length > MAX_MANIFEST_BYTES) throw tooLarge(compact.length);
  // As it will be read: without undefined fields.
  const rest = inOrder(JSON.parse(compact) as Record<string, JsonValue>);
  delete rest['textSha256'];
  const body = noteText ? { ...rest, textSha256: createHash('sha256').update(exactText(rest)).digest('hex') } : rest;
  const bytes = Buffer.from(exactText({ ...body, hmac: hmacOf(body, contentKey) }));
  if (bytes.length > MAX_MANIFEST_BYTES) throw tooLarge(bytes.length);
  const checked = schema.safeParse(JSON.parse(bytes.toString()));
  if (!checked.success) throw new Error(`the manifest to be written is not valid: ${problemOf(checked.error)}`);
  return bytes;
}

/**
 * Reads a manifest. Bounded in time and memory whatever the bytes are; every single changed byte is noticed here or by `checkHmac`.
 * @param label backup and object, for errors
 * @throws VerificationError naming the field where it can
 */
export function parseManifest(bytes: Uint8Array, label: string): StoredManifest {
  if (bytes.length > MAX_MANIFEST_BYTES) throw new VerificationError(`${label} is larger than a manifest can be (${bytes.length} bytes).`);
  if (BYTE_ORDER_MARK.every((byte, at) => bytes[at] === byte)) {
    throw new VerificationError(`${label} was changed after it was written: it begins with a byte order mark (EF BB BF).`, {
      fix: 'A program opened it and saved it as text. Take the three bytes away, or take manifest.json from a copy of the backup.',
    });
  }
  const text = decodeUtf8(bytes, label);
  checkDepth(text, label);
  const json = parseJson(text, label);
  const { hmac, ...body } = json as Record<string, JsonValue>;
  const result = schema.safeParse(body);
  if (!result.success)
    throw new VerificationError(`${label} is not a manifest of format version 1: ${problemOf(result.error)}.`, newerTool(body));
  if (typeof hmac !== 'string' || !/^[0-9a-f]{64}$/.test(hmac)) throw new VerificationError(`${label} has no valid field "hmac".`);
  if (exactText(json as JsonValue) !== text) {
    throw new VerificationError(
      `${label} was changed after it was written: its text differs at byte ${differsAt(exactText(json as JsonValue), text)}.`,
    );
  }
  checkOrder(json as Record<string, JsonValue>, text, label);
  // Unknown fields of a later minor version stay part of what the HMAC covers.
  const manifest = body as unknown as Manifest;
  checkSums(manifest, label);
  return {
    manifest,
    checkHmac(contentKey) {
      const expected = Buffer.from(hmacOf(body, contentKey), 'hex');
      if (timingSafeEqual(expected, Buffer.from(hmac, 'hex'))) return;
      throw new VerificationError(`${label} was changed after it was written: its HMAC does not match.`, {
        fix: 'Restore from another backup or from a copy in another store. "lifeboat decrypt" can still open the data without the manifest.',
      });
    },
  };
}

const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf];

/** The keys of the manifest and of its parts, in the order in which they are written. `tools`, `source` and `content` have their own. */
const KEYS: ReadonlyMap<string, readonly string[]> = new Map(
  Object.entries({
    '': 'formatVersion component kind timestamp created tools source consistency compression encryption sizes sha256 content durationMs keyRecipients suspect verified attempt textSha256 hmac',
    compression: 'algorithm level frameBytes frames',
    encryption: 'protocol algorithm regionBytes regions',
    sizes: 'plain compressed stored',
    keyRecipients: 'kind keyId algorithm encryptedKey',
    verified: 'level at',
  }).map(([part, keys]) => [part, keys.split(' ')]),
);

/** Known keys in their order, unknown ones after them. */
function inOrder(value: Record<string, JsonValue>, part = ''): Record<string, JsonValue> {
  const known = KEYS.get(part) ?? [];
  const keys = [...known.filter((key) => Object.hasOwn(value, key)), ...Object.keys(value).filter((key) => !known.includes(key))];
  return Object.fromEntries(
    keys.map((key) => [key, part === '' && KEYS.has(key) ? partInOrder(value[key] as JsonValue, key) : value[key]]),
  ) as Record<string, JsonValue>;
}

function partInOrder(value: JsonValue, part: string): JsonValue {
  if (Array.isArray(value)) return value.map((item: JsonValue) => partInOrder(item, part));
  return value !== null && typeof value === 'object' ? inOrder(value as Record<string, JsonValue>, part) : value;
}

/** The order of keys is part of the spelling: of the known ones in any manifest, of all of them where the text's own digest is noted. */
function checkOrder(json: Record<string, JsonValue>, text: string, label: string): void {
  const changed = (field: string): VerificationError =>
    new VerificationError(`${label} was changed after it was written: its field "${field}" is not where it was written.`);
  for (const [part, known] of KEYS) {
    const value = part === '' ? json : (json[part] as JsonValue);
    for (const one of Array.isArray(value) ? (value as JsonValue[]) : [value]) {
      const found = Object.keys(one as object).filter((key) => known.includes(key));
      const expected = known.filter((key) => Object.hasOwn(one as object, key));
      const wrong = expected.find((key, at) => found[at] !== key);
      if (wrong !== undefined) throw changed(part === '' ? wrong : `${part}.${wrong}`);
    }
  }
  const { textSha256, hmac } = json;
  if (typeof textSha256 !== 'string') return;
  const end = `,\n  "textSha256": "${textSha256}",\n  "hmac": "${hmac as string}"\n}\n`;
  if (!text.endsWith(end)) throw changed('textSha256');
  const digest = createHash('sha256')
    .update(`${text.slice(0, -end.length)}\n}\n`)
    .digest('hex');
  if (digest !== textSha256)
    throw new VerificationError(`${label} was changed after it was written: its text is not the one of its field "textSha256".`);
}

function hmacOf(body: Record<string, JsonValue>, contentKey: Uint8Array): string {
  return createHmac('sha256', manifestKey(contentKey)).update(canonicalJson(body)).digest('hex');
}

/** Parsed and printed again, so that integer-like keys have taken the place that JavaScript gives them. */
function exactText(json: JsonValue): string {
  return `${JSON.stringify(JSON.parse(JSON.stringify(json)), null, 2)}\n`;
}

function decodeUtf8(bytes: Uint8Array, label: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new VerificationError(`${label} is damaged: it is not UTF-8 text.`, { cause });
  }
}

function parseJson(text: string, label: string): object {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    const { at, cut } = breakOf(text, String(cause));
    const byte = Buffer.byteLength(text.slice(0, at));
    throw new VerificationError(`${label} is ${cut ? 'cut at' : 'damaged near'} byte ${byte}: it is not JSON any more.`, { cause });
  }
  if (json === null || typeof json !== 'object' || Array.isArray(json)) throw new VerificationError(`${label} is not a manifest.`);
  return json;
}

/** Where a text stops being JSON, and whether it is cut there. The engine's message does not always say where. */
function breakOf(text: string, message: string): { at: number; cut: boolean } {
  const told = /at position (\d+)/.exec(message)?.[1];
  if (/end of JSON input|Unterminated string/.test(message) || Number(told) >= text.length) return { at: text.length, cut: true };
  if (told !== undefined) return { at: Number(told), cut: false };
  // A beginning that is not wrong yet is only cut.
  let [good, bad] = [0, text.length];
  while (bad - good > 1) {
    const middle = (good + bad) >> 1;
    if (isWrong(text.slice(0, middle))) bad = middle;
    else good = middle;
  }
  return { at: good, cut: false };
}

function isWrong(beginning: string): boolean {
  try {
    JSON.parse(beginning);
    return false;
  } catch (thrown) {
    return String(thrown).includes('Unexpected token') && !String(thrown).includes('Unexpected end');
  }
}

/** Refuses nesting on which recursive code would overflow the stack. */
function checkDepth(text: string, label: string): void {
  let depth = 0;
  let inString = false;
  for (let i = 0; i < text.length; i += 1) {
    const letter = text.charCodeAt(i);
    if (inString) {
      if (letter === 0x5c) i += 1;
      else if (letter === 0x22) inString = false;
    } else if (letter === 0x22) inString = true;
    else if (letter === 0x7b || letter === 0x5b) {
      depth += 1;
      if (depth > MAX_DEPTH) throw new VerificationError(`${label} is nested more than ${MAX_DEPTH} levels deep at byte ${i}.`);
    } else if (letter === 0x7d || letter === 0x5d) depth -= 1;
  }
}

/** Numbers that must agree with each other, before memory is reserved by them. */
function checkSums(manifest: Manifest, label: string): void {
  const { sizes, encryption, compression } = manifest;
  const wrong = (field: string): VerificationError => new VerificationError(`${label} contradicts itself in the field "${field}".`);
  if (encryption.regions !== regionCount(sizes.compressed)) throw wrong('encryption.regions');
  if (sizes.stored !== storedSize(sizes.compressed)) throw wrong('sizes.stored');
  if (compression.algorithm === 'none') {
    if (sizes.plain !== sizes.compressed) throw wrong('sizes.compressed');
  } else if (compression.frames !== Math.max(1, Math.ceil(sizes.plain / compression.frameBytes))) throw wrong('compression.frames');
}

function newerTool(body: Record<string, JsonValue>): { fix?: string } {
  const version = body['formatVersion'];
  return typeof version === 'number' && version > 1 ? { fix: `It says format version ${version}: use a newer Lifeboat.` } : {};
}

function problemOf(error: z.ZodError): string {
  const issue = error.issues[0];
  const path = issue?.path.join('.') ?? '';
  return `field "${path.length > 120 ? `${path.slice(0, 120)}…` : path}": ${issue?.message ?? 'wrong'}`;
}

function differsAt(expected: string, actual: string): number {
  let at = 0;
  while (at < expected.length && at < actual.length && expected[at] === actual[at]) at += 1;
  return Buffer.byteLength(actual.slice(0, at));
}
