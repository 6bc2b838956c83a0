// What is handed to the tools in a pod: selections they have words for, a connection string without its password, archives put together.
import { describe, expect, test } from '@jest/globals';
import { newArchiveInspector, type ArchiveReport } from '../../shared/mongodb/archive-inspector.ts';
import { withoutLogin, withoutPassword } from '../../shared/mongodb/connection-string.ts';
import { mongodumpRuns } from '../../shared/mongodb/dump-pod.ts';
import { joined, openArchive } from '../../shared/mongodb/prelude.ts';
import { UsageError } from '../../shared/step/errors.ts';
import { Secret } from '../../shared/step/input.ts';
import { buildArchive } from './archives.ts';

describe('the runs of mongodump for a selection', () => {
  test.each([
    ['everything', {}, [{}]],
    ['a database', { include: ['a'] }, [{ include: ['a'] }]],
    ['databases and collections', { include: ['a', 'b.c', 'b.d'] }, [{ include: ['a'] }, { include: ['b.c'] }, { include: ['b.d'] }]],
    ['a collection whose database is taken', { include: ['a', 'a.b', 'a'] }, [{ include: ['a'] }]],
    ['less some collections', { include: ['a', 'b'], exclude: ['b.c'] }, [{ include: ['a'] }, { include: ['b'], exclude: ['b.c'] }]],
  ])('%s', (_name, selection, runs) => {
    expect(mongodumpRuns(selection)).toEqual(runs);
  });

  test.each([[{ include: ['a*'] }], [{ exclude: ['a'] }], [{ include: ['a'], exclude: ['a.*'] }]])('%j is refused', (selection) => {
    expect(() => mongodumpRuns(selection)).toThrow(UsageError);
  });
});

describe('a connection string without its password', () => {
  test.each([
    ['mongodb://u:p%40ss@h/', 'mongodb://u@h/', 'p@ss'],
    ['mongodb://u:p@h/shop', 'mongodb://u@h/?authSource=shop', 'p'],
    ['mongodb://u:p@h/?authMechanism=SCRAM-SHA-256&tls=true', 'mongodb://u@h/?tls=true', 'p'],
    ['mongodb://h:1,h:2/?replicaSet=rs0', 'mongodb://h:1,h:2/?replicaSet=rs0', undefined],
    ['mongodb://CN%3Dx@h/?authMechanism=MONGODB-X509', 'mongodb://CN%3Dx@h/?authMechanism=MONGODB-X509', undefined],
  ])('%s', (given, uri, password) => {
    expect(withoutPassword(new Secret(given))).toEqual({ uri, password });
  });

  test.each([
    ['mongodb://u:p@h/?tlsCertificateKeyFilePassword=geheim', /tlsCertificateKeyFilePassword/],
    ['mongodb://u:p@h/?authMechanismProperties=AWS_SESSION_TOKEN:geheim', /authMechanismProperties/],
    ['mongodb://u:ge%0Aheim@h/', /control character/],
  ])('%s cannot go that way, and the secret is not told', (given, said) => {
    const parts = (): unknown => withoutPassword(new Secret(given));
    expect(parts).toThrow(UsageError);
    expect(parts).toThrow(said);
    expect(parts).not.toThrow(/geheim/);
  });

  test('for a question that needs no login has neither user nor password', () => {
    expect(withoutLogin(new Secret('mongodb://u:p@localhost:1/db?authSource=admin&tls=true'))).toBe('mongodb://localhost:1/?tls=true');
  });
});

describe('archives', () => {
  const documents = (count: number): { _id: number }[] => Array.from({ length: count }, (_, index) => ({ _id: index }));

  async function* inPieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += size) yield Buffer.from(bytes.subarray(at, at + size));
  }

  async function reportOf(stream: AsyncIterable<Uint8Array>): Promise<ArchiveReport> {
    const inspector = newArchiveInspector();
    for await (const chunk of stream) await inspector.write(chunk);
    return inspector.end();
  }

  test.each([1, 7, 64, 1000, 1_000_000])('in pieces of %i bytes pass unchanged behind their prelude', async (size) => {
    const bytes = await buildArchive([{ db: 'a', collection: 'b', documents: documents(50), perBlock: 7 }]);
    const archive = await openArchive(inPieces(bytes, size));
    expect(archive.entries.map(({ db, collection }) => `${db}.${collection}`)).toEqual(['a.b']);
    const passed: Uint8Array[] = [];
    for await (const chunk of joined([archive])) passed.push(chunk);
    expect(Buffer.concat(passed).equals(bytes)).toBe(true);
  });

  test('of several databases become one that holds them all', async () => {
    const one = await buildArchive([{ db: 'a', collection: 'x', documents: documents(5) }]);
    const two = await buildArchive([{ db: 'b', collection: 'y', documents: documents(7) }]);
    const report = await reportOf(joined([await openArchive(inPieces(one, 100)), await openArchive(inPieces(two, 100))]));
    expect(report.namespaces.map(({ db, collection, documents: count }) => [db, collection, count])).toEqual([
      ['a', 'x', 5],
      ['b', 'y', 7],
    ]);
  });

  test('of which the first is cut anywhere are refused, whatever follows', async () => {
    const one = await buildArchive([{ db: 'a', collection: 'x', documents: documents(5) }]);
    const two = await buildArchive([{ db: 'b', collection: 'y', documents: documents(7) }]);
    for (let cut = 0; cut < one.length; cut++) {
      const both = async (): Promise<ArchiveReport> =>
        reportOf(joined([await openArchive(inPieces(one.subarray(0, cut), 64)), await openArchive(inPieces(two, 64))]));
      await expect(both()).rejects.toMatchObject({ kind: 'verification' });
    }
  });
});
