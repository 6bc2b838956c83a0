// The first lines of every Azure task. The agent may start a task on Node.js 20 although it brings Node.js 24 along, and only 24 has
// zstd: then the task starts itself again on the agent's own 24. Runs on Node.js 20, and must not load anything that needs more.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const NEEDED_MAJOR = 24;

/**
 * Runs `start` here when this Node.js is new enough, else runs the same script again on one that is.
 * Inputs stay in the environment (task-lib has not been loaded yet), so the second process finds everything.
 */
export async function onNode24(script: string, start: () => Promise<unknown>): Promise<void> {
  if (major(process.versions.node) >= NEEDED_MAJOR) {
    await start();
    return;
  }
  const node = findNode24();
  if (node === undefined) {
    const message =
      `This task needs Node.js ${NEEDED_MAJOR}, but runs on ${process.version} and the agent has no newer one. ` +
      'Update the agent to 4.265.1 or newer, or put Node.js 24 on PATH.';
    process.stdout.write(`##vso[task.logissue type=error;source=TaskInternal;]${message}\n##vso[task.complete result=Failed;]${message}\n`);
    return;
  }
  process.exitCode = await runAgain(node, script);
}

function major(version: string): number {
  return Number.parseInt(version, 10);
}

/** The agent's bundled Node.js 24, else one on PATH. */
function findNode24(): string | undefined {
  const program = process.platform === 'win32' ? 'node.exe' : 'node';
  const agent = process.env['AGENT_HOMEDIRECTORY'];
  const bundled =
    agent === undefined ? [] : [join(agent, 'externals', 'node24', 'bin', program), join(agent, 'externals', 'node24', program)];
  return [...bundled.filter((file) => existsSync(file)), 'node24', program].find((candidate) => {
    const answer = spawnSync(candidate, ['--version'], { encoding: 'utf8', timeout: 10_000 });
    return answer.status === 0 && major(answer.stdout.replace(/^v/, '')) >= NEEDED_MAJOR;
  });
}

/** The exit code of the script on another Node.js. Signals are handed on; ours is not cut short by them. */
async function runAgain(node: string, script: string): Promise<number> {
  const child = spawn(node, [script], { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal));
  const code = await new Promise<number | null>((resolve) => {
    child.once('error', (error) => {
      process.stdout.write(`##vso[task.complete result=Failed;]Node.js ${NEEDED_MAJOR} at ${node} did not start: ${error.message}\n`);
      resolve(1);
    });
    child.once('close', resolve);
  });
  // A child that was killed has not said how it ended.
  if (code === null) process.stdout.write('##vso[task.complete result=Failed;]The task was killed.\n');
  return code ?? 1;
}
