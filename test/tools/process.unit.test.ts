// Outside programs that do not end as they should.
import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { CancelledError } from '../../shared/step/errors.ts';
import { killChildren } from '../../shared/tools/child-group.ts';
import { runStreaming, withDeadline, type StreamingProcess } from '../../shared/tools/process.ts';

/** A shell whose child outlives it and holds its pipes, as sign-in helpers of kubectl do. Both last a minute. */
const LEAVES_A_CHILD = ['-c', 'sleep 60 & echo ready; exec sleep 60'];

const hasSpoken = (program: StreamingProcess): Promise<unknown> => new Promise((resolve) => program.stdout.once('data', resolve));

test('a cancel does not wait for what a program has started itself', async () => {
  const cancel = new AbortController();
  const program = runStreaming('sh', LEAVES_A_CHILD, { signal: cancel.signal, killAfterMs: 200 });
  program.stdin.end();
  await hasSpoken(program);
  const started = performance.now();
  cancel.abort();
  await expect(program.ended).rejects.toThrow(CancelledError);
  expect(performance.now() - started).toBeLessThan(20_000);
});

test('nor does a stop', async () => {
  const program = runStreaming('sh', LEAVES_A_CHILD, { killAfterMs: 200 });
  program.stdin.end();
  await hasSpoken(program);
  const started = performance.now();
  await program.stop();
  expect(performance.now() - started).toBeLessThan(20_000);
});

/** A shell and a child of it; both ignore SIGTERM, and the child holds none of the pipes. Says the child's process id. */
const STUBBORN = [
  '-c',
  "trap '' TERM; (exec </dev/null >/dev/null 2>&1; while :; do sleep 0.1; done) & echo $!; while :; do sleep 0.1; done",
];

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !existsSync(`/proc/${pid}/stat`) || !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ');
  } catch {
    return false;
  }
}

async function goneSoon(pid: number): Promise<boolean> {
  for (let tries = 0; tries < 50 && isAlive(pid); tries += 1) await new Promise((resolve) => setTimeout(resolve, 20));
  return !isAlive(pid);
}

test.each(['a cancel', 'a stop'])('%s ends what the program has started, too, also when both ignore it', async (how) => {
  const cancel = new AbortController();
  const program = runStreaming('sh', STUBBORN, { signal: cancel.signal, killAfterMs: 100 });
  const child = Number(await hasSpoken(program));
  if (how === 'a cancel') cancel.abort();
  else await program.stop();
  await program.ended.catch(() => undefined);
  expect(await goneSoon(child)).toBe(true);
});

test('the end of the process ends them at once', async () => {
  const program = runStreaming('sh', STUBBORN);
  const child = Number(await hasSpoken(program));
  killChildren();
  expect((await program.ended).signal).toBe('SIGKILL');
  expect(await goneSoon(child)).toBe(true);
});

test('a child of a program that ended by itself is left alone', async () => {
  const program = runStreaming('sh', ['-c', '(exec </dev/null >/dev/null 2>&1; sleep 30) & echo $!']);
  const child = Number(await hasSpoken(program));
  await program.ended;
  await program.stop();
  killChildren();
  expect(isAlive(child)).toBe(true);
  process.kill(child);
});

test('a program that ends at SIGTERM may still say its last words', async () => {
  const lines: string[] = [];
  const script = "trap 'echo saved what there was >&2; exit 0' TERM; echo ready; while :; do sleep 0.05; done";
  const program = runStreaming('sh', ['-c', script], { onLine: (line) => lines.push(line), killAfterMs: 5000 });
  program.stdin.end();
  await hasSpoken(program);
  await program.stop();
  expect(lines).toEqual(['saved what there was']);
});

test('a stream that complains while it is ended early does not take the process down', async () => {
  async function* complaining(): AsyncGenerator<Uint8Array> {
    try {
      yield Buffer.from('some');
      yield Buffer.from('more');
    } finally {
      await Promise.reject(new Error('the pipe broke'));
    }
  }
  const unhandled: unknown[] = [];
  const onUnhandled = (reason: unknown): void => void unhandled.push(reason);
  process.on('unhandledRejection', onUnhandled);
  try {
    for await (const piece of withDeadline(complaining(), 1000, 'mongodump')) if (piece.length > 0) break;
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(unhandled).toEqual([]);
  } finally {
    process.off('unhandledRejection', onUnhandled);
  }
});
