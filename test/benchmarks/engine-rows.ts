// The built-in MongoDB engine against the real mongodump and mongorestore, on one server.
import { closeSync, createReadStream, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { newArchiveInspector, type ArchiveReport } from '../../shared/mongodb/archive-inspector.ts';
import { dumpMongo } from '../../shared/mongodb/dump.ts';
import { openRestore } from '../../shared/mongodb/restore.ts';
import { Secret } from '../../shared/step/input.ts';
import { mongoTools } from '../backends/mongo-tools.ts';
import type { MongoServer } from '../backends/mongo-server.ts';
import { canBuildMongoJavaServer, startMongoJavaServer } from '../backends/mongo-java-server.ts';
import { startMongo } from '../backends/mongodb.ts';
import { findProgram } from '../backends/support.ts';
import { datasetArchive } from '../dataset/dataset-archive.ts';
import type { Bench, Group } from './bench.ts';
import { contest, describeContest, median, timedShell, timesFaster, type Sample } from './contest.ts';
import type { Measured, RowName } from './rows.ts';

/** Test servers are slow: a small part of the input tells as much. */
const BYTES = 64 * 2 ** 20;
const OURS = 'built in';

export const engineRows: Group = async (bench) => {
  const tools = await mongoTools();
  if ('missing' in tools) return { 'dump-vs-mongodump': { skipped: tools.missing }, 'restore-vs-mongorestore': { skipped: tools.missing } };
  const server = await startServer();
  try {
    const input = await loaded(bench, server);
    const start = await startTime(tools.mongodump);
    bench.say(`mongodump needs ${start.toFixed(2)} s to start, which is taken off its times`);
    const described = (results: Parameters<typeof describeContest>[0]) => `${describeContest(results, input.bytes)}; ${server.description}`;
    const rows: Partial<Record<RowName, Measured>> = {};
    if (bench.wanted.has('dump-vs-mongodump')) {
      const script = '"$1" --uri="$2" --archive > /dev/null';
      const theirs = { name: 'mongodump', run: async () => less(await timedShell(script, [tools.mongodump, server.uri]), start) };
      const results = await contest([{ name: OURS, run: () => dump(bench, server) }, theirs], bench.rounds, bench.say);
      rows['dump-vs-mongodump'] = { value: timesFaster(results, OURS, 'mongodump'), figures: described(results) };
    }
    if (bench.wanted.has('restore-vs-mongorestore')) {
      const script = '"$1" --uri="$2" --drop --archive < "$3"';
      const theirs = {
        name: 'mongorestore',
        run: async () => less(await timedShell(script, [tools.mongorestore, server.uri, input.file]), start),
      };
      const results = await contest([{ name: OURS, run: () => restore(bench, server, input) }, theirs], bench.rounds, bench.say);
      rows['restore-vs-mongorestore'] = { value: timesFaster(results, OURS, 'mongorestore'), figures: described(results) };
    }
    return rows;
  } finally {
    await server.stop();
  }
};

/** A real mongod where there is one; else the faster of the embedded servers, so that less of the time is the server's. */
async function startServer(): Promise<MongoServer> {
  return findProgram('mongod') === undefined && canBuildMongoJavaServer() ? startMongoJavaServer() : startMongo();
}

interface Input {
  file: string;
  bytes: number;
  report: ArchiveReport;
}

/** Writes the archive's file and restores it into the server. The chat's plainer half: every server takes it. */
async function loaded(bench: Bench, server: MongoServer): Promise<Input> {
  const file = join(bench.folder, 'engine.archive');
  const inspector = newArchiveInspector();
  const out = openSync(file, 'w');
  let bytes = 0;
  const traits = { unicodeDatabases: false, samples: new Set<string>() };
  for (const piece of datasetArchive({ size: BYTES, traits, uploadsPerThousandMessages: 150_000 })) {
    writeSync(out, piece);
    await inspector.write(piece);
    bytes += piece.length;
  }
  closeSync(out);
  const input = { file, bytes, report: await inspector.end() };
  await restore(bench, server, input);
  return input;
}

async function startTime(mongodump: string): Promise<number> {
  const times: number[] = [];
  for (let run = 0; run < 3; run += 1) times.push((await timedShell('"$1" --version > /dev/null', [mongodump])).seconds);
  return median(times);
}

function less(sample: Sample, start: number): Sample {
  return { seconds: Math.max(0.001, sample.seconds - start), cpuSeconds: 0 };
}

async function dump(bench: Bench, server: MongoServer): Promise<Sample> {
  const started = performance.now();
  const { source } = await dumpMongo({ uri: new Secret(server.uri), engine: 'driver', tempDir: bench.folder });
  let bytes = 0;
  for await (const chunk of source) bytes += chunk.length;
  if (bytes === 0) throw new Error('the dump is empty');
  return { seconds: (performance.now() - started) / 1000, cpuSeconds: 0 };
}

async function restore(bench: Bench, server: MongoServer, { file, report }: Input): Promise<Sample> {
  const started = performance.now();
  const restoring = await openRestore({ uri: new Secret(server.uri), engine: 'driver', report, tempDir: bench.folder, replace: true });
  try {
    const outcome = await restoring.run(createReadStream(file, { highWaterMark: 1 << 20 }));
    if (outcome.failed > 0) throw new Error(`${outcome.failed} documents were refused: ${outcome.refusals.join(' ')}`);
  } finally {
    await restoring.close();
  }
  return { seconds: (performance.now() - started) / 1000, cpuSeconds: 0 };
}
