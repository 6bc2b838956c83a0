// The manifest: strict serialisation, HMAC, and a parser that survives hostile input.
import { createHmac, hkdfSync } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { canonicalJson, type JsonValue } from '../../shared/backup/json.ts';
import { MAX_MANIFEST_BYTES, parseManifest, serializeManifest, type Manifest } from '../../shared/backup/manifest.ts';
import { UserError, VerificationError } from '../../shared/step/errors.ts';
import { parseTimestamp, type Timestamp } from '../../shared/step/timestamp.ts';
import { noise } from './support.ts';

const key = noise(32, 'key');
const manifest: Manifest = {
  formatVersion: 1,
  component: 'mongodb',
  kind: 'mongodb',
  timestamp: parseTimestamp('20241201_120000') as Timestamp,
  created: '2024-12-01T12:03:00.000Z',
  tools: { lifeboat: '0.1.0' },
  source: { host: 'db.example.org' },
  consistency: 'point-in-time',
  compression: { algorithm: 'zstd', level: 3, frameBytes: 4194304, frames: 1 },
  encryption: { protocol: '2.0', algorithm: 'AES_GCM_256', regionBytes: 4194304, regions: 1 },
  sizes: { plain: 100, compressed: 50, stored: 78 },
  sha256: 'ab'.repeat(32),
  content: { namespaces: { 'chat.messages': { documents: 12, bytes: 88 } } },
  durationMs: 180000,
  keyRecipients: [{ kind: 'folder', keyId: 'k', algorithm: 'A256KW', encryptedKey: 'AAAA' }],
  suspect: [],
  verified: { level: 'full', at: '2024-12-01T12:03:00.000Z' },
};

/** The same manifest with some fields changed and a right HMAC: what a holder of the key could write. */
function forged(changes: Record<string, unknown>): Buffer {
  const body = { ...manifest, ...changes } as unknown as Record<string, JsonValue>;
  const hmac = createHmac('sha256', Buffer.from(hkdfSync('sha256', key, '', 'lifeboat manifest v1', 32)))
    .update(canonicalJson(body))
    .digest('hex');
  return Buffer.from(`${JSON.stringify({ ...body, hmac }, null, 2)}\n`);
}

describe('manifest', () => {
  test('opens when a fact of its source was undefined: the file has no such key, so the HMAC has none', () => {
    const source = { ...manifest.source, product: undefined } as unknown as typeof manifest.source;
    expect(() => {
      parseManifest(serializeManifest({ ...manifest, source }, key), 'm').checkHmac(key);
    }).not.toThrow();
  });

  test('comes back as it was written, and its HMAC is HKDF and HMAC-SHA256 by the book', () => {
    const bytes = serializeManifest(manifest, key);
    expect(bytes).toEqual(forged({}));
    const stored = parseManifest(bytes, 'm');
    expect(stored.manifest).toEqual(manifest);
    stored.checkHmac(key);
    expect(() => {
      stored.checkHmac(noise(32, 'another'));
    }).toThrow('its HMAC does not match');
  });

  test('every change of a single byte is noticed, and every cut', () => {
    const bytes = serializeManifest(manifest, key);
    const read = (changed: Buffer): void => {
      parseManifest(changed, 'm').checkHmac(key);
    };
    for (let at = 0; at < bytes.length; at += 1) {
      for (const mask of [0x01, 0x04, 0x20, 0x80]) {
        const changed = Buffer.from(bytes);
        changed[at] = (changed[at] as number) ^ mask;
        expect(() => {
          read(changed);
        }).toThrow(VerificationError);
      }
      expect(() => {
        read(bytes.subarray(0, at));
      }).toThrow(VerificationError);
    }
    expect(() => {
      read(Buffer.concat([bytes, Buffer.from('\n')]));
    }).toThrow(VerificationError);
  });

  test('white space, duplicate keys and other spellings of a number are changes too', () => {
    const text = serializeManifest(manifest, key).toString();
    for (const changed of [
      JSON.stringify(JSON.parse(text)),
      text.replace('"suspect": []', '"suspect": [],\n  "suspect": []'),
      text.replace('"plain": 100', '"plain": 1e2'),
    ]) {
      expect(() => parseManifest(Buffer.from(changed), 'm')).toThrow('m was changed after it was written: its text differs at byte');
    }
  });

  test('integer-like names and __proto__ in the content survive', () => {
    const content = JSON.parse('{"b":1,"10":2,"2":3,"__proto__":{"x":1},"é":[0.1,1e21,-5]}') as JsonValue;
    const bytes = serializeManifest({ ...manifest, content }, key);
    const stored = parseManifest(bytes, 'm');
    stored.checkHmac(key);
    expect(JSON.stringify(stored.manifest.content)).toBe(JSON.stringify(content));
  });

  test('fields of a later minor version are kept and covered by the HMAC', () => {
    const bytes = forged({ later: { a: 1 } });
    parseManifest(bytes, 'm').checkHmac(key);
    const changed = Buffer.from(bytes.toString().replace('"a": 1', '"a": 2'));
    expect(() => {
      parseManifest(changed, 'm').checkHmac(key);
    }).toThrow(VerificationError);
  });

  test.each<[string, Record<string, unknown>, string]>([
    ['a size of 2^53', { sizes: { plain: 2 ** 53, compressed: 50, stored: 78 } }, 'sizes.plain'],
    ['a negative size', { sizes: { plain: -1, compressed: 50, stored: 78 } }, 'sizes.plain'],
    ['sizes that contradict each other', { sizes: { plain: 100, compressed: 50, stored: 79 } }, 'sizes.stored'],
    ['a wrong number of regions', { encryption: { ...manifest.encryption, regions: 2 } }, 'encryption.regions'],
    ['a wrong number of frames', { compression: { ...manifest.compression, frames: 7 } }, 'compression.frames'],
    ['frames beyond memory', { compression: { algorithm: 'zstd', level: 3, frameBytes: 2 ** 40, frames: 1 } }, 'compression.frameBytes'],
    ['a component that climbs', { component: '../../etc' }, 'component'],
    ['a timestamp that is none', { timestamp: '20240230_120000' }, 'timestamp'],
    ['a hundred recipients', { keyRecipients: Array.from({ length: 100 }, () => manifest.keyRecipients[0]) }, 'keyRecipients'],
    ['no content', { content: undefined }, 'content'],
    ['a newer format', { formatVersion: 2 }, 'formatVersion'],
  ])('%s is refused with the field', (_, changes, field) => {
    expect(() => parseManifest(forged(changes), 'm')).toThrow(
      expect.objectContaining({ name: 'VerificationError', message: expect.stringContaining(field) as unknown as string }),
    );
  });

  test('a newer format says what to do', () => {
    expect(() => parseManifest(forged({ formatVersion: 2 }), 'm')).toThrow(
      expect.objectContaining({ fix: expect.stringContaining('newer Lifeboat') as unknown as string }),
    );
  });

  test('nesting that would overflow the stack is refused quickly', () => {
    const deep = Buffer.from(`${'['.repeat(1_000_000)}${']'.repeat(1_000_000)}`);
    expect(() => parseManifest(deep, 'm')).toThrow('nested more than 64 levels deep');
  });

  test('a giant file is refused without being parsed, by reader and writer', () => {
    expect(() => parseManifest(Buffer.alloc(MAX_MANIFEST_BYTES + 1, 0x20), 'm')).toThrow('larger than a manifest can be');
    expect(() => serializeManifest({ ...manifest, content: 'x'.repeat(MAX_MANIFEST_BYTES) }, key)).toThrow(UserError);
  });

  test('a hundred thousand namespaces are fine, a million bounded', () => {
    const many = (count: number): JsonValue =>
      Object.fromEntries(Array.from({ length: count }, (_, i) => [`chat.c${i}`, { documents: i, digest: 'ab'.repeat(16) }]));
    const bytes = serializeManifest({ ...manifest, content: many(100_000) }, key);
    parseManifest(bytes, 'm').checkHmac(key);
    const million = Buffer.from(JSON.stringify({ formatVersion: 1, content: many(1_000_000) }));
    expect(() => parseManifest(million, 'm')).toThrow(VerificationError);
  });

  test.each(['', 'null', '[]', '{}', '"x"', '\u0000', '{"formatVersion":1,'])('%j is refused in words', (text) => {
    expect(() => parseManifest(Buffer.from(text), 'm')).toThrow(VerificationError);
  });
});
