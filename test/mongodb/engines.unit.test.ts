// What the engines are told and how their words are understood: argument lists, output lines, connection strings, names.
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { describe, expect, test } from '@jest/globals';
import { MongoInvalidArgumentError, MongoServerClosedError, MongoServerError, type Document } from 'mongodb';
import { redactUri, refuseUnescapedLogin, singleHostUri, toolUri } from '../../shared/mongodb/connection-string.ts';
import { connectMongo, explainMongoError } from '../../shared/mongodb/connect.ts';
import { dumpArguments, selectionArguments } from '../../shared/mongodb/dump-tools.ts';
import { creatableIndexes } from '../../shared/mongodb/index-build.ts';
import { merge, type Put } from '../../shared/mongodb/merge.ts';
import { compileSelection, isInternal, parseRenames, renamed } from '../../shared/mongodb/namespaces.ts';
import { insertOptions } from '../../shared/mongodb/restore-driver.ts';
import { restoreArguments } from '../../shared/mongodb/restore-tools.ts';
import { parseToolLine, toolFailure } from '../../shared/mongodb/tool-output.ts';
import { BSON } from '../../shared/mongodb/bson.ts';
import { Secret } from '../../shared/step/input.ts';
import { UsageError, UserError } from '../../shared/step/errors.ts';

describe('mongodump', () => {
  test.each([
    ['everything', {}, []],
    ['one database', { include: ['shop'] }, ['--db=shop']],
    ['one collection, dots in its name', { include: ['shop.a.b'] }, ['--db=shop', '--collection=a.b']],
    [
      'a database without some collections',
      { include: ['shop'], exclude: ['shop.x', 'shop.y'] },
      ['--db=shop', '--excludeCollection=x', '--excludeCollection=y'],
    ],
    ['two databases: cannot', { include: ['a', 'b'] }, undefined],
    ['wildcards: cannot', { include: ['a*'] }, undefined],
    ['all but one: cannot', { exclude: ['a'] }, undefined],
    ['a collection less something: cannot', { include: ['a.b'], exclude: ['a.b'] }, undefined],
  ])('takes a selection of %s', (_name, selection, expected) => {
    expect(selectionArguments(selection)).toEqual(expected);
  });

  test('takes the oplog when asked, and one selection at a time', () => {
    expect(dumpArguments({ oplog: true })).toEqual(['--archive', '--oplog']);
    expect(() => dumpArguments({ oplog: false, include: ['a', 'b'] })).toThrow(UsageError);
  });
});

describe('mongorestore', () => {
  test.each([
    [{}, ['--noIndexRestore']],
    [{ replace: true, oplog: true, indexes: true }, ['--drop', '--oplogReplay']],
    [
      { renames: parseRenames(['c.d=x.d', 'c=y']) },
      // mongorestore takes the last one that fits.
      ['--noIndexRestore', '--nsFrom=c.*', '--nsTo=y.*', '--nsFrom=c.d', '--nsTo=x.d'],
    ],
    [{ renames: parseRenames(['a=b', 'c.d=c.e']) }, ['--noIndexRestore', '--nsFrom=a.*', '--nsTo=b.*', '--nsFrom=c.d', '--nsTo=c.e']],
  ])('gets the arguments of %j', (options, expected) => {
    expect(restoreArguments(options)).toEqual(['--archive', ...expected]);
  });
});

describe('what the tools print', () => {
  const stamp = '2024-12-01T12:00:00.000+0000\t';
  test.each([
    ['done dumping chat.users (3 documents)', { kind: 'dumped', namespace: 'chat.users', documents: 3 }],
    ['done dumping `chat.users` (1 document)', { kind: 'dumped', namespace: 'chat.users', documents: 1 }],
    [
      'finished restoring chat.users (0 documents, 20000 failures)',
      { kind: 'restored', namespace: 'chat.users', documents: 0, failures: 20000 },
    ],
    [
      'finished restoring `chat.my users` (5 documents, 1 failure)',
      { kind: 'restored', namespace: 'chat.my users', documents: 5, failures: 1 },
    ],
    ['7 document(s) restored successfully. 2 document(s) failed to restore.', { kind: 'summary', documents: 7, failures: 2 }],
    ['[######..................]  chat.users  500/2000  (25.0%)', { kind: 'progress', namespace: 'chat.users', done: 500, total: 2000 }],
    ['Failed: error connecting', { kind: 'failed', text: 'error connecting' }],
    [
      'namespace with DB nope and collection x does not exist',
      { kind: 'missing', text: 'namespace with DB nope and collection x does not exist' },
    ],
    ['reading archive from stdin', { kind: 'other', text: 'reading archive from stdin' }],
  ])('"%s" is understood', (line, expected) => {
    expect(parseToolLine(stamp + line)).toEqual(expected);
    expect(parseToolLine(line)).toEqual(expected);
  });

  test('failures carry the last words and what to do', () => {
    const overflow = toolFailure(
      { label: 'mongodump' },
      'ended with exit code 1',
      'oplog overflow: mongodump was unable to capture all new oplog entries during execution',
    );
    expect(overflow.message).toBe(
      'mongodump ended with exit code 1: oplog overflow: mongodump was unable to capture all new oplog entries during execution.',
    );
    expect(overflow.fix).toContain('oplog is too small');
    const refused = "error creating collection orders: error running create command: BSON field 'create.capped' is an unknown field";
    expect(toolFailure({ label: 'mongorestore' }, 'ended with exit code 1', refused).fix).toContain('Set engine to driver');
    expect(toolFailure({ label: 'mongodump' }, 'ended', undefined).message).toBe('mongodump ended: it printed nothing.');
  });
});

describe('connection strings', () => {
  test('for the tools keep the login database but dump every database', () => {
    expect(toolUri(new Secret('mongodb://u:p@h/rocketchat'))).toBe('mongodb://u:p@h/?authSource=rocketchat');
    expect(toolUri(new Secret('mongodb://u:p@h/rocketchat?authSource=admin'))).toBe('mongodb://u:p@h/?authSource=admin');
    expect(toolUri(new Secret('mongodb://h:1,i:2/?replicaSet=rs'))).toBe('mongodb://h:1,i:2/?replicaSet=rs');
  });

  test('for one member lose everything that would look for others', () => {
    expect(singleHostUri(new Secret('mongodb+srv://u:p@c.example.net/?readPreference=secondary&replicaSet=r'), 'a:27017')).toBe(
      'mongodb://u:p@a:27017/?tls=true&authSource=admin&directConnection=true',
    );
  });

  test('may spell their options in any case', () => {
    expect(toolUri(new Secret('mongodb://u:p@h/shop?authsource=admin'))).toBe('mongodb://u:p@h/?authsource=admin');
    expect(singleHostUri(new Secret('mongodb://h,i/?replicaset=r&READPREFERENCE=secondary&maxStalenessSeconds=90'), 'i')).toBe(
      'mongodb://i/?directConnection=true',
    );
  });

  test('with an @ in the password are refused before its rest is taken for a host', () => {
    const refused = (): void => {
      refuseUnescapedLogin(new Secret('mongodb://root:se@cret@h:27017/'));
    };
    expect(refused).toThrow(UsageError);
    expect(refused).not.toThrow(/cret/);
    refuseUnescapedLogin(new Secret('mongodb://root:se%40cret@h:27017/?x=a@b'));
  });

  test('are taken out of texts, as written and decoded', () => {
    const uri = new Secret('mongodb://root:p%40ss@h/');
    expect(redactUri('cannot use mongodb://root:p%40ss@h/ nor p@ss', uri)).toBe('cannot use *** nor ***');
  });

  test.each(['no connection string', 'mongodb://u:geheim', 'mongodb://u:ge#heim@h/', 'http://u:geheim@h'])(
    '%s is left to the driver to refuse, and told by no error of ours',
    (text) => {
      expect(toolUri(new Secret(text))).toMatch(/geheim|no connection|ge.*heim/);
      expect(redactUri(`cannot use ${text}`, new Secret(text))).toBe('cannot use ***');
    },
  );

  test('keep what is percent-encoded, hosts of any form, and several of them', () => {
    const socket = 'mongodb://u%3A:p%2F%C3%BC@%2Ftmp%2Fmongodb-27017.sock,[::1]:27018/?tls=false';
    expect(toolUri(new Secret(socket))).toBe(socket);
    expect(redactUri('u%3A:p%2F%C3%BC and p/ü', new Secret(socket))).toBe('*** and ***');
    expect(singleHostUri(new Secret('mongodb://u:p^=;$&@a,b/shop'), 'b:1')).toBe('mongodb://u:p%5E%3D%3B$&@b:1/shop?directConnection=true');
  });
});

describe('a server that speaks no TLS', () => {
  test.each<[string, (socket: Socket) => void]>([
    ['closes the connection', (socket) => void socket.once('data', () => socket.destroy())],
    ['answers in the clear', (socket) => void socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))],
  ])('and %s is told as such where the connection string asks for TLS', async (_, answer) => {
    const server = createServer((socket) => {
      answer(socket.on('error', () => undefined));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const uri = new Secret(`mongodb://127.0.0.1:${port}/?tls=true&serverSelectionTimeoutMS=300`);
    const failure = (await connectMongo(uri).catch((thrown: unknown) => thrown)) as UserError;
    expect(failure.message).toMatch(/^MongoDB cannot be reached/);
    expect(failure.fix).toMatch(/Or the server speaks no TLS: then leave tls=true out\.$/);
    server.close();
  });
});

describe('an error of the driver', () => {
  const uri = new Secret('mongodb://u:p@h/');

  test('is blamed on the connection string only when it is about that', () => {
    expect(explainMongoError(new MongoInvalidArgumentError('bad option'), uri)).toBeInstanceOf(UsageError);
    // A member that leaves the replica set in the middle of a dump.
    const closed = explainMongoError(new MongoServerClosedError('Server is closed'), uri, 'The dump failed');
    expect(closed).toBeInstanceOf(UserError);
    expect(closed).not.toBeInstanceOf(UsageError);
    expect(closed.message).toBe('The dump failed: Server is closed.');
  });

  test('that a change of primary in mid-dump causes says so', () => {
    const lost = explainMongoError(new MongoServerError({ code: 43, message: 'cursor id 5 not found' }), uri, 'The dump failed');
    expect(lost).toMatchObject({
      message: 'The dump failed: cursor id 5 not found.',
      fix: expect.stringMatching(/^Run again: .*its role/),
    });
  });
});

describe('names', () => {
  test('are selected by database, collection and wildcard', () => {
    const selector = compileSelection({ include: ['shop', 'chat.mess*'], exclude: ['shop.tmp*'] });
    const match = (db: string, collection: string): boolean => selector.matches({ db, collection });
    expect([match('shop', 'a'), match('shop', 'tmp1'), match('chat', 'messages'), match('chat', 'users'), match('shopx', 'a')]).toEqual([
      true,
      false,
      true,
      false,
      false,
    ]);
    expect(selector.unmatched([{ db: 'shop', collection: 'a' }])).toEqual(['chat.mess*']);
  });

  test('are renamed by collection first, then by database', () => {
    const renames = parseRenames(['a=b', 'a.x=c.y']);
    expect(renamed({ db: 'a', collection: 'x' }, renames)).toEqual({ db: 'c', collection: 'y' });
    expect(renamed({ db: 'a', collection: 'z' }, renames)).toEqual({ db: 'b', collection: 'z' });
    expect(renamed({ db: 'q', collection: 'x' }, renames)).toEqual({ db: 'q', collection: 'x' });
    for (const bad of ['a', 'a=', 'a=b.c', 'a.b=c', '=b']) expect(() => parseRenames([bad])).toThrow(UsageError);
    expect(() => parseRenames(['a=b', 'a=c'])).toThrow('a is given two new names.');
  });

  test('of the server itself are left out as mongodump leaves them out', () => {
    const internal = (db: string, collection: string): boolean => isInternal({ db, collection });
    expect([
      internal('local', 'oplog.rs'),
      internal('config', 'x'),
      internal('a', 'system.profile'),
      internal('a', 'system.views'),
      internal('admin', 'system.keys'),
      // Of mongodump --dumpDbUsersAndRoles.
      internal('shop', '$admin.system.users'),
    ]).toEqual(Array(6).fill(true));
    expect([
      internal('admin', 'system.users'),
      internal('a', 'system.js'),
      internal('a', 'system.buckets.t'),
      internal('a', 'systems'),
    ]).toEqual(Array(4).fill(false));
  });
});

describe('old indexes', () => {
  test('are made acceptable to servers of today', () => {
    expect(
      creatableIndexes({
        options: {},
        indexes: [
          { name: '_id_', key: { _id: 1 } },
          {
            v: 1,
            ns: 'a.b',
            background: true,
            safe: null,
            dropDups: true,
            unique: true,
            name: 'old',
            key: { a: true, b: '', c: -1, d: 'text', e: new BSON.Double(2) },
          },
        ],
      }),
    ).toEqual([{ unique: true, name: 'old', key: { a: 1, b: 1, c: -1, d: 'text', e: new BSON.Double(2) } }]);
  });
});

describe('indexes of a collection with a collation', () => {
  test('keep having none where they had none: the server would give them that of the collection', () => {
    const german = { locale: 'de', strength: 2 };
    const indexes = [
      { name: 'exact', key: { a: 1 }, unique: true },
      { name: 'loose', key: { b: 1 }, collation: german },
    ];
    expect(
      creatableIndexes({ options: { collation: german }, indexes }).map(({ name, collation }) => [name, collation as unknown]),
    ).toEqual([
      ['exact', { locale: 'simple' }],
      ['loose', german],
    ]);
    expect(creatableIndexes({ options: {}, indexes })[0]).not.toHaveProperty('collation');
  });
});

describe('an insert of the built-in engine', () => {
  const options = (version: string, type = '', product?: string): Document =>
    insertOptions({ topology: 'replica-set', version, ...(product === undefined ? {} : { product }) }, { type });

  test.each([
    ['8.0.4', true],
    ['7.0.13', true],
    ['7.0.12', false],
    ['6.3.2', false],
    ['5.0.29', true],
    ['4.4.29', false],
  ])('into %s keeps Timestamp(0, 0) where the server can: %s', (version, can) => {
    expect(options(version)).toEqual({
      ordered: false,
      bypassDocumentValidation: true,
      writeConcern: { w: 'majority' },
      ...(can ? { bypassEmptyTsReplacement: true } : {}),
    });
  });

  test('asks for nothing of that where the server is not a mongod', () => {
    expect(options('8.3.0', 'timeseries', 'FerretDB')).toEqual({ ordered: false, writeConcern: { w: 'majority' } });
  });

  test('writes the buckets of a time series by its own name from 8.3 on', () => {
    expect(options('8.3.0', 'timeseries')).toHaveProperty('rawData', true);
    expect(options('8.2.9', 'timeseries')).not.toHaveProperty('rawData');
    expect(options('8.3.0')).not.toHaveProperty('rawData');
  });
});

describe('merged producers', () => {
  const counting =
    (items: number, log: number[]) =>
    async (put: Put<number>): Promise<void> => {
      for (let item = 0; item < items; item++) {
        await put(item);
        log.push(item);
      }
    };

  test('give every item, and never run far ahead of the reader', async () => {
    const log: number[] = [];
    const seen: number[] = [];
    for await (const item of merge([counting(20, log), counting(20, log), counting(20, log)], { width: 2, waiting: 2 })) {
      seen.push(item);
      expect(log.length - seen.length).toBeLessThanOrEqual(3);
    }
    expect(seen.sort((a, b) => a - b)).toEqual(Array.from({ length: 60 }, (_, index) => Math.floor(index / 3)));
  });

  test('stop together when one fails, and when the reader leaves', async () => {
    const log: number[] = [];
    const failing = async (put: Put<number>): Promise<void> => {
      await put(-1);
      throw new Error('broken');
    };
    const reading = async (): Promise<void> => {
      for await (const item of merge([counting(1000, log), failing], { width: 2, waiting: 2 })) expect(item).toBeGreaterThanOrEqual(-1);
    };
    await expect(reading()).rejects.toThrow('broken');
    for await (const item of merge([counting(1000, log)], { width: 1, waiting: 1 })) if (item === 3) break;
    expect(log.length).toBeLessThan(20);
  });
});
