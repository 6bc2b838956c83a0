// Standard output and error when they cannot be written: the reader of the log may go away, and the work must go on all the same.

/** A pipe or a terminal whose other end is gone: `| head`, a closed window, a lost connection. */
const READER_GONE = new Set(['EPIPE', 'EIO']);

let failure: NodeJS.ErrnoException | undefined;

function lose(error: NodeJS.ErrnoException): void {
  if (!READER_GONE.has(error.code ?? '')) failure ??= error;
}

/** From now on an output that cannot be written ends nothing. Without this it would be an uncaught exception. */
export function surviveLostOutput(): void {
  for (const stream of [process.stdout, process.stderr]) {
    if (!stream.listeners('error').includes(lose)) stream.on('error', lose);
  }
}

/** Why something was not written although it was wanted, such as a full disk; undefined when all was, or its reader went away. */
export function outputFailure(): Error | undefined {
  return failure;
}
