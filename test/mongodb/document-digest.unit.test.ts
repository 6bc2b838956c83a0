import { describe, expect, test } from '@jest/globals';
import { BSON } from 'mongodb';
import { createCRC64, createXXHash128 } from 'hash-wasm';
import { createDocumentDigest } from '../../shared/mongodb/document-digest.ts';
import { documentsWasm } from '../../shared/mongodb/documents.wasm.ts';

const TERMINATOR = Buffer.from([0xff, 0xff, 0xff, 0xff]);

/** A BSON document of exactly `size` bytes (13 or more): one binary value. */
function documentOf(size: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(Math.max(size - 13, 0)).map((_, index) => (index * 31 + seed * 17) & 0xff);
  return size < 13 ? BSON.serialize({}) : BSON.serialize({ b: new BSON.Binary(bytes) });
}

async function expected(documents: Uint8Array[]) {
  const hash = await createXXHash128();
  const crc = (await createCRC64('c96c5795d7870f42')).init();
  let sum = 0n;
  for (const document of documents) {
    sum = BigInt.asUintN(128, sum + BigInt(`0x${hash.init().update(document).digest()}`));
    crc.update(document);
  }
  return { digest: sum.toString(16).padStart(32, '0'), crc64: BigInt(`0x${crc.digest()}`) };
}

describe('the sums over documents', () => {
  test('agree for a document that ends where the memory of the module ends', async () => {
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(Buffer.from(documentsWasm, 'base64')), {
      env: { abort: () => undefined },
    });
    const { memory, BUFFER } = exports as { memory: WebAssembly.Memory; BUFFER: WebAssembly.Global };
    // Larger than the memory, so that it grows, and by whole pages: this must be the first test. Names are read in words of eight bytes.
    const size = memory.buffer.byteLength + 50 * 65536 - (BUFFER.value as number);
    const document = BSON.serialize({ b: new BSON.Binary(new Uint8Array(size - 16)), a: null });
    expect(document).toHaveLength(size);
    const digest = createDocumentDigest();
    digest.select('a');
    digest.walk(document, 0);
    expect(digest.finish('a')).toMatchObject({ ...(await expected([document])), documents: 1, malformed: 0 });
  });

  test('agree with an independent XXH3-128 and CRC-64/XZ for every document size from 13 to 1200 bytes', async () => {
    const documents = Array.from({ length: 1188 }, (_, index) => documentOf(index + 13, index));
    const digest = createDocumentDigest();
    digest.select('a');
    const stream = Buffer.concat(documents);
    expect(digest.walk(stream, 0)).toBe(stream.length);
    const sums = digest.finish('a');
    expect(sums).toEqual({ ...(await expected(documents)), documents: documents.length, bytes: stream.length, malformed: 0 });
  });

  test('agree for documents of 5 bytes, of 255 KiB and of 16 MiB', async () => {
    const documents = [BSON.serialize({}), documentOf(261_120, 1), documentOf(16 * 2 ** 20, 2), documentOf(20, 3)];
    const digest = createDocumentDigest();
    digest.select('a');
    const stream = Buffer.concat([...documents, TERMINATOR]);
    expect(digest.walk(stream, 0)).toBe(stream.length - 4);
    expect(digest.finish('a')).toMatchObject({ ...(await expected(documents)), documents: 4 });
  });

  test('agree for every length around the one from which the checksum is computed without tables, at the start and later on', async () => {
    const shortest = 2 * 3276;
    for (let size = shortest - 20; size < shortest + 40; size += 1) {
      const documents = [documentOf(size, size), documentOf(size + 7, 1), documentOf(50, 2)];
      const digest = createDocumentDigest();
      digest.select('a');
      for (const document of documents) digest.walk(document, 0);
      expect(digest.finish('a')).toMatchObject(await expected(documents));
    }
  });

  test('of namespaces that interleave, and of two digests at once, do not mix', async () => {
    const documents = Array.from({ length: 60 }, (_, index) => documentOf(20 + index * 7, index));
    const [one, two] = [createDocumentDigest(), createDocumentDigest()];
    for (const [index, document] of documents.entries()) {
      const digest = index % 2 === 0 ? one : two;
      digest.select(index % 3 === 0 ? 'a' : 'b');
      digest.walk(document, 0);
    }
    const pick = (parity: number, third: boolean) => documents.filter((_, index) => index % 2 === parity && (index % 3 === 0) === third);
    expect(one.finish('a')).toMatchObject(await expected(pick(0, true)));
    expect(two.finish('b')).toMatchObject(await expected(pick(1, false)));
    expect(two.finish('a')).toMatchObject(await expected(pick(1, true)));
    expect(one.finish('b')).toMatchObject(await expected(pick(0, false)));
  });

  test('of nothing are those of an empty namespace', () => {
    expect(createDocumentDigest().finish('never seen')).toEqual({
      documents: 0,
      bytes: 0,
      crc64: 0n,
      digest: '0'.repeat(32),
      malformed: 0,
    });
  });
});

describe('a document that is not BSON', () => {
  const every = BSON.serialize({
    double: 1.5,
    string: 'grüße',
    object: { nested: { deeper: [1, [2, { three: 3 }]] } },
    binary: new BSON.Binary(Buffer.from('x')),
    id: new BSON.ObjectId(),
    yes: true,
    date: new Date(0),
    none: null,
    regex: new BSON.BSONRegExp('a.b', 'i'),
    pointer: new BSON.DBRef('c', new BSON.ObjectId()),
    code: new BSON.Code('x', { scope: 1 }),
    plain: new BSON.Code('x'),
    symbol: new BSON.BSONSymbol('s'),
    int: new BSON.Int32(1),
    time: new BSON.Timestamp({ t: 1, i: 2 }),
    long: BSON.Long.fromNumber(1),
    decimal: BSON.Decimal128.fromString('1.1'),
    min: new BSON.MinKey(),
    max: new BSON.MaxKey(),
  });
  const malformed = (document: Uint8Array): number => {
    const digest = createDocumentDigest();
    digest.select('a');
    digest.walk(document, 0);
    return digest.finish('a').malformed;
  };

  test('is not reported while every type of BSON is in order', () => {
    expect(malformed(every)).toBe(0);
  });

  test.each([
    ['an unknown type', [4, 0x20]],
    ['a string that is longer than the document', [every.indexOf(0x02, 20) + 8, 0x7f]],
  ])('is counted when it holds %s', (_what, [at, value]) => {
    const broken = Uint8Array.from(every);
    broken[at as number] = value as number;
    expect(malformed(broken)).toBe(1);
  });

  test('is counted when an inner document claims a wrong length', () => {
    const broken = BSON.serialize({ inner: { a: 1 } });
    const view = new DataView(broken.buffer, broken.byteOffset);
    view.setInt32(11, view.getInt32(11, true) + 1, true);
    expect(malformed(broken)).toBe(1);
  });
});
