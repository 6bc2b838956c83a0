// Options of collections and views on their way through an archive's Extended JSON, and into the form in which servers are compared.
import { describe, expect, test } from '@jest/globals';
import { BSON } from '../../shared/mongodb/bson.ts';
import { formatMetadata, indexReports, parseMetadata, plain } from '../../shared/mongodb/collection-metadata.ts';
import { creatableIndexes } from '../../shared/mongodb/index-build.ts';
import { listedKey, mayBeDisordered, orderedKey } from '../../shared/mongodb/index-key.ts';

function throughArchive(options: BSON.Document): BSON.Document {
  const read = parseMetadata(formatMetadata({ options, indexes: [], collectionName: 'v', type: 'view' }));
  expect(read.state).toBe('read');
  return read.options;
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
});

describe('the key of an index with a number as the name of a field', () => {
  // What the server lists: the order is in the bytes, and lost in an object.
  const listed = BSON.serialize({ v: 2, key: new Map([['status', 1], ['2024', -1]]), name: 'status_2024' }); // prettier-ignore
  const disordered = BSON.deserialize(listed, { promoteValues: false });
  const index = { ...disordered, key: orderedKey(disordered['key'] as BSON.Document, listedKey(listed).fields) };
  const text = formatMetadata({ options: {}, indexes: [index], collectionName: 'c', type: 'collection' });

  test('is known as one whose order may be lost', () => {
    expect(listedKey(listed)).toEqual({ name: 'status_2024', fields: ['status', '2024'] });
    expect(mayBeDisordered(disordered['key'] as BSON.Document)).toBe(true);
    expect([{ '2024': 1 }, { status: 1, year: 1 }].map(mayBeDisordered)).toEqual([false, false]);
  });

  test('is written into an archive in its order, under its own name', () => {
    expect(text).toContain('"key":{"status":{"$numberInt":"1"},"2024":{"$numberInt":"-1"}}');
  });

  test('is read and compared in its order, from an archive and from a server', () => {
    const keys = [['status', 1], ['2024', -1]]; // prettier-ignore
    expect(indexReports(parseMetadata(text).indexes)[0]?.keys).toEqual(keys);
    expect(indexReports([index])[0]?.keys).toEqual(keys);
  });

  test('is created in its order', () => {
    const [created] = creatableIndexes(parseMetadata(text));
    expect(listedKey(BSON.serialize(created as BSON.Document)).fields).toEqual(['status', '2024']);
  });

  test('elsewhere in the options such names stay as they are', () => {
    const options = { validator: { $jsonSchema: { properties: { '2024': { bsonType: 'int' }, a: {} } } } };
    expect(throughArchive(options)).toEqual(options);
  });
});
