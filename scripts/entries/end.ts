// The end of a process: what was printed is out, then it is over, whatever connection still lingers.

/** Ends the process with `process.exitCode` once standard output and error have been taken. */
export async function endProcess(): Promise<never> {
  await Promise.all([drained(process.stdout), drained(process.stderr)]);
  process.exit();
}

function drained(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    // A reader that has gone away (`| head`) must not keep us.
    stream.once('error', () => {
      resolve();
    });
    stream.write('', () => {
      resolve();
    });
  });
}
