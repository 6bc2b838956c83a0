// How long a built step takes from its start to the error that names its missing inputs.
import { globSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename } from 'node:path';
import { spawnSync } from 'node:child_process';
import { EXIT_CODES } from '../../shared/step/errors.ts';
import { buildInto, isFresh } from '../../scripts/build.ts';
import type { Group } from './bench.ts';
import { median } from './contest.ts';

const RUNS = 5;

/** The environments in which each host's entry believes that it runs there. @param folder for its files */
const hosts = (folder: string): Record<string, NodeJS.ProcessEnv> => ({
  github: { GITHUB_ACTIONS: 'true', RUNNER_TEMP: folder },
  azure: {
    AGENT_TEMPDIRECTORY: folder,
    AGENT_WORKFOLDER: folder,
    SYSTEM_COLLECTIONURI: 'https://dev.azure.com/bench/',
    AGENT_VERSION: '4.270.0',
  },
});

export const startRow: Group = async (bench) => {
  if (!isFresh('dist')) await buildInto('dist');
  const times: { name: string; ms: number }[] = [];
  for (const [host, env] of Object.entries(hosts(bench.folder))) {
    for (const file of globSync(`dist/${host}/*.mjs`).sort()) {
      const runs = Array.from({ length: RUNS + 1 }, () => timeOf([file], env)).slice(1);
      times.push({ name: `${host} ${basename(file, '.mjs')}`, ms: median(runs) });
    }
  }
  for (const file of globSync('dist/github/*.mjs')) {
    const step = basename(file, '.mjs');
    if (step === 'lifeboat') continue;
    const runs = Array.from({ length: RUNS + 1 }, () => timeOf(['dist/cli.mjs', step], {})).slice(1);
    times.push({ name: `terminal ${step}`, ms: median(runs) });
  }
  for (const { name, ms } of times) bench.say(`${name}: ${ms.toFixed(0)} ms`);
  const slowest = times.toSorted((a, b) => b.ms - a.ms)[0];
  if (!slowest) return { 'cold-start': { skipped: 'dist/ holds no step' } };
  const all = median(times.map(({ ms }) => ms)).toFixed(0);
  return { 'cold-start': { value: slowest.ms, figures: `slowest ${slowest.name}; median of ${times.length} is ${all} ms` } };
};

/** Milliseconds to the end of a process that must complain about its inputs. */
function timeOf(args: string[], env: NodeJS.ProcessEnv): number {
  const started = performance.now();
  const run = spawnSync(process.execPath, args, { env: { PATH: process.env['PATH'], HOME: tmpdir(), ...env }, encoding: 'utf8' });
  const ms = performance.now() - started;
  // An Azure task always exits with 0, and tells the agent how it ended.
  if (run.status !== EXIT_CODES.usage && !run.stdout.includes('##vso[task.complete result=Failed'))
    throw new Error(`${args.join(' ')} did not end with an input error:\n${run.stdout}${run.stderr}`);
  return ms;
}
