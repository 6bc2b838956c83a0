// Old backups, made by the real openssl and tar, read back as archives.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { pack } from 'tar-stream';
import { newArchiveInspector, type ArchiveReport } from '../../shared/mongodb/archive-inspector.ts';
import { BSON } from '../../shared/mongodb/bson.ts';
import { openLegacyBackup } from '../../shared/mongodb/legacy/import.ts';
import { UserError, VerificationError } from '../../shared/step/errors.ts';
import { Secret } from '../../shared/step/input.ts';
import { buildArchive, type ArchiveCollection } from './archives.ts';
import { openssl, tar, writeDumpFolder } from './legacy-files.ts';

const PASSPHRASE = 'correct horse battery staple';
const orders = Array.from({ length: 3000 }, (_, index) => ({ _id: index, text: `order ${index} `.repeat(20) }));
const collections: ArchiveCollection[] = [
  { db: 'shop', collection: 'orders', documents: orders },
  { db: 'shop', collection: 'odd/name %', documents: [{ _id: 1 }] },
  { db: 'shop', collection: 'empty', documents: [] },
  { db: 'users', collection: 'people', documents: [{ _id: 'a' }, { _id: 'b' }] },
];
const plainCollections = collections.map(({ db, collection, documents }) => ({ db, collection, documents }));

let folder: string;
let archive: Buffer;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'lifeboat-legacy-'));
  archive = await buildArchive(collections);
  writeDumpFolder(join(folder, 'dump'), plainCollections);
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

async function read(path: string, options: { passphrase?: string; iterations?: number } = {}) {
  const { passphrase, iterations = 10_000 } = options;
  const old = await openLegacyBackup(path, { iterations, ...(passphrase === undefined ? {} : { passphrase: new Secret(passphrase) }) });
  const inspector = newArchiveInspector();
  for await (const chunk of old.source.bytes) await inspector.write(chunk);
  return { old, report: await inspector.end() };
}

/** Counts and digests by name: equal for equal documents, whatever the order. */
function content({ namespaces }: ArchiveReport): unknown {
  return namespaces.map(({ db, collection, documents, digest, indexes }) => ({ name: `${db}.${collection}`, documents, digest, indexes }));
}

async function expected(): Promise<unknown> {
  const inspector = newArchiveInspector();
  await inspector.write(archive);
  return content(await inspector.end());
}

function file(name: string, bytes: Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

describe('an archive', () => {
  test.each([
    ['-pbkdf2', ['-pbkdf2'], '-pbkdf2 -md sha256 -iter 10000'],
    ['-pbkdf2 -iter 3000', ['-pbkdf2', '-iter', '3000'], '-pbkdf2 -md sha256 -iter 3000'],
    ['-pbkdf2 -md sha512', ['-pbkdf2', '-md', 'sha512'], '-pbkdf2 -md sha512 -iter 10000'],
    ['the default of openssl 1.0, -md md5', ['-md', 'md5'], '-md md5'],
    ['the default of openssl 1.1, -md sha256', ['-md', 'sha256'], '-md sha256'],
  ])('encrypted with %s is read', async (title, args, layer) => {
    const packed = file(`${title.replaceAll(/\W+/g, '-')}.archive.gz`, gzipSync(archive));
    const iterations = args.includes('3000') ? 3000 : 10_000;
    const { old, report } = await read(openssl(packed, PASSPHRASE, args), { passphrase: PASSPHRASE, iterations });
    expect(content(report)).toEqual(await expected());
    expect(old.file.layers).toEqual([`openssl enc -aes-256-cbc ${layer}`, 'gzip', 'mongodump archive']);
    expect(old.file.sha256).toMatch(/^[0-9a-f]{64}$/);
  });

  test('is read plain, as gzip, and encrypted without gzip', async () => {
    const plain = file('plain.archive', archive);
    for (const path of [plain, file('packed.archive.gz', gzipSync(archive)), openssl(plain, PASSPHRASE, ['-pbkdf2'])]) {
      expect(content((await read(path, { passphrase: PASSPHRASE })).report)).toEqual(await expected());
    }
  });
});

test.each([
  ['secret\r\n', 'secret', 'the passphrase with a carriage return at its end'],
  ['secret\r\n', 'secret\r', undefined],
  ['secret\n', 'secret\r', 'the passphrase without the carriage return at its end'],
  ['secret\nsecond line\n', 'secret\nsecond line', 'the first line of the passphrase'],
  ['secret', 'secret', undefined],
])('a passphrase file of %j opens what openssl encrypted with it, given as %j', async (content, given, how) => {
  const [plain, pass] = [file('pass.archive', archive), file('pass.txt', Buffer.from(content))];
  const args = ['enc', '-aes-256-cbc', '-salt', '-pbkdf2', '-in', plain, '-out', `${plain}.enc`, '-pass', `file:${pass}`];
  execFileSync('openssl', args, { stdio: 'pipe' });
  const { old } = await read(`${plain}.enc`, { passphrase: given });
  const openssl = 'openssl enc -aes-256-cbc -pbkdf2 -md sha256 -iter 10000';
  expect(old.file.layers[0]).toBe(how === undefined ? openssl : `${openssl} (${how})`);
});

describe('a tar.gz of a dump folder', () => {
  test.each([
    ['the folder', ['-C', '.', 'dump']],
    ['what is in the folder', ['-C', 'dump', '.']],
    ['the databases', ['-C', 'dump', 'users', 'shop', 'prelude.json']],
  ])('with %s in it is read', async (title, args) => {
    const inFolder = args.map((arg, index) => (index === 1 ? join(folder, arg) : arg));
    const path = tar(join(folder, `${title.replaceAll(' ', '-')}.tar.gz`), inFolder);
    const { old, report } = await read(openssl(path, PASSPHRASE, ['-pbkdf2']), { passphrase: PASSPHRASE });
    expect(content(report)).toEqual(await expected());
    expect(report.serverVersion).toBe('7.0.2');
    expect(old.ignored).toEqual([]);
  });

  test('of a server whose indexes are in system.indexes only has them, and says what it cannot bring back', async () => {
    const dump = join(folder, 'ancient', 'shop');
    mkdirSync(dump, { recursive: true });
    const write = (name: string, documents: (BSON.Document | Map<string, unknown>)[]): void => {
      writeFileSync(join(dump, `${name}.bson`), Buffer.concat(documents.map((document) => BSON.serialize(document))));
    };
    write('orders', [{ _id: 1 }]);
    write('customers', [{ _id: 1 }]);
    write('system.indexes', [
      { name: '_id_', ns: 'shop.orders', key: { _id: 1 } },
      { v: 1, name: 'by_number', ns: 'shop.orders', key: new Map([['number', 1], ['2024', -1]]), unique: true, dropDups: true }, // prettier-ignore
      { name: '_id_', ns: 'shop.gone', key: { _id: 1 } },
    ]);
    write('system.users', [{ _id: 1, user: 'clerk', readOnly: false, pwd: 'd2a' }]);
    writeFileSync(join(dump, 'customers.metadata.json'), '{"indexes":[{"name":"own","ns":"shop.customers","key":{"a":1}}]}');
    const { old, report } = await read(tar(join(folder, 'ancient.tar.gz'), ['-C', folder, 'ancient']));
    expect(report.namespaces.find(({ collection }) => collection === 'orders')).toMatchObject({
      metadata: 'read',
      indexes: [
        { name: '_id_', keys: [['_id', 1]] },
        { name: 'by_number', keys: [['number', 1], ['2024', -1]], options: { unique: true, dropDups: true } }, // prettier-ignore
      ],
    });
    expect(report.namespaces.find(({ collection }) => collection === 'customers')?.indexes).toMatchObject([{ name: 'own' }]);
    expect(old.lost).toEqual([
      expect.stringMatching(/^an index of .*shop\/gone, a collection that the dump does not have/),
      expect.stringMatching(/shop\/system\.users\.bson holds users of MongoDB 2\.4 or older \(clerk\), .*create them anew/),
    ]);
  });

  test.each([
    ['16 KiB more than a document in its oplog', 'oplog.bson', 16 * 1024, true],
    ['one byte more than that in its oplog', 'oplog.bson', 16 * 1024 + 1, false],
    ['16 KiB more than a document in local.oplog.rs', 'local/oplog.rs.bson', 16 * 1024, true],
    ['a byte too many in a collection', 'shop/orders.bson', 1, false],
  ])('with %s', async (title, name, more, good) => {
    const frame = BSON.serialize({ op: 'i', ns: 'shop.big', o: '' }).length;
    const entry = BSON.serialize({ op: 'i', ns: 'shop.big', o: 'x'.repeat(16 * 1024 * 1024 + more - frame) });
    const dump = join(folder, title.replaceAll(' ', '-'));
    mkdirSync(join(dump, 'shop'), { recursive: true });
    mkdirSync(join(dump, 'local'), { recursive: true });
    writeFileSync(join(dump, 'shop', 'orders.bson'), BSON.serialize({ _id: 1 }));
    writeFileSync(join(dump, name), entry);
    const reading = read(tar(`${dump}.tar.gz`, ['-C', dump, '.']));
    if (!good) await expect(reading).rejects.toThrow(/claims a length of \d+ bytes \(possible are 5 to \d+\)/);
    else if (name === 'oplog.bson') expect((await reading).report.oplog).toMatchObject({ entries: 1, touched: ['shop.big'] });
    else expect((await reading).report.namespaces.find(({ db }) => db === 'local')).toMatchObject({ documents: 1 });
  });

  test('without a word about the server gets a version that mongorestore can read', async () => {
    const { report } = await read(tar(join(folder, 'no-prelude.tar.gz'), ['-C', join(folder, 'dump'), 'users']));
    expect(report.serverVersion).toBe('0.0.0');
  });

  test('keeps a time series of 8.3, which has no bucket collection', async () => {
    writeDumpFolder(join(folder, 'series'), [
      { db: 'shop', collection: 'weather', documents: [{ _id: 7 }], options: { timeseries: { timeField: 't' } } },
    ]);
    const { report } = await read(tar(join(folder, 'series.tar.gz'), ['-C', folder, 'series']));
    expect(report.namespaces).toMatchObject([{ collection: 'weather', type: 'timeseries', documents: 1 }]);
  });

  test('is read when mongodump packed each file (--gzip)', async () => {
    writeDumpFolder(join(folder, 'packed'), plainCollections, { gzip: true });
    const { report } = await read(tar(join(folder, 'each.tar.gz'), ['-C', folder, 'packed']));
    expect(content(report)).toEqual(await expected());
  });

  test('keeps views, time series and the oplog for what they are', async () => {
    const dump = join(folder, 'kinds');
    writeDumpFolder(dump, [
      { db: 'shop', collection: 'orders', documents: [{ _id: 1 }] },
      { db: 'shop', collection: 'open', documents: [], type: 'view', options: { viewOn: 'orders', pipeline: [] }, indexes: [] },
      { db: 'shop', collection: 'weather', documents: [], type: 'view', options: { timeseries: { timeField: 't' } } },
      { db: 'shop', collection: 'system.buckets.weather', documents: [{ _id: 7 }] },
    ]);
    writeDumpFolder(join(folder, 'oplog'), [
      { db: '.', collection: 'oplog', documents: [{ _id: 9, op: 'i', ns: 'shop.orders', o: { _id: 1 } }] },
    ]);
    execFileSync('cp', [join(folder, 'oplog', 'oplog.bson'), dump]);
    const { report } = await read(tar(join(folder, 'kinds.tar.gz'), ['-C', folder, 'kinds']));
    expect(report.namespaces.map(({ collection, type, documents }) => [collection, type, documents])).toEqual([
      ['open', 'view', 0],
      ['orders', 'collection', 1],
      ['weather', 'timeseries', 1],
    ]);
    expect(report.oplog).toMatchObject({ entries: 1, touched: ['shop.orders'] });
  });

  test('names what is no part of a dump', async () => {
    const dump = join(folder, 'more');
    writeDumpFolder(dump, [{ db: 'shop', collection: 'orders', documents: [{ _id: 1 }] }]);
    writeFileSync(join(dump, 'README.txt'), 'made by cron');
    const { old } = await read(tar(join(folder, 'more.tar.gz'), ['-C', folder, 'more']));
    expect(old.ignored).toEqual(['more/README.txt']);
  });

  test('is refused when a name leads out of it, or a link is in it', async () => {
    const evil = pack();
    evil.entry({ name: 'dump/../../shop/orders.bson' }, 'x');
    evil.finalize();
    const parts: Uint8Array[] = [];
    for await (const chunk of evil) parts.push(chunk as Uint8Array);
    await expect(read(file('evil.tar', Buffer.concat(parts)))).rejects.toThrow(/leads out of its folder/);
    mkdirSync(join(folder, 'linked', 'shop'), { recursive: true });
    symlinkSync('/etc/passwd', join(folder, 'linked', 'shop', 'orders.bson'));
    await expect(read(tar(join(folder, 'linked.tar.gz'), ['-C', folder, 'linked']))).rejects.toThrow(/which is a symlink/);
  });

  test('is refused without a single .bson file', async () => {
    mkdirSync(join(folder, 'logs'), { recursive: true });
    writeFileSync(join(folder, 'logs', 'a.log'), 'a');
    await expect(read(tar(join(folder, 'logs.tar.gz'), ['-C', folder, 'logs']))).rejects.toThrow(/no \.bson file/);
  });
});

describe('what is wrong with a file is said', () => {
  test('a wrong or missing passphrase', async () => {
    const path = openssl(file('secret.archive', archive), PASSPHRASE, ['-pbkdf2']);
    const wrong = read(path, { passphrase: 'wrong' });
    await expect(wrong).rejects.toThrow(UserError);
    await expect(wrong).rejects.toThrow(/passphrase does not open the file/);
    await expect(read(path, { passphrase: PASSPHRASE, iterations: 9_999 })).rejects.toThrow(/passphrase does not open/);
    await expect(read(path)).rejects.toThrow(/is encrypted with openssl/);
  });

  test('a file that was cut off, at any layer', async () => {
    const cases: [string, string][] = [
      ['whole blocks of openssl', openssl(file('cut1.archive', archive), PASSPHRASE, ['-pbkdf2'])],
      ['openssl', openssl(file('cut2.archive', archive), PASSPHRASE, ['-pbkdf2'])],
      ['gzip', file('cut3.archive.gz', gzipSync(archive))],
      ['an archive', file('cut4.archive', archive)],
      ['a tar', tar(join(folder, 'cut5.tar.gz'), ['-C', folder, 'dump'])],
    ];
    for (const [title, path] of cases) {
      const { length } = readFileSync(path);
      truncateSync(path, title === 'openssl' ? Math.floor(length / 32) * 16 + 5 : Math.floor(length / 32) * 16);
      await expect(read(path, { passphrase: PASSPHRASE })).rejects.toThrow(VerificationError);
    }
  });

  test('a .bson that ends in the middle of a document', async () => {
    const dump = join(folder, 'half');
    writeDumpFolder(dump, [{ db: 'shop', collection: 'orders', documents: orders }]);
    const bson = join(dump, 'shop', 'orders.bson');
    truncateSync(bson, readFileSync(bson).length - 3);
    await expect(read(tar(join(folder, 'half.tar.gz'), ['-C', folder, 'half']))).rejects.toThrow(
      /half\/shop\/orders\.bson ends in the middle of a document, at byte \d+/,
    );
  });

  test('something else altogether', async () => {
    await expect(read(file('a.txt', Buffer.from('hello')))).rejects.toThrow(/not a backup that can be imported/);
    await expect(read(file('b.zip', Buffer.from('PK\x03\x04')))).rejects.toThrow(/it is a zip/);
    await expect(read(file('c.enc', Buffer.from('U2FsdGVkX19abcdef')))).rejects.toThrow(/base64/);
    await expect(read(file('empty', Buffer.alloc(0)))).rejects.toThrow(/is empty/);
    await expect(read(file('empty.gz', gzipSync(Buffer.alloc(0))))).rejects.toThrow(/holds nothing/);
    await expect(read(join(folder, 'nope'))).rejects.toThrow(/cannot be read/);
  });
});
