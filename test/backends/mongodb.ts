// Chooses a MongoDB for the drill and for tests that take any: the one given, a real mongod, else an embedded stand-in.
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../../shared/step/errors.ts';
import { canBuildFerretDb, startFerretDb } from './ferretdb.ts';
import type { MongoServer } from './mongo-server.ts';
import { canBuildMongoJavaServer, startMongoJavaServer } from './mongo-java-server.ts';
import { findProgram, freePort, portOpen, startProcess, tempFolder } from './support.ts';

export interface StartMongoOptions {
  /** Connection string of a running server; it is used as it is, and never stopped. */
  uri?: string;
}

/**
 * A MongoDB to work with, in this order: `uri`, `mongod` on PATH, FerretDB (built with Go), mongo-java-server (built with Java and Maven).
 * @throws UserError when the machine has none of them, saying what to install or pass
 */
export async function startMongo(options: StartMongoOptions = {}): Promise<MongoServer> {
  if (options.uri !== undefined) {
    return { kind: 'given', description: 'the MongoDB that was given', uri: options.uri, stop: () => Promise.resolve() };
  }
  const mongod = findProgram('mongod');
  if (mongod !== undefined) return startMongod(mongod);
  if (await canBuildFerretDb()) return startFerretDb();
  if (canBuildMongoJavaServer()) return startMongoJavaServer();
  throw new UserError('There is no MongoDB to work with on this machine.', {
    fix: 'Pass --mongodb-uri, or install one of these: MongoDB (mongod on PATH), Go 1.24 or newer, or Java 17 (a JDK) with Maven.',
  });
}

/** Starts a real mongod, standalone and without users, on a free port of 127.0.0.1. */
async function startMongod(program: string): Promise<MongoServer> {
  const folder = tempFolder('mongod');
  const data = join(folder, 'data');
  mkdirSync(data);
  const port = await freePort();
  const server = await startProcess(program, ['--dbpath', data, '--port', String(port), '--bind_ip', '127.0.0.1', '--nounixsocket'], {
    ready: () => portOpen(port),
  });
  return {
    kind: 'mongod',
    description: 'mongod from PATH',
    uri: `mongodb://127.0.0.1:${port}/`,
    ...(server.child.pid === undefined ? {} : { pid: server.child.pid }),
    stop: async () => {
      await server.stop(10_000);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
