// The archive verifier: nothing that is cut, changed or out of order passes, however the stream is split.
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { newArchiveInspector, type ArchiveReport } from '../../shared/mongodb/archive-inspector.ts';
import { encodeBlockHeader, encodeNamespaceEnd, encodePrelude } from '../../shared/mongodb/archive-writer.ts';
import { TERMINATOR } from '../../shared/mongodb/archive.ts';
import { BSON } from '../../shared/mongodb/bson.ts';
import { VerificationError } from '../../shared/step/errors.ts';
import { describeWithReference, sharedReference } from '../support/needs.ts';
import { buildArchive, rewriteArchive, testHeader } from './archives.ts';

async function inspect(...chunks: Uint8Array[]): Promise<ArchiveReport> {
  const inspector = newArchiveInspector();
  for (const chunk of chunks) {
    // The contract lets the caller reuse its buffer at once.
    const reused = Uint8Array.from(chunk);
    await inspector.write(reused);
    reused.fill(0xee);
  }
  return inspector.end();
}

async function problem(...chunks: Uint8Array[]): Promise<VerificationError> {
  try {
    await inspect(...chunks);
  } catch (thrown) {
    if (thrown instanceof VerificationError) return thrown;
    throw thrown;
  }
  throw new Error('the archive was accepted');
}

function split(bytes: Uint8Array, cuts: number[]): Uint8Array[] {
  const places = [0, ...cuts.map((cut) => cut % bytes.length).sort((a, b) => a - b), bytes.length];
  return places.slice(1).map((end, index) => bytes.subarray(places[index], end));
}

let small: Buffer;
beforeAll(async () => {
  small = await buildArchive([
    {
      db: 'chat',
      collection: 'messages',
      documents: Array.from({ length: 7 }, (_, index) => ({ _id: index, text: `grüß ${'x'.repeat(index * 5)}` })),
      indexes: [
        { v: new BSON.Int32(2), key: { _id: new BSON.Int32(1) }, name: '_id_' },
        {
          v: new BSON.Int32(2),
          key: { room: new BSON.Double(1), at: new BSON.Int32(-1) },
          name: 'room_at',
          unique: true,
          background: true,
        },
      ],
      perBlock: 3,
    },
    { db: 'chat', collection: 'empty', documents: [] },
    { db: 'admin', collection: 'system.users', documents: [{ _id: 'admin.root' }] },
    { db: 'chat', collection: 'recent', documents: [], type: 'view', indexes: [], options: { viewOn: 'messages', pipeline: [] } },
    { db: 'chat', collection: 'cpu', documents: [{ _id: 1 }], type: 'timeseries', dataCollection: 'system.buckets.cpu' },
    { db: '', collection: 'oplog', documents: [{ op: 'i' }, { op: 'd' }] },
  ]);
});

describe('a whole archive', () => {
  test('is reported by namespace, sorted by name, with counts, bytes, indexes and options', async () => {
    const report = await inspect(small);
    expect(report.namespaces.map(({ db, collection, type, documents }) => [db, collection, type, documents])).toEqual([
      ['admin', 'system.users', 'collection', 1],
      ['chat', 'cpu', 'timeseries', 1],
      ['chat', 'empty', 'collection', 0],
      ['chat', 'messages', 'collection', 7],
      ['chat', 'recent', 'view', 0],
    ]);
    expect(report.totals).toEqual({ namespaces: 5, documents: 9, bytes: report.namespaces.reduce((sum, { bytes }) => sum + bytes, 0) });
    expect(report.oplog?.entries).toBe(2);
    expect(report.namespaces[3]?.indexes).toEqual([
      { name: '_id_', keys: [['_id', 1]], options: {} },
      { name: 'room_at', keys: [['room', 1], ['at', -1]], options: { unique: true } }, // prettier-ignore
    ]);
    expect(report.namespaces[4]?.options).toEqual({ viewOn: 'messages', pipeline: [] });
    expect(report.namespaces[2]).toMatchObject({ bytes: 0, crc64: '0'.repeat(16), digest: '0'.repeat(32) });
  });

  test('gives an equal report however the stream is split', async () => {
    const whole = await inspect(small);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(), { maxLength: 40 }), async (cuts) => {
        expect(await inspect(...split(small, cuts))).toEqual(whole);
      }),
      { numRuns: 60 },
    );
    expect(await inspect(...split(small, Array.from(small.keys())))).toEqual(whole);
  });

  test('of many MiB gives an equal report when it is split at any edge of 4 MiB, or anywhere', async () => {
    const edge = 4 * 1024 * 1024;
    const documents = [
      ...Array.from({ length: 400 }, (_, index) => ({ _id: index, text: 'y'.repeat(10_000 + index) })),
      { _id: 'one that spans an edge', data: new BSON.Binary(Buffer.alloc(5 * 1024 * 1024, 7)) },
    ];
    const large = await buildArchive([
      { db: 'chat', collection: 'messages', documents, perBlock: 90 },
      { db: 'chat', collection: 'rooms', documents: documents.slice(0, 50), perBlock: 7 },
    ]);
    expect(large.length).toBeGreaterThan(2 * edge + 1);
    const whole = await inspect(large);
    for (const piece of [edge - 1, edge, edge + 1]) {
      expect(await inspect(...split(large, [piece, 2 * piece]))).toEqual(whole);
      expect(await inspect(...split(large, [1, piece, piece + 1, 2 * piece]))).toEqual(whole);
    }
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(large.length - 1), { maxLength: 200 }), async (cuts) => {
        expect(await inspect(...split(large, cuts))).toEqual(whole);
      }),
      { numRuns: 10 },
    );
  });

  test('is recognised inside gzip, split anywhere', async () => {
    const whole = await inspect(small);
    const packed = gzipSync(small);
    expect(await inspect(packed)).toEqual({ ...whole, gzip: true });
    expect(await inspect(...split(packed, Array.from(packed.keys())))).toEqual({ ...whole, gzip: true });
  });

  test('has digests that do not depend on the order of documents, nor on blocks', async () => {
    const documents = Array.from({ length: 50 }, (_, index) => ({ _id: index, value: index * 1.5 }));
    const one = await inspect(await buildArchive([{ db: 'a', collection: 'b', documents, perBlock: 7 }]));
    const two = await inspect(await buildArchive([{ db: 'a', collection: 'b', documents: documents.toReversed() }]));
    expect(two.namespaces[0]?.digest).toBe(one.namespaces[0]?.digest);
    expect(two.namespaces[0]?.crc64).not.toBe(one.namespaces[0]?.crc64);
    const doubled = await inspect(await buildArchive([{ db: 'a', collection: 'b', documents: [...documents, documents[3] as object] }]));
    expect(doubled.namespaces[0]?.digest).not.toBe(one.namespaces[0]?.digest);
  });

  test('holds documents of up to 16 MiB and not one byte more', async () => {
    const fill = 16 * 1024 * 1024 - BSON.calculateObjectSize({ _id: 1, data: '' });
    const largest = await buildArchive([{ db: 'a', collection: 'b', documents: [{ _id: 1, data: 'x'.repeat(fill) }] }]);
    const report = await inspect(...split(largest, [1000, 5_000_000, 16_000_000]));
    expect(report.totals.bytes).toBe(16 * 1024 * 1024);
    const tooLarge = await buildArchive([{ db: 'a', collection: 'b', documents: [{ _id: 1, data: 'x'.repeat(fill + 1) }] }]);
    expect((await problem(tooLarge)).message).toContain('claims a length of 16777217 bytes');
  });
});

describe('a damaged archive', () => {
  test('is refused when it is cut at any byte, plain or gzip', async () => {
    for (let length = 0; length < small.length; length++) await problem(small.subarray(0, length));
    const packed = gzipSync(small);
    for (let length = 0; length < packed.length; length += 7) await problem(packed.subarray(0, length));
  });

  test('is refused, or gives another report, when any one byte of it is changed', async () => {
    const whole = JSON.stringify(await inspect(small));
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: small.length - 1 }), fc.integer({ min: 1, max: 255 }), async (place, change) => {
        const damaged = Buffer.from(small);
        damaged[place] = (damaged[place] as number) ^ change;
        let report: string | undefined;
        try {
          report = JSON.stringify(await inspect(damaged));
        } catch (thrown) {
          if (!(thrown instanceof VerificationError)) throw thrown;
        }
        expect(report).not.toBe(whole);
      }),
      { numRuns: 2000 },
    );
  });

  test('is refused when any byte of a document is changed, naming the namespace and the offset', async () => {
    const first = small.indexOf('grüß');
    for (let place = first; place < first + 6; place++) {
      const damaged = Buffer.from(small);
      damaged[place] = (damaged[place] as number) ^ 1;
      expect((await problem(damaged)).message).toMatch(/^The archive is damaged in chat\.messages at byte \d+: the checksum/);
    }
  });

  test('names the collections that never ended', async () => {
    const cut = encodePrelude(testHeader, [
      { db: 'a', collection: 'b', metadata: '', size: 0, type: '' },
      { db: 'a', collection: 'c', metadata: '', size: 0, type: '' },
    ]);
    const ended = encodeNamespaceEnd({ db: 'a', collection: 'b' }, 0n);
    expect((await problem(cut, ended)).message).toBe(`The archive ends at byte ${cut.length + ended.length}, before the end of a.c.`);
  });

  test('is refused when its grammar is broken', async () => {
    const name = { db: 'a', collection: 'b' };
    const prelude = encodePrelude(testHeader, [{ ...name, metadata: '', size: 0, type: '' }]);
    const document = BSON.serialize({ _id: 1 });
    const end = encodeNamespaceEnd(name, 0n);
    const of = async (...pieces: Uint8Array[]): Promise<string> => (await problem(prelude, ...pieces)).message;
    expect(await of(TERMINATOR)).toContain('two terminators follow each other');
    expect(await of(encodeBlockHeader({ db: 'a', collection: 'x' }))).toContain('data of a.x, which the prelude does not name');
    expect(await of(end, encodeBlockHeader(name))).toContain('a.b at byte');
    expect(await of(end.subarray(0, -4), document)).toContain('documents follow the end');
    expect(await of(document)).toContain('cannot be read');
    expect(await of(encodeBlockHeader(name), Uint8Array.of(4, 0, 0, 0))).toContain('claims a length of 4 bytes');
    expect(await of(encodeBlockHeader(name), Uint8Array.of(5, 0, 0, 0, 1))).toContain('does not end with a zero byte');
    expect((await problem(Buffer.from('PK\x03\x04 a zip file'))).message).toContain('not a mongodump archive');
    expect((await problem()).message).toContain('empty');
  });
});

describeWithReference('fixtures/mongo-archives')('archives of real servers', () => {
  const read = (name: string): Buffer => readFileSync(`${sharedReference}fixtures/mongo-archives/${name}`);

  test('with an oplog: counts, old index options without `ns`, no type', async () => {
    const report = await inspect(read('dump-w-oplog.archive'));
    expect(report).toMatchObject({ serverVersion: '4.0.2', toolVersion: 'r4.1.3-4-gd9eefb54', archiveVersion: '0.1' });
    expect(report.namespaces.map(({ db, collection, documents }) => [db, collection, documents])).toEqual([
      ['admin', 'system.version', 1],
      ['test', 'foo', 25],
    ]);
    expect(report.namespaces[1]?.indexes).toEqual([{ name: '_id_', keys: [['_id', 1]], options: {} }]);
    expect(report.oplog?.entries).toBe(18);
  });

  test('with metadata that is not JSON: the data are verified, the metadata is marked', async () => {
    const report = await inspect(read('bad-format.archive'));
    expect(report.namespaces).toHaveLength(1);
    expect(report.namespaces[0]).toMatchObject({ db: 'test', collection: 'ixtest', documents: 0, metadata: 'invalid', indexes: [] });
  });

  test('are written again byte for byte', () => {
    for (const name of ['dump-w-oplog.archive', 'bad-format.archive']) expect(rewriteArchive(read(name)).equals(read(name))).toBe(true);
  });

  test('cut at any byte are refused', async () => {
    const archive = read('dump-w-oplog.archive');
    for (let length = 0; length < archive.length; length += 3) await problem(archive.subarray(0, length));
  });
});
