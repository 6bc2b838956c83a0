// The built-in dump engine: a mongodump archive straight from raw batches of the official driver. Nothing to install.
import { createCRC64 } from 'hash-wasm';
import { MongoServerError, type ClientSession, type Document } from 'mongodb';
import { throwIfCancelled, UserError } from '../step/errors.ts';
import { namespaceName, shownName, TERMINATOR, type Namespace } from './archive.ts';
import { encodeBlockHeader, encodeNamespaceEnd, encodePrelude } from './archive-writer.ts';
import { catalogEntry, type CatalogCollection } from './catalog.ts';
import type { MongoServer } from './connect.ts';
import { merge, type Put } from './merge.ts';
import { readRaw } from './raw-cursor.ts';

/** What the archive's header names as its writer; official tools only print it. */
export const DRIVER_TOOL_VERSION = 'lifeboat';

export interface DriverDumpOptions {
  collections: readonly CatalogCollection[];
  /** Read everything as of one moment (readConcern snapshot). */
  snapshot: boolean;
  /** Collections dumped side by side. Memory is about three batches (16 MiB each at most) per collection. */
  parallel?: number;
  signal?: AbortSignal;
  /** Called after each batch with totals so far. */
  onProgress?: (done: { documents: number; bytes: number; namespace: string }) => void;
}

/**
 * Dumps the collections.
 * @throws MongoServerError and the driver's other errors, UserError when the snapshot grew too old
 */
export async function* dumpWithDriver(server: MongoServer, options: DriverDumpOptions): AsyncGenerator<Uint8Array> {
  const { collections } = options;
  const parallel = Math.max(1, Math.min(options.parallel ?? 4, collections.length));
  const totals = { documents: 0, bytes: 0 };
  const snapshot = options.snapshot ? new SharedSnapshot() : undefined;
  yield encodePrelude(
    { concurrentCollections: parallel, version: '0.1', serverVersion: server.version, toolVersion: DRIVER_TOOL_VERSION },
    collections.map(catalogEntry),
  );
  yield* merge(
    collections.map((collection) => async (put: Put<Uint8Array>): Promise<void> => {
      for await (const { bytes, count } of dumpCollection(server, collection, snapshot, options.signal)) {
        throwIfCancelled(options.signal);
        // Once put, the block is the reader's, who may have emptied it.
        const { length } = bytes;
        await put(bytes);
        totals.documents += count;
        totals.bytes += length;
        options.onProgress?.({ ...totals, namespace: namespaceName(collection) });
      }
    }),
    { width: parallel, waiting: 2 },
  );
}

/** One block of the archive with its header and terminator: nothing may come between them. */
interface Block {
  bytes: Uint8Array;
  count: number;
}

async function* dumpCollection(
  server: MongoServer,
  collection: CatalogCollection,
  snapshot: SharedSnapshot | undefined,
  signal: AbortSignal | undefined,
): AsyncGenerator<Block> {
  const name = collection.data ?? collection;
  const crc = (await createCRC64('c96c5795d7870f42')).init();
  const header = encodeBlockHeader(name);
  let blocks = 0;
  if (collection.data) {
    for await (const { documents, count } of readCollection(server, collection, collection.data, snapshot, signal)) {
      crc.update(documents);
      blocks++;
      yield { bytes: Buffer.concat([header, documents, TERMINATOR]), count };
    }
  }
  const end = encodeNamespaceEnd(name, BigInt(`0x${crc.digest()}`));
  // mongodump writes one empty block for an empty collection.
  yield { bytes: blocks === 0 ? Buffer.concat([header, TERMINATOR, end]) : end, count: 0 };
}

async function* readCollection(
  server: MongoServer,
  collection: CatalogCollection,
  data: Namespace,
  snapshot: SharedSnapshot | undefined,
  signal: AbortSignal | undefined,
): AsyncGenerator<{ documents: Uint8Array; count: number }> {
  const session = server.sessions ? server.client.startSession({ causalConsistency: false }) : undefined;
  try {
    const find = await findOptions(server, collection, data, snapshot, session);
    yield* readRaw(server.client, data, { find, ...(session ? { session } : {}), ...(signal ? { signal } : {}) });
  } catch (thrown) {
    if (thrown instanceof MongoServerError && Number(thrown.code) === SNAPSHOT_TOO_OLD) {
      throw new UserError(`The dump took longer than MongoDB keeps a snapshot; it stopped in ${shownName(collection)}.`, {
        fix: 'Install mongodump and use engine: tools (it reads the oplog), or raise minSnapshotHistoryWindowInSeconds on the server.',
        cause: thrown,
      });
    }
    throw thrown;
  } finally {
    await session?.endSession();
  }
}

const SNAPSHOT_TOO_OLD = 239;

async function findOptions(
  server: MongoServer,
  collection: CatalogCollection,
  data: Namespace,
  snapshot: SharedSnapshot | undefined,
  session: ClientSession | undefined,
): Promise<Document> {
  // Since 8.3 a time series has no bucket collection of its own; its buckets are read by this flag.
  const buckets = collection.type === 'timeseries' && data.collection === collection.collection ? { rawData: true } : {};
  if (!snapshot) return buckets;
  return { ...buckets, readConcern: { level: 'snapshot', atClusterTime: await snapshot.time(server, data, session) } };
}

/** The one moment that all collections are read at, chosen by the server at the first read. */
class SharedSnapshot {
  #time: Promise<unknown> | undefined;

  time(server: MongoServer, namespace: Namespace, session: ClientSession | undefined): Promise<unknown> {
    this.#time ??= snapshotTime(server, namespace, session);
    return this.#time;
  }
}

async function snapshotTime(server: MongoServer, { db, collection }: Namespace, session: ClientSession | undefined): Promise<unknown> {
  const reply = await server.client
    .db(db)
    .command(
      { find: collection, limit: 1, singleBatch: true, readConcern: { level: 'snapshot' } },
      { promoteValues: false, ...(session ? { session } : {}) },
    );
  const time: unknown = (reply['cursor'] as Document)['atClusterTime'];
  if (time === undefined) throw new UserError('The server took a snapshot read without telling its time.');
  return time;
}

/** Default of minSnapshotHistoryWindowInSeconds. */
const DEFAULT_WINDOW_SECONDS = 300;
/** What a dump is expected to move at least; decides whether it fits into the snapshot window. */
const CAUTIOUS_BYTES_PER_SECOND = 20_000_000;

/**
 * Can these collections be read as of one moment? Needs a replica set of 5.0 or newer that really takes snapshot reads, and a dump
 * that is likely to end before the server forgets the snapshot.
 * @returns why not, or undefined when it can
 */
export async function snapshotObstacle(
  server: MongoServer,
  collections: readonly CatalogCollection[],
  bytes: number | undefined,
): Promise<string | undefined> {
  if (server.topology === 'standalone') return 'a standalone server has no snapshots across collections';
  if (!server.sessions) return 'the server has no sessions';
  const first = collections.find(({ data }) => data)?.data;
  if (!first) return undefined;
  try {
    await snapshotTime(server, first, undefined);
  } catch {
    return 'the server does not take snapshot reads';
  }
  const window = await server.client
    .db('admin')
    .command({ getParameter: 1, minSnapshotHistoryWindowInSeconds: 1 })
    .then((reply) => Number(reply['minSnapshotHistoryWindowInSeconds']))
    .catch(() => DEFAULT_WINDOW_SECONDS);
  if (bytes === undefined || bytes > window * CAUTIOUS_BYTES_PER_SECOND) {
    return `the server keeps a snapshot for ${window} s, which may be too short for this much data; mongodump --oplog (engine: tools) has no such limit`;
  }
  return undefined;
}
