// Dumps a MongoDB: connects, chooses engine and consistency, and hands out the archive as a stream with the facts about its source.
import type { Progress } from '../step/host.ts';
import { CancelledError } from '../step/errors.ts';
import { printable } from '../step/prose.ts';
import type { Secret } from '../step/input.ts';
import { inTime } from '../tools/process.ts';
import { estimateBytes, readCatalog, type Catalog } from './catalog.ts';
import { connectMongo, explainMongoError, pinToOneMember, type MongoServer, type Topology } from './connect.ts';
import { dumpWithDriver, DRIVER_TOOL_VERSION, snapshotObstacle } from './dump-driver.ts';
import { dumpWithTools, selectionArguments } from './dump-tools.ts';
import { chooseEngine, type Engine, type EngineChoice } from './engine.ts';
import { compileSelection, type Selection } from './namespaces.ts';
import { localProgram } from './tool-program.ts';

export interface DumpOptions extends Selection {
  uri: Secret;
  engine: EngineChoice;
  /** Folder for a short-lived configuration file of mongodump. */
  tempDir: string;
  signal?: AbortSignal;
  onProgress?: (progress: Progress) => void;
  log?: (line: string) => void;
}

/** What the manifest says about where a dump came from. Never credentials. */
export interface DumpFacts {
  readonly engine: 'tools' | 'driver';
  /** Version of mongodump; absent for the built-in engine. */
  readonly toolVersion?: string | undefined;
  readonly serverVersion: string;
  /** Set when the server is not MongoDB's own. */
  readonly product?: string | undefined;
  /** Absent when there is no one to ask: in a pod there is only mongodump. */
  readonly topology?: Topology;
  readonly hosts: readonly string[];
  readonly fingerprint: string;
  readonly consistency: 'point-in-time' | 'per-collection';
  /** Why it is not point-in-time. */
  readonly consistencyReason?: string | undefined;
}

export interface MongoDump {
  /** The archive, in pieces that are the reader's own. Read it once, to its end; leaving it early ends engine and connection. */
  source: AsyncIterable<Uint8Array>;
  facts: DumpFacts;
  /** Expected bytes of the plain stream; undefined when the server does not tell. */
  estimate: number | undefined;
  /** What is left out because the login may not read it: reasons for the outcome `partial`. */
  doubts: string[];
  /** Gives up a dump that is not going to be read (any further); waits until mongodump is gone and its file with the password, too. */
  close(): Promise<void>;
}

/**
 * Prepares a dump: everything that can be refused is refused here, before a byte is stored.
 * @throws UserError when the server cannot be reached, a name does not exist, or the engine cannot do it
 */
export async function dumpMongo(options: DumpOptions): Promise<MongoDump> {
  const selector = compileSelection(options);
  const server = await connectMongo(options.uri, options.signal ? { signal: options.signal } : {});
  try {
    const catalog = await readCatalog(server, selector);
    const estimate = await estimateBytes(server, catalog.collections);
    const engine = await chooseEngine(options.engine, 'mongodump', {
      obstacle: selectionArguments(options) ? undefined : 'mongodump cannot express this selection; the built-in engine does it.',
      signal: options.signal,
      log: options.log,
    });
    const consistency = await consistencyOf(server, engine, catalog, selector.everything, estimate);
    const source = sourceOf(options, server, engine, catalog, consistency.obstacle === undefined, estimate);
    return {
      source,
      facts: {
        engine: engine.kind,
        ...(engine.kind === 'tools' && engine.tool.version !== undefined ? { toolVersion: engine.tool.version } : {}),
        serverVersion: server.version,
        product: server.product,
        topology: server.topology,
        hosts: server.hosts,
        fingerprint: server.fingerprint,
        consistency: consistency.obstacle === undefined ? 'point-in-time' : 'per-collection',
        consistencyReason: consistency.obstacle,
      },
      estimate,
      doubts: catalog.doubts,
      close: () => closeDump(source, server),
    };
  } catch (thrown) {
    await server.close();
    throw explainDump(thrown, options);
  }
}

/** A mongodump that ignores SIGTERM is killed after three seconds (tools/process.ts); nothing is waited for much longer than that. */
const CLOSE_MS = 5000;

async function closeDump(source: AsyncGenerator<Uint8Array>, server: MongoServer): Promise<void> {
  const ended = source.return(undefined).catch(() => undefined);
  await server.close();
  await inTime(ended, CLOSE_MS, 'Ending the dump').catch(() => undefined);
}

async function* sourceOf(
  options: DumpOptions,
  server: MongoServer,
  engine: Engine,
  catalog: Catalog,
  pointInTime: boolean,
  estimate: number | undefined,
): AsyncGenerator<Uint8Array> {
  const onProgress = (done: { bytes: number; namespace: string }): void => {
    options.onProgress?.({
      phase: 'Dumping',
      done: done.bytes,
      total: estimate,
      unit: 'bytes',
      detail: printable(done.namespace),
    });
  };
  const signal = options.signal ? { signal: options.signal } : {};
  let pinned: MongoServer | undefined;
  try {
    if (engine.kind === 'tools') {
      yield* dumpWithTools({
        ...selectionOf(options),
        ...signal,
        ...(options.log ? { log: options.log } : {}),
        program: localProgram({ tool: engine.tool, uri: options.uri, tempDir: options.tempDir }),
        oplog: pointInTime,
        onProgress,
      });
    } else {
      pinned = await pinToOneMember(server, options.uri, options.signal);
      yield* dumpWithDriver(pinned, { ...signal, collections: catalog.collections, snapshot: pointInTime, onProgress });
    }
  } catch (thrown) {
    throw explainDump(thrown, options);
  } finally {
    await pinned?.close();
    await server.close();
  }
}

function selectionOf({ include, exclude }: Selection): Selection {
  return { ...(include ? { include } : {}), ...(exclude ? { exclude } : {}) };
}

function explainDump(thrown: unknown, options: DumpOptions): unknown {
  if (options.signal?.aborted) return new CancelledError('Cancelled during the dump.', { cause: thrown });
  return explainMongoError(thrown, options.uri, 'The dump failed');
}

/** Can this dump be of one moment? `obstacle` says why not. */
async function consistencyOf(
  server: MongoServer,
  engine: Engine,
  catalog: Catalog,
  everything: boolean,
  estimate: number | undefined,
): Promise<{ obstacle: string | undefined }> {
  if (engine.kind === 'driver') return { obstacle: await snapshotObstacle(server, catalog.collections, estimate) };
  if (server.topology !== 'replica-set')
    return {
      obstacle: `a ${server.topology === 'sharded' ? 'sharded cluster' : 'standalone server'} has no oplog to make collections agree`,
    };
  if (!everything) return { obstacle: 'mongodump takes the oplog only when it dumps everything' };
  return { obstacle: await oplogObstacle(server) };
}

async function oplogObstacle(server: MongoServer): Promise<string | undefined> {
  try {
    const reply = await server.client.db('local').command({ find: 'oplog.rs', limit: 1, sort: { $natural: -1 } });
    const batch = (reply['cursor'] as { firstBatch: unknown[] }).firstBatch;
    return batch.length > 0 ? undefined : 'the oplog is empty';
  } catch {
    return 'the oplog cannot be read with this login (the role "backup" allows it)';
  }
}

export { DRIVER_TOOL_VERSION };
