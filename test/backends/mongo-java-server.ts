// mongo-java-server 1.47.0: a second, stricter-on-indexes MongoDB-speaking server for tests; in memory or on disk (H2).
import { cpSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { MongoServer } from './mongo-server.ts';
import { cachedBuild, contentKey, findProgram, freePort, runProgram, startProcess, tempFolder } from './support.ts';

const SOURCE = fileURLToPath(new URL('mongo-java-server/', import.meta.url));

export interface MongoJavaServerOptions {
  /** `memory` (default) or `h2`. H2 loses acknowledged writes on SIGKILL, which makes a good negative test. */
  backend?: 'memory' | 'h2';
  /** With `h2`: where the data lies; kept after stop(). Default: a temporary folder. */
  folder?: string;
}

export interface MongoJavaServer extends MongoServer {
  kind: 'mongo-java-server';
  port: number;
  pid: number;
}

/** True when Java (17 or newer, with a compiler) and Maven are on PATH. */
export function canBuildMongoJavaServer(): boolean {
  return findProgram('java') !== undefined && findProgram('javac') !== undefined && findProgram('mvn') !== undefined;
}

/** The folder with all jars and the compiled Main, fetched on first use and cached. */
export async function mongoJavaServerClasses(): Promise<string> {
  const key = contentKey(readFileSync(join(SOURCE, 'pom.xml')), readFileSync(join(SOURCE, 'Main.java')));
  return cachedBuild('mongo-java-server', key, async (folder) => {
    cpSync(join(SOURCE, 'pom.xml'), join(folder, 'pom.xml'));
    await runProgram('mvn', ['-B', '-q', 'dependency:copy-dependencies', `-DoutputDirectory=${join(folder, 'jars')}`], { cwd: folder });
    mkdirSync(join(folder, 'classes'));
    await runProgram('javac', ['-cp', join(folder, 'jars', '*'), '-d', join(folder, 'classes'), join(SOURCE, 'Main.java')]);
  });
}

/**
 * Starts the server on a free port of 127.0.0.1 (0.7 s when built). Speaks wire version 8: the driver must be 6.x.
 * Keeps every index option and BSON type except code with scope; knows no users, no capped collections, and no writes to `admin`.
 */
export async function startMongoJavaServer(options: MongoJavaServerOptions = {}): Promise<MongoJavaServer> {
  const classes = await mongoJavaServerClasses();
  const folder = options.backend === 'h2' ? (options.folder ?? tempFolder('mongo-java-server')) : undefined;
  const port = await freePort();
  const classPath = [join(classes, 'jars', '*'), join(classes, 'classes')].join(':');
  const args = ['-Xmx1200m', '-cp', classPath, 'Main', String(port)];
  if (folder !== undefined) args.push(join(folder, 'data.mv'));
  const server = await startProcess('java', args, { ready: (output) => output.includes('ready') });
  return {
    kind: 'mongo-java-server',
    description: `mongo-java-server 1.47.0, ${folder === undefined ? 'in memory' : 'on disk (H2)'}`,
    uri: `mongodb://127.0.0.1:${port}/`,
    port,
    pid: server.child.pid ?? 0,
    stop: async () => {
      await server.stop();
      if (folder !== undefined && options.folder === undefined) rmSync(folder, { recursive: true, force: true });
    },
  };
}
