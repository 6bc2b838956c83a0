// Indexes of former years: made in today's form, and held against what was made in the same form. And what a server refuses of them.
import { describe, expect, test } from '@jest/globals';
import { MongoServerError } from 'mongodb';
import type { ArchiveReport, NamespaceReport } from '../../shared/mongodb/archive-inspector.ts';
import { BSON } from '../../shared/mongodb/bson.ts';
import { indexReports, orderedTexts, plain } from '../../shared/mongodb/collection-metadata.ts';
import { compare, type ComparisonRow } from '../../shared/mongodb/compare.ts';
import { creationOptions } from '../../shared/mongodb/create-collection.ts';
import { creatableIndexes } from '../../shared/mongodb/index-build.ts';
import { withoutRefused } from '../../shared/mongodb/refusals.ts';
import { toolMetadata } from '../../shared/mongodb/tool-metadata.ts';

type Options = NamespaceReport['options'];

function namespace(indexes: readonly BSON.Document[], more: Partial<NamespaceReport> = {}): NamespaceReport {
  const sums = { documents: 1, bytes: 10, crc64: '', digest: 'd' };
  return {
    db: 'shop',
    collection: 'users',
    type: 'collection',
    ...sums,
    metadata: 'read',
    indexes: indexReports(indexes),
    options: {},
    ...more,
  };
}

function row(expected: NamespaceReport, found: NamespaceReport): ComparisonRow {
  const report: ArchiveReport = {
    ...{ archiveVersion: '0.1', serverVersion: '7.0', toolVersion: '', preludeSha256: '', gzip: false, namespaces: [expected] },
    totals: { namespaces: 1, documents: 1, bytes: 10 },
  };
  return compare(report, new Map([['shop.users', found]])).rows[0] as ComparisonRow;
}

/** What a server lists of the indexes that the restore asks for. */
function made(indexes: { name: string; key: BSON.Document }[]): NamespaceReport {
  const asked = creatableIndexes({ indexes, options: {} }).map((index) => ({ v: new BSON.Int32(2), ...index }));
  return namespace(asked);
}

describe('an index of an old server', () => {
  test.each<[what: string, index: BSON.Document, note: RegExp | undefined]>([
    ['safe: null', { key: { a: 1 }, unique: true, background: true, safe: null }, /^index i is in today's form \(without safe\)$/],
    ['dropDups', { key: { a: 1 }, unique: true, dropDups: true }, /without dropDups/],
    ['true', { key: { a: true } }, /\(a: true as 1\)/],
    ['0', { key: { a: new BSON.Int32(0) } }, /\(a: 0 as 1\)/],
    ['an empty word', { key: { a: '' } }, /\(a: "" as 1\)/],
    ['a fraction below zero', { key: { a: new BSON.Double(-0.5), b: 1 } }, /\(a: -0\.5 as -1\)/],
    ['NaN', { key: { a: new BSON.Double(NaN) } }, /as 1\)/],
    ['null', { key: { a: null } }, /\(a: null as 1\)/],
    ['unique as a number', { key: { a: 1 }, unique: new BSON.Int32(1) }, /\(unique: 1 as true\)/],
    ['sparse: null', { key: { a: 1 }, sparse: null }, /without sparse/],
    ['a time to live that is no number', { key: { a: 1 }, expireAfterSeconds: 'never' }, /without expireAfterSeconds/],
    ['version 0, built in the background', { v: 0, key: { a: 1 }, ns: 'shop.users', background: true }, undefined],
  ])('with %s is made as meant, and equal, with a word about it', (_, index, note) => {
    const old = [{ name: 'i', ...index } as { name: string; key: BSON.Document }];
    const { verdict, notes } = row(namespace(old), made(old));
    expect(verdict).toBe('equal');
    expect(notes).toEqual(note ? [expect.stringMatching(note)] : []);
    // On the server that it came from it stands as it stood.
    expect(row(namespace(old), namespace(old))).toMatchObject({ verdict: 'equal', notes: [] });
  });

  test('is still another one when its direction or its meaning differ', () => {
    const old = { name: 'i', key: { a: new BSON.Double(-0.5) }, unique: true };
    expect(row(namespace([old]), namespace([{ name: 'i', key: { a: 1 }, unique: true }])).verdict).toBe('different');
    expect(row(namespace([old]), namespace([{ name: 'i', key: { a: -1 } }])).verdict).toBe('different');
    expect(row(namespace([{ name: 'i', key: { a: 1 } }]), namespace([{ name: 'i', key: { a: 2 } }])).verdict).toBe('different');
  });

  test('that is today the same as another is made once, and not missed', () => {
    const both = [{ name: 'first', key: { a: 1 } }, { name: 'second', key: { a: true } }]; // prettier-ignore
    expect(creatableIndexes({ indexes: both, options: {} }).map(({ name }) => name)).toEqual(['first']);
    expect(row(namespace(both), made(both))).toMatchObject({ verdict: 'equal', notes: ['index second is first today'] });
    expect(creatableIndexes({ indexes: [{ name: 'first', key: { a: 1 } }, { name: 'second', key: { a: 2 } }], options: {} })).toHaveLength(2); // prettier-ignore
  });

  test('that a server lacks an option of another product for is equal, with a word; without one of MongoDB it is not', () => {
    const vector = { name: 'i', key: { v: 'cosmosSearch' }, cosmosSearchOptions: { kind: 'vector-ivf', dimensions: 3 } };
    expect(creatableIndexes({ indexes: [vector], options: {} })[0]).toMatchObject({ cosmosSearchOptions: { kind: 'vector-ivf' } });
    expect(row(namespace([vector]), namespace([{ name: 'i', key: { v: 'cosmosSearch' } }]))).toMatchObject({
      verdict: 'equal',
      notes: ['index i has no cosmosSearchOptions on this server'],
    });
    const other = { ...vector, cosmosSearchOptions: { kind: 'vector-hnsw', dimensions: 3 } };
    expect(row(namespace([vector]), namespace([other])).verdict).toBe('different');
  });
});

describe('a difference in the order of fields', () => {
  const one = { address: { zip: 'x', city: 'y' } };
  const other = { address: { city: 'y', zip: 'x' } };
  const withOptions = (options: BSON.Document, type: NamespaceReport['type'] = 'collection'): NamespaceReport =>
    namespace([], { type, options: plain(options) as Options, ...orderedTexts(options) });

  test('of a filter is one of the index', () => {
    const index = (partialFilterExpression: BSON.Document): NamespaceReport =>
      namespace([{ name: 'i', key: { a: 1 }, partialFilterExpression }]);
    expect(row(index(one), index(one)).verdict).toBe('equal');
    expect(row(index(one), index(other)).differences).toEqual(['index i has the fields of partialFilterExpression in another order']);
  });

  test('of a view is one of the view', () => {
    const view = (sort: BSON.Document): NamespaceReport => withOptions({ viewOn: 'a', pipeline: [{ $sort: sort }] }, 'view');
    expect(row(view({ total: -1, year: 1 }), view({ year: 1, total: -1 })).differences).toEqual([
      'the fields of the view stand in another order',
    ]);
  });

  test('of a validator is said', () => {
    expect(row(withOptions({ validator: one }), withOptions({ validator: other }))).toMatchObject({
      verdict: 'equal',
      notes: ['the option validator has its fields in another order'],
    });
  });

  test('of a collation or of weights is none', () => {
    const index = (collation: BSON.Document, weights: BSON.Document): NamespaceReport =>
      namespace([{ name: 'i', key: { a: 'text' }, collation, weights }]);
    const [before, now] = [index({ locale: 'de', strength: 2 }, { a: 1, b: 2 }), index({ strength: 2, locale: 'de' }, { b: 2, a: 1 })];
    expect(row(before, now).verdict).toBe('equal');
  });

  test('is not missed in a manifest of a version that noted none', () => {
    const before = withOptions({ viewOn: 'a', pipeline: [one] }, 'view');
    delete (before as { ordered?: unknown }).ordered;
    expect(row(before, withOptions({ viewOn: 'a', pipeline: [other] }, 'view')).verdict).toBe('equal');
  });
});

describe('a command', () => {
  test('is made of what it takes: nothing of an archive replaces its own fields', () => {
    const options = {
      create: 'elsewhere',
      capped: true,
      size: 4096,
      autoIndexId: false,
      writeConcern: { w: 0 },
      insert: 'x',
      ['__proto__']: 1,
    };
    expect(creationOptions(options)).toEqual({ taken: { capped: true, size: 4096 }, unknown: ['writeConcern', 'insert', '__proto__'] });
    expect(creationOptions({ create: 'v', viewOn: 'a', pipeline: [], capped: true }, 'view').taken).toEqual({ viewOn: 'a', pipeline: [] });
  });

  test('of mongorestore is given the same', async () => {
    const metadata = '{"options":{"create":"orders","capped":true,"size":4096,"odd":1},"indexes":[{"v":1,"key":{"_id":1},"name":"_id_","ns":"shop.orders"},{"v":1,"key":{"a":true},"name":"a","safe":null,"vectorOptions":{}}]}'; // prettier-ignore
    const { text, notes } = await toolMetadata({ db: 'shop', collection: 'orders', metadata, size: 0, type: '' });
    expect(JSON.parse(text ?? '')).toMatchObject({
      options: { capped: true, size: { $numberInt: '4096' } },
      indexes: [{ name: '_id_' }, { name: 'a', key: { a: { $numberInt: '1' } } }],
    });
    expect(text).not.toMatch(/create|odd|safe|vectorOptions/);
    expect(notes).toEqual([
      'shop.orders: left out what no server takes as an option (odd).',
      'shop.orders: its index a is made without vectorOptions, which MongoDB does not know.',
    ]);
    const today = '{"options":{"capped":true},"indexes":[{"v":{"$numberInt":"2"},"key":{"_id":{"$numberInt":"1"}},"name":"_id_"}]}';
    await expect(toolMetadata({ db: 'shop', collection: 'orders', metadata: today, size: 0, type: '' })).resolves.toEqual({
      text: undefined,
      notes: [],
    });
  });
});

describe('of the options that a server refuses', () => {
  const server = (refused: readonly string[], words: (name: string) => string) => {
    const tried: string[][] = [];
    const all = ['a', 'b', 'c'];
    const attempt = (without: ReadonlySet<string>): Promise<void> => {
      const sent = all.filter((name) => !without.has(name));
      tried.push(sent);
      const bad = sent.find((name) => refused.includes(name));
      return bad === undefined ? Promise.resolve() : Promise.reject(new MongoServerError({ message: words(bad) }));
    };
    return { tried, ask: () => withoutRefused(all, attempt) };
  };

  test.each<[string, string[], string[] | undefined]>([
    ['none', [], undefined],
    ['one', ['b'], ['b']],
    ['two', ['a', 'c'], ['a', 'c']],
    ['all', ['a', 'b', 'c'], ['a', 'b', 'c']],
  ])('%s is left out alone, whether the server names it or not', async (_, refused, out) => {
    for (const words of [(name: string) => `BSON field 'create.${name}' is an unknown field.`, () => 'not implemented']) {
      expect((await server(refused, words).ask())?.names).toEqual(out);
    }
  });

  test('one that is quoted is not looked for', async () => {
    const { tried, ask } = server(['b'], (name) => `The field '${name}' is not valid for an index specification.`);
    await ask();
    expect(tried).toEqual([
      ['a', 'b', 'c'],
      ['a', 'c'],
    ]);
  });

  test('what is refused without any of them, too, is told by its first words', async () => {
    const attempt = (): Promise<void> => Promise.reject(new MongoServerError({ message: 'E11000 duplicate key' }));
    await expect(withoutRefused(['a'], attempt)).rejects.toThrow('E11000 duplicate key');
  });
});
