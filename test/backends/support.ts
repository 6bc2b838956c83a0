// What every test server needs: a cache outside the repository, a free port, a child process that never outlives us, a certificate.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { createHash, randomBytes, randomInt } from 'node:crypto';
import {
  accessSync,
  constants,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  existsSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { generate } from 'selfsigned';

/** Built and fetched servers live here: `$LIFEBOAT_CACHE`, else the user's cache folder. */
export function cacheDir(): string {
  const folder = process.env['LIFEBOAT_CACHE'] ?? join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'lifeboat');
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** A short hash of files' contents and texts, to key a cached build. */
export function contentKey(...parts: (string | Buffer)[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part).update('\0');
  return hash.digest('hex').slice(0, 16);
}

/**
 * The folder `<cache>/<name>-<key>`, built once: `build` fills an empty folder, which is renamed into place when complete.
 * Several processes may ask at once; one builds, the others wait.
 */
export async function cachedBuild(name: string, key: string, build: (folder: string) => Promise<void>): Promise<string> {
  const target = join(cacheDir(), `${name}-${key}`);
  if (existsSync(target)) return target;
  return oneAtATime(`${name}-${key}`, async () => {
    if (existsSync(target)) return target;
    const folder = mkdtempSync(join(cacheDir(), `${name}-build-`));
    process.stderr.write(`Preparing ${name} (once; cached in ${cacheDir()})…\n`);
    try {
      await build(folder);
    } catch (thrown) {
      rmSync(folder, { recursive: true, force: true });
      throw thrown;
    }
    try {
      renameSync(folder, target);
    } catch (thrown) {
      // Two processes took over one abandoned lock, and the other was first: what it built is the same.
      if (!existsSync(target)) throw thrown;
      rmSync(folder, { recursive: true, force: true });
    }
    return target;
  });
}

/** How often the owner of a lock shows that it lives. */
const SIGN_OF_LIFE_MS = 2000;
/** Without a sign of life for so long, its owner is gone, even if another process has its number by now. */
const ABANDONED_MS = 60_000;

/** Does work of this name in one process of this machine at a time; the others wait for their turn. */
export async function oneAtATime<T>(name: string, work: () => Promise<T>): Promise<T> {
  const lock = join(cacheDir(), `${name}.lock`);
  while (!taken(lock)) {
    if (abandoned(lock)) rmSync(lock, { recursive: true, force: true });
    else await delay(250);
  }
  const signs = setInterval(() => {
    showLife(lock);
  }, SIGN_OF_LIFE_MS).unref();
  try {
    return await work();
  } finally {
    clearInterval(signs);
    rmSync(lock, { recursive: true, force: true });
  }
}

/** Takes the lock. @returns false when another process has it */
function taken(lock: string): boolean {
  try {
    mkdirSync(lock);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw thrown;
  }
  writeFileSync(join(lock, 'pid'), String(process.pid));
  return true;
}

/** Runs Go. A cold build takes all cores and much memory: never two of them side by side. */
export async function runGo(args: string[], options: { go?: string; cwd?: string; env?: NodeJS.ProcessEnv } = {}): Promise<string> {
  return oneAtATime('go', () => runProgram(options.go ?? 'go', args, options));
}

function showLife(lock: string): void {
  const now = new Date();
  try {
    utimesSync(lock, now, now);
  } catch {
    // Somebody took it for abandoned, as after a machine's sleep: then the same work is done twice, which harms nobody.
  }
}

function abandoned(lock: string): boolean {
  const seen = statSync(lock, { throwIfNoEntry: false })?.mtimeMs ?? Date.now();
  const silentFor = Date.now() - seen;
  const pid = Number(readIfThere(join(lock, 'pid')) ?? '0');
  // Without a number, its owner was killed before it could write it down, or is about to.
  return pid > 0 ? !alive(pid) || silentFor > ABANDONED_MS : silentFor > 10_000;
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** The full path of a program on PATH; undefined when there is none. */
export function findProgram(name: string): string | undefined {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const file = join(folder, name);
    try {
      accessSync(file, constants.X_OK);
      if (folder !== '' && statSync(file).isFile()) return file;
    } catch {
      // Not in this folder.
    }
  }
  return undefined;
}

/** Runs a program to its end and returns its standard output. Throws with the last of what it printed when it fails. */
export async function runProgram(
  command: string,
  args: string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<string> {
  const child = spawn(command, args, { cwd: options.cwd, env: { ...process.env, ...options.env }, stdio: ['ignore', 'pipe', 'pipe'] });
  running.add(child);
  let out = '';
  let all = '';
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk.toString();
    all = (all + chunk.toString()).slice(-4000);
  });
  child.stderr.on('data', (chunk: Buffer) => (all = (all + chunk.toString()).slice(-4000)));
  const code = await new Promise<number | NodeJS.Signals | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status, signal) => {
      resolve(status ?? signal);
    });
  }).finally(() => running.delete(child));
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${String(code)}:\n${all}`);
  return out;
}

/** Below the range from which a system gives ports to outgoing connections and to `listen(0)`: nobody gets one of these by chance. */
const PORTS = { first: 20_000, count: 12_000 };
let lastPort = randomInt(PORTS.count);

/** A TCP port on 127.0.0.1 that nothing listens on, and that this process has not given out before. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < PORTS.count; tries += 1) {
    lastPort = (lastPort + 1) % PORTS.count;
    const port = PORTS.first + lastPort;
    if (await canListen(port)) return port;
  }
  throw new Error('Every port is in use.');
}

async function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => {
      resolve(false);
    });
    server.listen(port, '127.0.0.1', () => {
      server.close(() => {
        resolve(true);
      });
    });
  });
}

export interface RunningProcess {
  child: ChildProcess;
  /** Everything it printed so far. */
  output(): string;
  /** Ends it, by force after `graceMs`, and waits until it is gone. Harmless when it is gone already. */
  stop(graceMs?: number): Promise<void>;
}

/** A server that is not ready by then never will be; a busy machine may take a good part of it. */
const START_MS = 120_000;

const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Starts a server and waits until `ready` holds. Throws with its output when it ends or stays silent for too long. */
export async function startProcess(
  command: string,
  args: string[],
  options: { env?: NodeJS.ProcessEnv; cwd?: string; ready: (output: string) => boolean | Promise<boolean>; timeoutMs?: number },
): Promise<RunningProcess> {
  const [program, ...words] = [...diesWithUs(), command, ...args] as [string, ...string[]];
  const child = spawn(program, words, { env: options.env ?? process.env, cwd: options.cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  running.add(child);
  let text = '';
  let spawnError: Error | undefined;
  const collect = (chunk: Buffer): void => {
    text = (text + chunk.toString()).slice(-100_000);
  };
  child.stdout.on('data', collect);
  child.stderr.on('data', collect);
  child.once('error', (error) => (spawnError = error));
  // Not `close`: what it started itself may outlive it and hold its output open.
  const gone = new Promise<void>((resolve) => {
    child.once('exit', () => {
      running.delete(child);
      resolve();
    });
  });
  const ended = (): boolean => child.exitCode !== null || child.signalCode !== null;
  const stop = async (graceMs = 3000): Promise<void> => {
    if (!ended() && spawnError === undefined) {
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
      await gone;
      clearTimeout(timer);
    }
    child.stdout.destroy();
    child.stderr.destroy();
  };
  const deadline = Date.now() + (options.timeoutMs ?? START_MS);
  for (;;) {
    if (spawnError) throw new Error(`${command} did not start: ${spawnError.message}`);
    if (ended()) throw new Error(`${command} ended at once:\n${text}`);
    if (await options.ready(text)) return { child, output: () => text, stop };
    if (Date.now() > deadline) {
      await stop();
      throw new Error(`${command} was not ready in time:\n${text}`);
    }
    await delay(50);
  }
}

let wrapper: readonly string[] | undefined;

/**
 * The words before a command that make the kernel end it when this process ends, however that happens: a test run that is killed
 * leaves no servers behind, nor does jest, in which `exit` handlers never run. Linux with util-linux; elsewhere none.
 */
function diesWithUs(): readonly string[] {
  if (wrapper === undefined) {
    const setpriv = findProgram('setpriv');
    const options = ['--pdeathsig', 'KILL', '--'];
    const works = setpriv !== undefined && spawnSync(setpriv, [...options, process.execPath, '--version']).status === 0;
    wrapper = works ? [setpriv, ...options] : [];
  }
  return wrapper;
}

/** True when something accepts connections on the port. */
export async function portOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => {
      resolve(false);
    });
  });
}

/** A folder under the system's temporary folder. */
export function tempFolder(name: string): string {
  return mkdtempSync(join(tmpdir(), `lifeboat-${name}-`));
}

export interface Certificate {
  certFile: string;
  keyFile: string;
  cert: string;
  key: string;
}

/** A self-signed certificate for localhost and 127.0.0.1, good for a week, written into `folder`. Trust it with `trustHere`, in child processes with NODE_EXTRA_CA_CERTS. */
export async function selfSignedCertificate(folder: string, extraNames: string[] = []): Promise<Certificate> {
  // A name of its own: among several roots of one name OpenSSL takes the first, which is another server's.
  const pems = await generate([{ name: 'commonName', value: `localhost ${randomBytes(4).toString('hex')}` }], {
    keySize: 2048,
    notAfterDate: new Date(Date.now() + 7 * 86_400_000),
    extensions: [
      { name: 'basicConstraints', cA: true },
      {
        name: 'subjectAltName',
        altNames: [...['localhost', ...extraNames].map((value) => ({ type: 2 as const, value })), { type: 7 as const, ip: '127.0.0.1' }],
      },
    ],
  });
  const certFile = join(folder, 'cert.pem');
  const keyFile = join(folder, 'key.pem');
  writeFileSync(certFile, pems.cert);
  writeFileSync(keyFile, pems.private, { mode: 0o600 });
  return { certFile, keyFile, cert: pems.cert, key: pems.private };
}

/**
 * Makes this process trust a certificate for every TLS connection it opens from now on, beside those it trusted before.
 * NODE_EXTRA_CA_CERTS is read only when a process starts: that is the way for the processes under test.
 */
export function trustHere(certificate: Certificate): void {
  setDefaultCACertificates([...getCACertificates('default'), certificate.cert]);
}
