// What of an archive reaches mongorestore: what was planned, users and roles apart, and what its oplog drops.
import { describe, expect, test } from '@jest/globals';
import { newArchiveInspector, type ArchiveReport } from '../../shared/mongodb/archive-inspector.ts';
import { BSON } from '../../shared/mongodb/bson.ts';
import { PlannedArchive } from '../../shared/mongodb/planned-archive.ts';
import { buildArchive } from './archives.ts';

const documents = (count: number): BSON.Document[] => Array.from({ length: count }, (_, index) => ({ _id: index }));

const archive = await buildArchive([
  { db: 'shop', collection: 'orders', documents: documents(50), perBlock: 7 },
  { db: 'admin', collection: 'system.users', documents: [{ _id: 'shop.clerk' }], perBlock: 1 },
  { db: 'shop', collection: 'customers', documents: documents(9), perBlock: 2 },
  { db: 'admin', collection: 'system.version', documents: [{ _id: 'authSchema', currentVersion: 5 }] },
  { db: 'shop', collection: 'weather', type: 'timeseries', dataCollection: 'system.buckets.weather', documents: documents(3) },
  { db: 'shop', collection: 'names', type: 'view', documents: [] },
  { db: 'config', collection: 'shards', documents: documents(2) },
  {
    db: '',
    collection: 'oplog',
    documents: [
      { op: 'i', ns: 'shop.orders', o: { _id: 51 } },
      { op: 'c', ns: 'shop.$cmd', o: { drop: 'customers' } },
      { op: 'c', ns: 'shop.$cmd', o: { drop: 'names' } },
      { op: 'c', ns: 'admin.$cmd', o: { applyOps: [{ op: 'c', ns: 'shop.$cmd', o: { create: 'names' } }] } },
    ],
  },
]);
const everything = new Set(['shop.orders', 'shop.customers', 'shop.weather', 'shop.names']);

async function* inPieces(size: number): AsyncGenerator<Uint8Array> {
  const buffer = Buffer.alloc(size);
  for (let at = 0; at < archive.length; at += size) {
    const piece = archive.subarray(at, at + size);
    // Used again for the next piece, as the readers of backups do.
    buffer.set(piece);
    yield buffer.subarray(0, piece.length);
  }
}

async function reportOf(stream: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<ArchiveReport> {
  const inspector = newArchiveInspector();
  for await (const chunk of stream) await inspector.write(Uint8Array.from(chunk));
  return inspector.end();
}

const namesOf = ({ namespaces }: ArchiveReport): string[] => namespaces.map(({ db, collection }) => `${db}.${collection}`);

describe.each([1, 13, 1000, 1_000_000])('an archive in pieces of %i bytes', (size) => {
  test('passes without users, roles and what belongs to the server', async () => {
    const parts = new PlannedArchive({ planned: everything, oplog: true });
    const passed = await reportOf(parts.data(inPieces(size)));
    const whole = await reportOf([archive]);
    const kept = whole.namespaces.filter(({ db }) => db === 'shop');
    expect(passed.namespaces).toEqual(kept);
    expect(passed.oplog).toEqual(whole.oplog);
    expect(parts.entries.map(({ collection }) => collection)).toEqual(['orders', 'customers', 'weather', 'names']);
  });

  test('has users and roles in an archive of their own', async () => {
    const parts = new PlannedArchive({ planned: everything, oplog: true });
    await reportOf(parts.data(inPieces(size)));
    const accounts = parts.accounts();
    expect(namesOf(await reportOf([accounts as Uint8Array]))).toEqual(['admin.system.users', 'admin.system.version']);
  });

  test('passes only as far as it is planned', async () => {
    const parts = new PlannedArchive({ planned: new Set(['shop.customers']), oplog: false });
    const passed = await reportOf(parts.data(inPieces(size)));
    expect([namesOf(passed), passed.oplog]).toEqual([['shop.customers'], undefined]);
    expect([...parts.dropped]).toEqual([]);
  });
});

test('what the oplog drops is told, and not what it makes anew', async () => {
  const parts = new PlannedArchive({ planned: everything, oplog: true });
  await reportOf(parts.data(inPieces(100)));
  expect([...parts.dropped]).toEqual(['shop.customers']);
});

test('an archive without users has no second one', async () => {
  const parts = new PlannedArchive({ planned: everything, oplog: false });
  await reportOf(parts.data(one(await buildArchive([{ db: 'shop', collection: 'orders', documents: [] }]))));
  expect(parts.accounts()).toBeUndefined();
});

test('a cut archive is refused', async () => {
  const parts = new PlannedArchive({ planned: everything, oplog: true });
  await expect(reportOf(parts.data(one(archive.subarray(0, archive.length - 1))))).rejects.toMatchObject({ kind: 'verification' });
});

async function* one(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
