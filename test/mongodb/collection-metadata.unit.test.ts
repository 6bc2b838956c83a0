// Options of collections and views on their way through an archive's Extended JSON, and into the form in which servers are compared.
import { describe, expect, test } from '@jest/globals';
import { BSON } from '../../shared/mongodb/bson.ts';
import { formatMetadata, parseMetadata, plain } from '../../shared/mongodb/collection-metadata.ts';

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
