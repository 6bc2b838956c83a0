// FerretDB 1.24.2 on SQLite: the embedded MongoDB-speaking server of tests and drill. Built once from the Go module beside this file.
import { randomBytes } from 'node:crypto';
import { cpSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { MongoServer } from './mongo-server.ts';
import {
  cachedBuild,
  contentKey,
  findProgram,
  freePort,
  portOpen,
  runGo,
  runProgram,
  selfSignedCertificate,
  startProcess,
  tempFolder,
} from './support.ts';

const MODULE = fileURLToPath(new URL('ferretdb/', import.meta.url));
const PACKAGE = 'github.com/FerretDB/FerretDB';
const VERSION = 'v1.24.2';
/** Raised together with the build commands below, so that old binaries are not used for new settings. */
const BUILD_REVISION = '1';

export interface FerretDbOptions {
  /** Where the data lies; kept after stop(). Default: a temporary folder. */
  folder?: string;
  /** Asks for a user and password (SCRAM-SHA-1 and -256). Every user may do everything. */
  auth?: boolean;
  /** Answers as the primary of a replica set of this name. */
  replicaSet?: string;
  /** Speaks TLS only, with a self-signed certificate for localhost and 127.0.0.1. */
  tls?: boolean;
}

export interface FerretDb extends MongoServer {
  kind: 'ferretdb';
  port: number;
  folder: string;
  pid: number;
  /** With `auth`: the credentials that are also in `uri`. */
  user?: string;
  password?: string;
  /** With `tls`: the certificate to trust (`tlsCAFile`, already in `uri`). */
  certificateFile?: string;
}

/** True when a Go that can build FerretDB is on PATH (1.24 or newer). */
export async function canBuildFerretDb(): Promise<boolean> {
  if (findProgram('go') === undefined) return false;
  const version = /^go1\.(\d+)/.exec(await runProgram('go', ['env', 'GOVERSION'], { env: { GOTOOLCHAIN: 'local' } }));
  return version !== null && Number(version[1]) >= 24;
}

/** The server's program, built on first use (about a minute) and cached. */
export async function ferretDbProgram(): Promise<string> {
  const key = contentKey(BUILD_REVISION, readFileSync(join(MODULE, 'go.mod')), readFileSync(join(MODULE, 'go.sum')));
  return join(await cachedBuild('ferretdb', key, build), 'ferretdb');
}

// Builds from a vendored copy, because FerretDB embeds a version file that its Go module does not contain and panics without it.
async function build(folder: string): Promise<void> {
  const source = join(folder, 'source');
  mkdirSync(source);
  for (const file of ['go.mod', 'go.sum']) cpSync(join(MODULE, file), join(source, file));
  const go = async (...args: string[]): Promise<string> =>
    runGo(args, {
      cwd: source,
      env: { GOTOOLCHAIN: 'local', CGO_ENABLED: '0', GOFLAGS: '-p=2 -buildvcs=false', GOWORK: 'off' },
    });
  await go('mod', 'vendor');
  writeFileSync(join(source, 'vendor', PACKAGE, 'build/version/version.txt'), `${VERSION}\n`);
  const tags = 'ferretdb_no_postgresql,ferretdb_no_mysql,ferretdb_no_hana';
  await go('build', '-mod=vendor', '-trimpath', '-tags', tags, '-ldflags', '-s -w', '-o', '../ferretdb.new', `${PACKAGE}/cmd/ferretdb`);
  renameSync(join(folder, 'ferretdb.new'), join(folder, 'ferretdb'));
  rmSync(source, { recursive: true, force: true });
}

/**
 * Starts FerretDB on a free port of 127.0.0.1 (0.15 s when built). Acknowledged writes survive a SIGKILL.
 * It closes the connection on Decimal128, MinKey, MaxKey, Code and NaN, and knows simple, compound and unique indexes only.
 */
export async function startFerretDb(options: FerretDbOptions = {}): Promise<FerretDb> {
  const program = await ferretDbProgram();
  const folder = options.folder ?? tempFolder('ferretdb');
  const data = join(folder, 'data');
  mkdirSync(data, { recursive: true });
  const port = await freePort();
  const credentials = options.auth ? credentialsOf(folder) : undefined;
  const certificate = options.tls ? await selfSignedCertificate(folder) : undefined;
  const address = `127.0.0.1:${port}`;
  const args = [
    '--handler=sqlite',
    `--sqlite-url=file:${data}/`,
    `--state-dir=${folder}`,
    '--debug-addr=-',
    '--telemetry=disable',
    '--log-level=error',
    '--test-batch-size=1000',
    ...(certificate
      ? [
          '--listen-addr=',
          `--listen-tls=${address}`,
          `--listen-tls-cert-file=${certificate.certFile}`,
          `--listen-tls-key-file=${certificate.keyFile}`,
        ]
      : [`--listen-addr=${address}`]),
    ...(credentials ? ['--test-enable-new-auth', '--setup-database=admin', `--setup-username=${credentials.user}`] : []),
    ...(options.replicaSet === undefined ? [] : [`--repl-set-name=${options.replicaSet}`]),
  ];
  const server = await startProcess(program, args, {
    env: { ...process.env, ...(credentials ? { FERRETDB_SETUP_PASSWORD: credentials.password } : {}) },
    ready: () => portOpen(port),
  });
  return {
    kind: 'ferretdb',
    description: `FerretDB ${VERSION.slice(1)} on SQLite, embedded`,
    uri: connectionString(address, options, credentials, certificate?.certFile),
    port,
    folder,
    pid: server.child.pid ?? 0,
    ...(credentials ?? {}),
    ...(certificate ? { certificateFile: certificate.certFile } : {}),
    stop: async () => {
      await server.stop();
      if (options.folder === undefined) rmSync(folder, { recursive: true, force: true });
    },
  };
}

function connectionString(
  address: string,
  options: FerretDbOptions,
  credentials?: { user: string; password: string },
  certificate?: string,
): string {
  const query = new URLSearchParams();
  if (credentials) query.set('authSource', 'admin');
  // The member list FerretDB announces holds its plain-text address only, so TLS clients must not follow it.
  if (options.replicaSet !== undefined && certificate !== undefined) query.set('directConnection', 'true');
  else if (options.replicaSet !== undefined) query.set('replicaSet', options.replicaSet);
  if (certificate !== undefined) {
    query.set('tls', 'true');
    query.set('tlsCAFile', certificate);
  }
  const login = credentials ? `${credentials.user}:${credentials.password}@` : '';
  const text = query.toString();
  return `mongodb://${login}${address}/${text === '' ? '' : `?${text}`}`;
}

// A folder that is started again must know its password again: the user was created by the first start.
function credentialsOf(folder: string): { user: string; password: string } {
  const file = join(folder, 'password');
  try {
    return { user: 'root', password: readFileSync(file, 'utf8') };
  } catch {
    const password = randomBytes(12).toString('hex');
    writeFileSync(file, password, { mode: 0o600 });
    return { user: 'root', password };
  }
}
