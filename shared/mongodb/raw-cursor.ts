// Reads a collection as raw BSON: whole batches as contiguous bytes, without an object per document.
import { ReadPreference, type ClientSession, type Document, type MongoClient } from 'mongodb';
import { BSON } from './bson.ts';
import { int32, type Namespace } from './archive.ts';
import type { MongoServer } from './connect.ts';

/** One reply of the server. */
export interface RawBatch {
  /** Whole documents, one after the other. Belongs to the receiver. */
  documents: Uint8Array;
  count: number;
}

export interface RawReadOptions {
  /** Documents per reply at most; the server also ends a reply at 16 MiB. */
  batchSize?: number;
  session?: ClientSession;
  /** Further fields of the `find` command, such as readConcern. */
  find?: Document;
  signal?: AbortSignal;
}

/** The reply's bytes without its frame, and where the cursor stands. */
interface Reply extends RawBatch {
  id: bigint;
  /** What the cursor reads, `db.collection`; undefined where the server does not say. */
  namespace: string | undefined;
}

/**
 * All documents of a collection, in the server's order. The next batch is already being fetched while one is handled.
 * @throws MongoServerError and the driver's other errors
 */
export async function* readRaw(client: MongoClient, namespace: Namespace, options: RawReadOptions = {}): AsyncGenerator<RawBatch> {
  const db = client.db(namespace.db);
  const commandOptions = {
    raw: true,
    promoteValues: false,
    readPreference: client.options.directConnection ? ReadPreference.primaryPreferred : ReadPreference.primary,
    ...(options.session ? { session: options.session } : {}),
    ...(options.signal ? { signal: options.signal } : {}),
  };
  const run = async (command: Document): Promise<Reply> => readReply(await db.command(command, commandOptions));
  const batchSize = options.batchSize ?? 10_000;
  let id = 0n;
  let next = run({ find: namespace.collection, filter: {}, batchSize, ...options.find });
  try {
    for (;;) {
      const reply = await next;
      id = reply.id;
      if (id !== 0n) {
        next = run({ getMore: BSON.Long.fromBigInt(id), collection: namespace.collection, batchSize });
        // Awaited in the next round; until then a failure must not count as unhandled.
        next.catch(() => undefined);
      }
      if (reply.count > 0) yield reply;
      if (id === 0n) return;
    }
  } finally {
    if (id !== 0n) {
      // Left early: let the server forget the cursor, whatever became of the connection.
      await next.catch(() => undefined);
      await db
        .command(
          { killCursors: namespace.collection, cursors: [BSON.Long.fromBigInt(id)] },
          options.session ? { session: options.session } : {},
        )
        .catch(() => undefined);
    }
  }
}

/**
 * All that a command lists through a cursor (`listCollections`, `listIndexes`), as BSON documents.
 * @throws MongoServerError and the driver's other errors
 */
export async function listRaw({ client, sessions }: MongoServer, database: string, command: Document): Promise<Uint8Array[]> {
  const db = client.db(database);
  // A cursor belongs to the session of its first reply.
  const session = sessions ? client.startSession({ causalConsistency: false }) : undefined;
  const options = { raw: true, promoteValues: false, readPreference: client.readPreference, ...(session ? { session } : {}) };
  try {
    const listed: Uint8Array[] = [];
    let next = command;
    for (;;) {
      const reply = readReply(await db.command(next, options));
      listed.push(...eachDocument(reply.documents));
      if (reply.id === 0n) return listed;
      const { namespace = '' } = reply;
      next = { getMore: BSON.Long.fromBigInt(reply.id), collection: namespace.slice(namespace.indexOf('.') + 1) };
    }
  } finally {
    await session?.endSession();
  }
}

function eachDocument(documents: Uint8Array): Uint8Array[] {
  const each: Uint8Array[] = [];
  for (let at = 0; at < documents.length; at += int32(documents, at)) each.push(documents.subarray(at, at + int32(documents, at)));
  return each;
}

/** With `raw`, the driver hands out the `cursor` sub-document as bytes. */
function readReply(reply: Document): Reply {
  const cursor: unknown = reply['cursor'];
  if (!(cursor instanceof Uint8Array)) throw new TypeError('The server answered without a cursor.');
  let id: bigint | undefined;
  let batch: RawBatch | undefined;
  let namespace: string | undefined;
  forEachElement(cursor, (type, name, start) => {
    if (name === 'id' && type === 0x12) id = new DataView(cursor.buffer, cursor.byteOffset + start, 8).getBigInt64(0, true);
    if (name === 'id' && type === 0x10) id = BigInt(int32(cursor, start));
    if (name === 'ns' && type === 0x02)
      namespace = Buffer.from(cursor.buffer, cursor.byteOffset + start + 4, int32(cursor, start) - 1).toString('utf8');
    if ((name === 'firstBatch' || name === 'nextBatch') && type === 0x04)
      batch = compact(cursor.subarray(start, start + int32(cursor, start)));
  });
  if (id === undefined || batch === undefined) throw new TypeError('The server answered with a cursor that cannot be read.');
  return { ...batch, id, namespace };
}

/** Moves the documents of a BSON array together, in place: only type bytes and index keys lay between them. */
function compact(array: Uint8Array): RawBatch {
  let read = 4;
  let write = 0;
  let count = 0;
  const end = array.length - 1;
  while (read < end) {
    if (array[read] !== 0x03) throw new TypeError('The server returned something that is not a document.');
    read += 2;
    while (array[read] !== 0) read++;
    read++;
    const size = int32(array, read);
    array.copyWithin(write, read, read + size);
    write += size;
    read += size;
    count++;
  }
  return { documents: array.subarray(0, write), count };
}

/** Calls back with type, name and the value's offset for every element of the kinds that a cursor document has. */
function forEachElement(document: Uint8Array, found: (type: number, name: string, start: number) => void): void {
  let at = 4;
  while (at < document.length - 1) {
    const type = document[at] as number;
    const nameEnd = document.indexOf(0, at + 1);
    const start = nameEnd + 1;
    // Before the call, which may move the value's bytes.
    const end = start + valueSize(document, type, start);
    found(type, Buffer.from(document.buffer, document.byteOffset + at + 1, nameEnd - at - 1).toString('latin1'), start);
    at = end;
  }
}

function valueSize(document: Uint8Array, type: number, start: number): number {
  switch (type) {
    case 0x03:
    case 0x04:
      return int32(document, start);
    case 0x02:
      return 4 + int32(document, start);
    case 0x05:
      return 5 + int32(document, start);
    case 0x01:
    case 0x09:
    case 0x11:
    case 0x12:
      return 8;
    case 0x08:
      return 1;
    case 0x10:
      return 4;
    case 0x0a:
      return 0;
    default:
      throw new TypeError(`The server's cursor has a field of an unexpected type ${type}.`);
  }
}
