// The two judgements over reports: is a dump doubtful, and is a server's content what the backup holds.
import { describe, expect, test } from '@jest/globals';
import type { ArchiveReport, NamespaceReport } from '../../shared/mongodb/archive-inspector.ts';
import { compare } from '../../shared/mongodb/compare.ts';
import { doubtsOf } from '../../shared/mongodb/doubts.ts';
import { parseRenames } from '../../shared/mongodb/namespaces.ts';
import type { LiveNamespace } from '../../shared/mongodb/read-back.ts';

function namespace(name: string, documents: number, more: Partial<NamespaceReport> = {}): NamespaceReport {
  const db = name.slice(0, name.indexOf('.'));
  const collection = name.slice(db.length + 1);
  const indexes = [{ name: '_id_', keys: [['_id', 1]] as [string, number][], options: {} }];
  return {
    db,
    collection,
    type: 'collection',
    documents,
    bytes: documents * 10,
    crc64: '',
    digest: `digest-${documents}`,
    metadata: 'read',
    indexes,
    options: {},
    ...more,
  };
}

function report(...namespaces: NamespaceReport[]): ArchiveReport {
  const documents = namespaces.reduce((sum, { documents: count }) => sum + count, 0);
  return {
    archiveVersion: '0.1',
    serverVersion: '7.0',
    toolVersion: '',
    preludeSha256: '',
    gzip: false,
    namespaces,
    totals: { namespaces: namespaces.length, documents, bytes: 0 },
  };
}

function live(...namespaces: NamespaceReport[]): Map<string, LiveNamespace> {
  return new Map(namespaces.map((found) => [`${found.db}.${found.collection}`, found]));
}

describe('a dump is doubtful', () => {
  const doubts = (now: ArchiveReport, before?: ArchiveReport): string[] => doubtsOf(now, before, { maxShrinkPercent: 50 });

  test('when it holds no documents, users and roles not counted', () => {
    expect(doubts(report(namespace('admin.system.version', 1), namespace('a.b', 0)))).toEqual(['The dump holds no documents at all.']);
  });

  test('when the whole or one collection shrank beyond the limit, not before', () => {
    const before = report(namespace('a.b', 1000), namespace('a.c', 1000));
    expect(doubts(report(namespace('a.b', 500), namespace('a.c', 500)), before)).toEqual([]);
    expect(doubts(report(namespace('a.b', 1000), namespace('a.c', 400)), before)).toEqual([
      'a.c holds 400 documents, 1000 before: a loss of 60 %.',
    ]);
    expect(doubts(report(namespace('a.b', 400), namespace('a.c', 400)), before)).toHaveLength(3);
  });

  test('when collections that held documents are gone', () => {
    expect(doubts(report(namespace('a.b', 1000)), report(namespace('a.b', 1000), namespace('a.c', 3), namespace('a.d', 0)))).toEqual([
      'Gone since the last verified backup: a.c.',
    ]);
  });

  test('when metadata cannot be read, which a restore would lack', () => {
    expect(doubts(report(namespace('a.b', 5, { metadata: 'invalid' })))[0]).toContain('Options and indexes of a.b cannot be read');
  });

  test('never for a first or growing backup', () => {
    expect(doubts(report(namespace('a.b', 1)))).toEqual([]);
    expect(doubts(report(namespace('a.b', 2000), namespace('a.new', 1)), report(namespace('a.b', 1000)))).toEqual([]);
  });
});

describe('a comparison', () => {
  test('is equal when counts, digests and indexes are, under new names too', () => {
    const backup = report(namespace('a.b', 5), namespace('a.c', 0), namespace('admin.system.users', 2));
    const result = compare(backup, live(namespace('x.b', 5), namespace('x.c', 0)), { renames: parseRenames(['a=x']) });
    expect(result.verdict).toBe('equal');
    expect(result.rows.map(({ to, verdict }) => [to, verdict])).toEqual([['x.b', 'equal'], ['x.c', 'equal'], ['admin.system.users', 'not-compared']]); // prettier-ignore
  });

  const index = (name: string, options = {}): NamespaceReport['indexes'][number] => ({ name, keys: [['a', 1]], options });
  test.each([
    ['a collection is missing', namespace('a.b', 5), undefined, ['missing on the server']],
    ['documents are missing', namespace('a.b', 5), namespace('a.b', 3), ['2 documents missing']],
    ['there is one too many', namespace('a.b', 5), namespace('a.b', 6), ['1 document too many']],
    [
      'a document was changed',
      namespace('a.b', 5),
      namespace('a.b', 5, { digest: 'other' }),
      ['as many documents, but their content differs'],
    ],
    ['an index is missing', namespace('a.b', 5, { indexes: [index('i')] }), namespace('a.b', 5, { indexes: [] }), ['index i missing']],
    [
      'an index is no longer unique',
      namespace('a.b', 5, { indexes: [index('i', { unique: true })] }),
      namespace('a.b', 5, { indexes: [index('i')] }),
      ['index i differs'],
    ],
    ['a view became a collection', namespace('a.b', 0, { type: 'view' }), namespace('a.b', 0), ['is a collection, was a view']],
    [
      'a view is defined differently',
      namespace('a.b', 0, { type: 'view', options: { viewOn: 'x' } }),
      namespace('a.b', 0, { type: 'view', options: { viewOn: 'y' } }),
      ['the view is defined differently'],
    ],
  ])('is different when %s', (_name, expected, found, differences) => {
    const result = compare(report(expected), found ? live(found) : live());
    expect(result.verdict).toBe('different');
    expect(result.rows[0]?.differences).toEqual(differences);
  });

  test('knows why documents are missing that an index removes by their age, right after a restore', () => {
    const ttl = { indexes: [index('seen_1', { expireAfterSeconds: 60 })] };
    const backup = report(namespace('a.sessions', 5, ttl));
    expect(compare(backup, live(namespace('a.sessions', 3, ttl)), { mayExpire: true })).toMatchObject({
      verdict: 'equal',
      rows: [{ verdict: 'expired', notes: ['2 documents missing: the index seen_1 removes them by their age'] }],
    });
    // At any other time nobody knows what became of them; and nothing else is forgiven.
    expect(compare(backup, live(namespace('a.sessions', 3, ttl))).verdict).toBe('different');
    expect(compare(backup, live(namespace('a.sessions', 6, ttl)), { mayExpire: true }).verdict).toBe('different');
    expect(compare(backup, live(namespace('a.sessions', 3, { indexes: [] })), { mayExpire: true }).verdict).toBe('different');
  });

  test('tells whether documents are all that differs: a living database may lose some, but not turn a view into a collection', () => {
    const of = (expected: NamespaceReport, found: NamespaceReport): boolean | undefined =>
      compare(report(expected), live(found)).rows[0]?.documentsOnly;
    expect(of(namespace('a.b', 5), namespace('a.b', 6))).toBe(true);
    expect(of(namespace('a.b', 5), namespace('a.b', 6, { indexes: [] }))).toBe(true);
    expect(of(namespace('a.b', 5, { indexes: [index('i')] }), namespace('a.b', 6))).toBe(false);
    expect(of(namespace('a.b', 0, { type: 'view' }), namespace('a.b', 0))).toBe(false);
    expect(of(namespace('a.b', 5), namespace('a.b', 5))).toBe(false);
  });

  test('takes an index without a collation for what it is, whether the server says so or not', () => {
    const simple = live(namespace('a.b', 5, { indexes: [index('i', { collation: { locale: 'simple' } })] }));
    expect(compare(report(namespace('a.b', 5, { indexes: [index('i')] })), simple).verdict).toBe('equal');
  });

  test('says what a server cannot represent without calling the data different', () => {
    const result = compare(report(namespace('a.b', 5, { options: { validator: { a: 1 } } })), live(namespace('a.b', 5)));
    expect(result).toMatchObject({ verdict: 'equal', rows: [{ notes: ['the option validator is not the same on this server'] }] });
  });

  test('does not hold what the oplog changed against its digest, when it was replayed', () => {
    const backup: ArchiveReport = {
      ...report(namespace('a.b', 5)),
      oplog: { entries: 1, bytes: 1, crc64: '', digest: '', touched: ['a.b'] },
    };
    expect(compare(backup, live(namespace('a.b', 6))).rows[0]?.verdict).toBe('replayed');
    expect(compare(backup, live(namespace('a.b', 6)), { replayed: false }).rows[0]?.verdict).toBe('different');
  });

  test('takes what the oplog did besides: indexes it made, collections it dropped, but not those it only changed', () => {
    const backup: ArchiveReport = {
      ...report(namespace('a.b', 5)),
      oplog: { entries: 1, bytes: 1, crc64: '', digest: '', touched: ['a.b'] },
    };
    const indexed = live(namespace('a.b', 5, { indexes: [...namespace('a.b', 5).indexes, index('new')] }));
    expect(compare(backup, indexed).rows[0]).toMatchObject({
      verdict: 'replayed',
      notes: ['changed during the dump, as its oplog says: index new too many'],
    });
    expect(compare(backup, live(), { dropped: new Set(['a.b']) }).rows[0]?.verdict).toBe('replayed');
    expect(compare(backup, live()).rows[0]?.verdict).toBe('different');
  });

  test('of nothing is not equal', () => {
    expect(compare(report(), live()).verdict).toBe('different');
  });
});
