// The end of a process: what was printed is out, then it is over, whatever connection still lingers.
import { outputFailure, surviveLostOutput } from '../hosts/output.ts';

/** Ends the process with `process.exitCode` once standard output and error have been taken; output that was lost is a failure. */
export async function endProcess(): Promise<never> {
  surviveLostOutput();
  await Promise.all([drained(process.stdout), drained(process.stderr)]);
  const failure = outputFailure();
  if (failure && !process.exitCode) {
    // EXIT_CODES.failed, without loading more than an old Node.js understands.
    process.exitCode = 1;
    process.stderr.write(`error: The output could not be written: ${failure.message}\n`);
    await drained(process.stderr);
  }
  process.exit();
}

function drained(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    stream.once('error', () => {
      resolve();
    });
    stream.write('', () => {
      resolve();
    });
  });
}
