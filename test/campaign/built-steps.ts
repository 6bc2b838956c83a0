// The built steps as a pipeline runs them: many through one process that has loaded them, some through processes of their own on all three hosts.
import { fork, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { startOnAzure, startOnGithub, startOnTerminal } from '../acceptance/host-process.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
export const DIST = `${ROOT}dist`;
const WORKER = fileURLToPath(new URL('built-worker.ts', import.meta.url));

/** How a run ended, and what it said. */
export interface BuiltRun {
  /** The exit code; null when a signal ended it. */
  code: number | null;
  /** As the host was told; undefined when a crash came before that. */
  outcome: string | undefined;
  /** Everything that was printed. */
  said: string;
  /** The object of `--json`, where it was asked for. */
  json?: BuiltJson | undefined;
}

interface BuiltJson {
  outcome: string;
  result?: unknown;
}

/** Builds `dist/` where it is not up to date. @throws Error with what the build said */
export function ensureBuilt(): void {
  const run = spawnSync(process.execPath, ['scripts/build.ts'], { cwd: ROOT, encoding: 'utf8' });
  if (run.status !== 0) throw new Error(`The build failed:\n${run.stdout}${run.stderr}`);
}

/** A run that takes longer hangs. */
const PATIENCE_MS = 120_000;
/** After so many runs the process is replaced: connections that a run leaves open end with its process, as they do in a pipeline. */
const RUNS_PER_PROCESS = 60;

/** The built steps in one folder with a dr.yml; `run` takes one at a time. */
export class BuiltSteps {
  readonly #env: Readonly<Record<string, string>>;
  readonly #cwd: string;
  #worker: ChildProcess | undefined;
  #runs = 0;
  #said = '';

  /** @param options.cwd where the steps run: the folder with dr.yml */
  constructor(options: { env: Readonly<Record<string, string>>; cwd: string }) {
    this.#env = options.env;
    this.#cwd = options.cwd;
  }

  /** Runs `lifeboat <args> --json` by the built code in the shared process. */
  async run(...words: string[]): Promise<BuiltRun> {
    const args = [...words, '--json'];
    const worker = await this.#ready();
    this.#said = '';
    const answered = new Promise<BuiltRun>((resolve) => {
      const timer = setTimeout(() => worker.kill('SIGKILL'), PATIENCE_MS);
      const done = (run: BuiltRun): void => {
        clearTimeout(timer);
        worker.off('message', answer);
        worker.off('exit', died);
        resolve(run);
      };
      const answer = (message: { code: number; stdout: string; stderr: string }): void => {
        const json = jsonIn(message.stdout);
        done({ code: message.code, outcome: json?.outcome, said: message.stdout + message.stderr, json });
      };
      const died = (code: number | null): void => {
        this.#worker = undefined;
        done({ code, outcome: undefined, said: `${this.#said}\nthe process ended in the middle of ${args.join(' ')}` });
      };
      worker.once('message', answer);
      worker.once('exit', died);
    });
    worker.send({ args, cwd: this.#cwd });
    return answered;
  }

  async #ready(): Promise<ChildProcess> {
    this.#runs += 1;
    if (this.#worker && this.#runs % RUNS_PER_PROCESS === 0) await this.close();
    if (this.#worker) return this.#worker;
    const worker = fork(WORKER, [DIST], {
      env: this.#processEnv(),
      cwd: this.#cwd,
      execArgv: ['--disable-warning=ExperimentalWarning'],
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    for (const stream of [worker.stdout, worker.stderr])
      stream?.on('data', (chunk: Buffer) => (this.#said = (this.#said + chunk.toString()).slice(-10_000)));
    await Promise.race([
      once(worker, 'message'),
      once(worker, 'exit').then(() => {
        throw new Error(`the worker did not start: ${this.#said}`);
      }),
    ]);
    this.#worker = worker;
    return worker;
  }

  #processEnv(): Record<string, string> {
    return { ...(process.env as Record<string, string>), ...this.#env };
  }

  /** Starts the real command line in a process (and process group) of its own. */
  start(args: readonly string[], env: Readonly<Record<string, string>> = {}, nodeArgs: readonly string[] = []): ChildProcess {
    return spawn(process.execPath, ['--disable-warning=ExperimentalWarning', ...nodeArgs, `${DIST}/cli.mjs`, ...args], {
      cwd: this.#cwd,
      env: { ...this.#processEnv(), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }

  /** Runs a step's entry of one host in a process of its own. @param inputs by kebab-case name */
  async onHost(host: 'github' | 'azure' | 'terminal', step: string, inputs: Readonly<Record<string, string>>): Promise<BuiltRun> {
    const options = { cwd: this.#cwd, env: this.#env };
    if (host === 'terminal') {
      const args = [step, '--json', ...Object.entries(inputs).flatMap(([name, value]) => [`--${name}`, value])];
      const { exitCode, outcome, log } = await startOnTerminal(`${DIST}/cli.mjs`, { ...options, args }).result;
      return { code: exitCode, outcome, said: log };
    }
    const spelled =
      host === 'github' ? inputs : Object.fromEntries(Object.entries(inputs).map(([name, value]) => [camelCase(name), value]));
    const start = host === 'github' ? startOnGithub : startOnAzure;
    const { outcome, log, exitCode } = await start(`${DIST}/${host}/${step}.mjs`, { ...options, inputs: spelled }).result;
    return { code: exitCode, outcome, said: log };
  }

  /** Ends the shared process. */
  async close(): Promise<void> {
    const worker = this.#worker;
    this.#worker = undefined;
    if (!worker || worker.exitCode !== null || worker.signalCode !== null) return;
    const gone = once(worker, 'exit');
    worker.kill('SIGKILL');
    await gone;
  }
}

/** The last line of standard output that is a JSON object. */
function jsonIn(stdout: string): BuiltJson | undefined {
  const line = stdout
    .trimEnd()
    .split('\n')
    .findLast((text) => text.startsWith('{'));
  try {
    return line === undefined ? undefined : (JSON.parse(line) as BuiltJson);
  } catch {
    return undefined;
  }
}

function camelCase(name: string): string {
  return name.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
}
