// Options of collections, views and indexes on their way through an archive's Extended JSON, and into the form in which servers are compared.
import { describe, expect, test } from '@jest/globals';
import { BSON } from '../../shared/mongodb/bson.ts';
import { formatMetadata, indexReports, orderedTexts, parseMetadata, plain } from '../../shared/mongodb/collection-metadata.ts';
import { orderedDocument, sendable } from '../../shared/mongodb/field-order.ts';
import { creatableIndexes } from '../../shared/mongodb/index-build.ts';

function throughArchive(options: BSON.Document): BSON.Document {
  const read = parseMetadata(formatMetadata({ options, indexes: [], collectionName: 'v', type: 'view' }));
  expect(read.state).toBe('read');
  return read.options;
}

/** The names of all fields, depth first, as they stand in the bytes. */
function namesIn(bytes: Uint8Array, start = 0): string[] {
  return [...BSON.onDemand.parseToElements(bytes, start)].flatMap(([type, nameAt, length, at]) => {
    const name = Buffer.from(bytes.subarray(nameAt, nameAt + length)).toString();
    return [name, ...(type === 3 || type === 4 ? namesIn(bytes, at) : [])];
  });
}

describe('the pipeline of a view', () => {
  const pipeline = [{ $match: { name: { $regex: '^a', $options: 'i' }, city: { $regex: 'burg$', $ne: 'Hamburg' } } }];

  test('keeps every condition beside a $regex', () => {
    expect(throughArchive({ viewOn: 'people', pipeline })).toEqual({ viewOn: 'people', pipeline });
  });

  test('keeps regular expressions as such', () => {
    const literal = { viewOn: 'people', pipeline: [{ $match: { name: new BSON.BSONRegExp('^a', 'i') } }] };
    expect(throughArchive(literal)).toEqual(literal);
  });

  test('looks the same from the archive and from the server', () => {
    expect(plain(throughArchive({ pipeline }))).toEqual(plain({ pipeline }));
  });

  test('may use names that Extended JSON has for itself', () => {
    expect(plain({ $match: { owner: { $oid: 'x' } } })).toEqual({ $match: { owner: { $oid: 'x' } } });
  });

  test('is the same with a regular expression and with the condition that stands for one', () => {
    const both = [{ $regex: '^a', $options: 'i' }, new BSON.BSONRegExp('^a', 'i')];
    const [one, other] = both.map((name) => orderedTexts({ pipeline: [{ $match: { name, a: 1 } }] }));
    expect(one).toEqual(other);
  });
});

describe('documents inside metadata', () => {
  const options = new Map<string, unknown>([
    ['viewOn', 'orders'],
    ['pipeline', [{ $sort: new Map([['total', -1], ['2024', 1]]) }, { $match: { address: new Map<string, unknown>([['zip', 'x'], ['1', new BSON.Double(2)], ['0', [new Map<string, unknown>([['b', 1], ['7', { a: 1 }]])]]]) } }]], // prettier-ignore
  ]);
  const bytes = BSON.serialize(options);
  const names = namesIn(bytes);
  const read = orderedDocument(bytes);
  const metadata = formatMetadata({ options: read, indexes: [], collectionName: 'v', type: 'view' });

  test('keep the order of their fields from the bytes of a server, through an archive, to the bytes of a command', () => {
    expect(metadata).toContain('"$sort":{"total":{"$numberInt":"-1"},"2024":{"$numberInt":"1"}}');
    const sent = BSON.serialize(sendable(parseMetadata(metadata).options) as BSON.Document);
    expect(namesIn(sent)).toEqual(names);
    expect(Buffer.from(sent)).toEqual(Buffer.from(bytes));
  });

  test('are reported with their order, the same from an archive and from a server', () => {
    const { ordered } = orderedTexts(parseMetadata(metadata).options);
    expect(ordered).toEqual(orderedTexts(read).ordered);
    expect(ordered).toEqual({
      pipeline: '[{"$sort":{"total":-1,"2024":1}},{"$match":{"address":{"zip":"x","1":2,"0":[{"b":1,"7":{"a":1}}]}}}]',
    });
    expect(plain(read)).toMatchObject({ pipeline: [{ $sort: { 2024: 1, total: -1 } }, {}] });
  });

  test('have no order to be reported where there is one field only, or where MongoDB knows none', () => {
    expect(orderedTexts({ validator: { a: { $gt: 1 } }, collation: { locale: 'de', strength: 1 }, capped: true })).toEqual({});
  });

  test('may use every type of BSON, and names like those of objects', () => {
    const every = {
      ...{
        a: new BSON.Int32(1),
        b: new BSON.Double(1),
        c: BSON.Long.fromNumber(5),
        d: new BSON.Decimal128('1.5'),
        e: null,
        f: new Date(0),
      },
      ...{
        g: new BSON.ObjectId(),
        h: new BSON.Binary(Buffer.from('x')),
        i: new BSON.BSONRegExp('a', 'i'),
        j: new BSON.Timestamp({ t: 1, i: 2 }),
      },
      ...{
        k: new BSON.MinKey(),
        l: new BSON.MaxKey(),
        m: true,
        n: 'text',
        o: new BSON.Code('f'),
        p: [1, ['x', {}]],
        ['__proto__']: 1,
        constructor: 2,
      },
    };
    const raw = BSON.serialize(every);
    expect(Buffer.from(BSON.serialize(sendable(orderedDocument(raw)) as BSON.Document))).toEqual(Buffer.from(raw));
  });
});

describe('the key of an index with a number as the name of a field', () => {
  const listed = BSON.serialize({ v: 2, key: new Map([['status', 1], ['2024', -1]]), name: 'status_2024' }); // prettier-ignore
  const index = orderedDocument(listed);
  const text = formatMetadata({ options: {}, indexes: [index], collectionName: 'c', type: 'collection' });

  test('is written into an archive in its order, under its own name', () => {
    expect(text).toContain('"key":{"status":{"$numberInt":"1"},"2024":{"$numberInt":"-1"}}');
  });

  test('is read and compared in its order, from an archive and from a server', () => {
    const keys = [['status', 1], ['2024', -1]]; // prettier-ignore
    expect(indexReports(parseMetadata(text).indexes)[0]?.keys).toEqual(keys);
    expect(indexReports([index])[0]?.keys).toEqual(keys);
  });

  test('is created in its order, and its filter, too', () => {
    const filter = orderedDocument(BSON.serialize({ address: new Map([['zip', 'x'], ['1', 'y']]) })); // prettier-ignore
    const [created] = creatableIndexes({
      options: {},
      indexes: [{ ...index, name: 'i', key: index['key'] as BSON.Document, partialFilterExpression: filter }],
    });
    expect(namesIn(BSON.serialize(created as BSON.Document))).toEqual(
      ['partialFilterExpression', 'address', 'zip', '1', 'key', 'status', '2024', 'name'], // prettier-ignore
    );
  });

  test('elsewhere in the options such names stay as they are', () => {
    const options = { validator: { $jsonSchema: { properties: { '2024': { bsonType: 'int' }, a: {} } } } };
    expect(plain(throughArchive(options))).toEqual(options);
  });
});
