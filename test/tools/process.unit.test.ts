// Outside programs that do not end as they should.
import { expect, test } from '@jest/globals';
import { CancelledError } from '../../shared/step/errors.ts';
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
