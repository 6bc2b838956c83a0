// Runs programs against each other on the same input: in turn, in alternating order, after a warm-up, several times.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { PipelineResult } from './pipeline.ts';

/** One run's times. */
export interface Sample {
  seconds: number;
  /** User and system time of all its processes; 0 where nobody could know. */
  cpuSeconds: number;
  /** Set by runs of our own. */
  peakBytes?: number;
}

export interface Contender {
  name: string;
  run: () => Promise<Sample>;
  /** Removes what the run left; not timed. */
  clean?: () => void | Promise<void>;
  /** The file it reads: read once before, untimed, so that all find it in memory, whoever ran before them and however long. */
  reads?: string;
  /** Too slow for the caches to matter to it. */
  noWarmUp?: boolean;
}

/** Everything measured of the contenders, by name and in the order of the rounds. */
export type Contest = ReadonlyMap<string, readonly Sample[]>;

/** Holds the contest: first to last, then last to first, and so on. */
export async function contest(contenders: readonly Contender[], rounds: number, say: (line: string) => void): Promise<Contest> {
  const samples = new Map<string, Sample[]>(contenders.map(({ name }) => [name, []]));
  for (let round = 0; round <= rounds; round += 1) {
    for (const contender of round % 2 === 0 ? contenders : contenders.toReversed()) {
      if (round === 0 && contender.noWarmUp) continue;
      await contender.clean?.();
      if (contender.reads !== undefined) await timedShell('cat "$1" > /dev/null', [contender.reads]);
      const sample = await contender.run();
      await contender.clean?.();
      if (round > 0) samples.get(contender.name)?.push(sample);
      const cpu = sample.cpuSeconds > 0 ? `, ${sample.cpuSeconds.toFixed(2)} s CPU` : '';
      say(`${round === 0 ? 'warm-up' : `round ${round}`}: ${contender.name} ${sample.seconds.toFixed(2)} s${cpu}`);
    }
  }
  return samples;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? (sorted[middle] as number) : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

/** How many times as fast `ours` was: the median over the rounds, since two neighbours in time share the machine's mood. */
export function timesFaster(results: Contest, ours: string, theirs: string): number {
  const mine = results.get(ours) ?? [];
  return median((results.get(theirs) ?? []).map(({ seconds }, round) => seconds / (mine[round]?.seconds ?? NaN)));
}

/** `ours 412 MB/s (1.9 s CPU), zstd 583 MB/s`. */
export function describeContest(results: Contest, bytes: number, names: readonly string[] = [...results.keys()]): string {
  return names
    .map((name) => {
      const samples = results.get(name) ?? [];
      const cpu = median(samples.map(({ cpuSeconds }) => cpuSeconds));
      const rate = (bytes / 1e6 / median(samples.map(({ seconds }) => seconds))).toPrecision(3);
      return `${name} ${Number(rate)} MB/s${cpu > 0 ? ` (${cpu.toFixed(1)} s CPU)` : ''}`;
    })
    .join(', ');
}

/** Times a pipe of programs, as a person would type it. `$1`, `$2`… are the arguments. @throws Error with its standard error */
export async function timedShell(script: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Sample> {
  const timed = `set -e -o pipefail\nTIMEFORMAT='times %R %U %S'\ntime {\n${script}\n}`;
  const { stderr } = await finished('bash', ['-c', timed, 'bash', ...args], env);
  const [, real, user, system] = /times (\S+) (\S+) (\S+)\s*$/.exec(stderr) ?? [];
  return { seconds: Number(real), cpuSeconds: Number(user) + Number(system) };
}

/** Runs a task of pipeline.ts in a process of its own. @param feed a shell command whose output it reads */
export async function pipeline(
  args: readonly string[],
  options: { feed?: readonly string[]; env?: NodeJS.ProcessEnv } = {},
): Promise<PipelineResult> {
  const program = [
    process.execPath,
    '--disable-warning=ExperimentalWarning',
    fileURLToPath(new URL('pipeline.ts', import.meta.url)),
    ...args,
  ];
  const script = options.feed ? 'n=$1; shift; "${@:1:n}" | "${@:n+1}"' : 'shift; "$@"';
  const feed = options.feed ?? [];
  const { stdout } = await finished(
    'bash',
    ['-c', `set -e -o pipefail\n${script}`, 'bash', String(feed.length), ...feed, ...program],
    options.env ?? {},
  );
  return JSON.parse(stdout) as PipelineResult;
}

async function finished(command: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<{ stdout: string; stderr: string }> {
  const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  const said = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk: Buffer) => (said.stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (said.stderr = (said.stderr + chunk.toString()).slice(-10_000)));
  const onExit = (): void => {
    child.kill('SIGKILL');
  };
  process.once('exit', onExit);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  process.off('exit', onExit);
  if (code !== 0) throw new Error(`A program of the benchmark ended with ${String(code)}:\n${said.stderr}${said.stdout}`);
  return said;
}
