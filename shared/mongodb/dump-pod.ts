// Dumps a MongoDB inside a cluster: its own mongodump, run in its pod. What the archive says about itself is all there is to know before.
import { errorMessage, UsageError, UserError } from '../step/errors.ts';
import type { Progress } from '../step/host.ts';
import { inTime } from '../tools/process.ts';
import type { MongoDump } from './dump.ts';
import { dumpWithTools, selectionArguments } from './dump-tools.ts';
import { compileSelection, type Selection } from './namespaces.ts';
import { openPodMongo, podProgram, type PodMongo, type PodOptions } from './pod-mongo.ts';
import { joined, openArchive, type OpenArchive } from './prelude.ts';

export interface PodDumpOptions extends Selection, PodOptions {
  /** No byte for this long means that the connection or mongodump hangs. Default ten minutes. */
  hangMs?: number;
  onProgress?: (progress: Progress) => void;
}

/** A mongodump that is left alone in its pod ends when its next byte finds no reader; we do not wait for that. */
const CLOSE_MS = 15_000;

/**
 * Starts a dump and reads it as far as its prelude: everything that can be refused is refused here, before a byte is stored.
 * @throws UserError when the pod cannot be reached, mongodump fails there, or a name does not exist
 */
export async function dumpPod(options: PodDumpOptions): Promise<MongoDump> {
  const runs = mongodumpRuns(options);
  const pod = await openPodMongo(options, 'secondary');
  const { archives, obstacle } = await open(pod, runs, options);
  const [first] = archives;
  const close = async (): Promise<void> => {
    const ended = Promise.all(archives.map((archive) => archive.close()));
    await inTime(ended, CLOSE_MS, 'Ending the dump').catch(() => undefined);
  };
  try {
    refuseUnmatched(pod, options, archives);
  } catch (thrown) {
    await close();
    throw thrown;
  }
  return {
    source: joined(archives),
    facts: {
      engine: 'tools',
      toolVersion: first.header.toolVersion,
      serverVersion: first.header.serverVersion,
      // Only a replica set has an oplog.
      ...(obstacle === undefined ? { topology: 'replica-set' as const } : {}),
      hosts: [pod.container.pod],
      fingerprint: pod.fingerprint,
      consistency: obstacle === undefined ? 'point-in-time' : 'per-collection',
      ...(obstacle === undefined ? {} : { consistencyReason: obstacle }),
    },
    estimate: undefined,
    doubts: [],
    close,
  };
}

/**
 * What mongodump must be asked for, one selection per run: it takes one database, or one collection, at a time.
 * @throws UsageError for what it has no words for
 */
export function mongodumpRuns({ include = [], exclude = [] }: Selection): Selection[] {
  const wholes = new Set(include.filter((name) => !name.includes('.')));
  const names = [...new Set(include)].filter((name) => wholes.has(name) || !wholes.has(name.slice(0, name.indexOf('.'))));
  const runs = names.map((name): Selection => {
    const own = exclude.filter((excluded) => excluded.startsWith(`${name}.`));
    return own.length > 0 ? { include: [name], exclude: own } : { include: [name] };
  });
  const selections = names.length === 0 ? [exclude.length > 0 ? { exclude } : {}] : runs;
  if (selections.every((selection) => selectionArguments(selection) !== undefined)) return selections;
  throw new UsageError('mongodump in a pod cannot select by wildcard, nor leave out a collection without its database being chosen.', {
    fix: 'Name the databases in include, and collections of them in exclude; or reach the database by its connection string.',
  });
}

interface Opened {
  archives: [OpenArchive, ...OpenArchive[]];
  /** Why the dump is not of one moment. */
  obstacle: string | undefined;
}

async function open(pod: PodMongo, runs: readonly Selection[], options: PodDumpOptions): Promise<Opened> {
  const [only] = runs;
  if (runs.length === 1 && only?.include === undefined && only?.exclude === undefined) return openEverything(pod, options);
  const archives: OpenArchive[] = [];
  try {
    for (const run of runs) archives.push(await openDump(pod, { ...run, oplog: false }, options));
  } catch (thrown) {
    for (const archive of archives) await archive.close();
    throw thrown;
  }
  return { archives: archives as Opened['archives'], obstacle: 'mongodump takes the oplog only when it dumps everything' };
}

/**
 * With the oplog where there is one. That is asked before: some versions of mongodump miss it only after users and roles are in the archive.
 */
async function openEverything(pod: PodMongo, options: PodDumpOptions): Promise<Opened> {
  const oplog = await hasOplog(pod, options);
  const archive = await openDump(pod, { oplog }, options);
  return { archives: [archive], obstacle: oplog ? undefined : 'mongodump found no oplog there that it may read' };
}

/** A dump of the oplog begins where there is one that the login may read; it is ended before its data. */
async function hasOplog(pod: PodMongo, { signal, hangMs, log }: PodDumpOptions): Promise<boolean> {
  try {
    const options = { ...(log ? { log } : {}), ...(hangMs === undefined ? {} : { hangMs }), signal };
    const archive = await openDump(pod, { include: ['local.oplog.rs'], oplog: false }, options);
    await archive.close();
    return true;
  } catch (thrown) {
    if (signal?.aborted || !(thrown instanceof UserError)) throw thrown;
    // Whatever else is wrong will be wrong for the dump as well, and is told then.
    log?.(`No oplog: ${errorMessage(thrown)}`);
    return false;
  }
}

/** One run of mongodump in the pod, read as far as its prelude. */
export async function openDump(
  pod: PodMongo,
  selection: Selection & { oplog: boolean },
  { signal, hangMs, log, onProgress }: Pick<PodDumpOptions, 'signal' | 'hangMs' | 'log' | 'onProgress'>,
): Promise<OpenArchive> {
  return openArchive(
    dumpWithTools({
      ...selection,
      program: podProgram('mongodump', pod),
      ...(signal ? { signal } : {}),
      ...(hangMs === undefined ? {} : { hangMs }),
      ...(log ? { log } : {}),
      ...(onProgress
        ? {
            onProgress: ({ bytes, namespace }) => {
              onProgress({ phase: 'Dumping', done: bytes, unit: 'bytes', detail: namespace });
            },
          }
        : {}),
    }),
  );
}

function refuseUnmatched(pod: PodMongo, options: Selection, archives: readonly OpenArchive[]): void {
  const unmatched = compileSelection(options).unmatched(archives.flatMap(({ entries }) => entries));
  if (unmatched.length === 0) return;
  throw new UserError(`There is no database or collection ${unmatched.map((name) => `"${name}"`).join(', ')} on ${pod.fingerprint}.`, {
    fix: 'Check the spelling (names are case-sensitive), and that the login may read it.',
  });
}
