// What jest says besides results: known sentences that no one who reads a test run can do anything about.
import type { Readable } from 'node:stream';
import { createInterface } from 'node:readline';

const NOISE: readonly RegExp[] = [
  // We asked for both: the results as a file, and an end although SDKs keep idle connections.
  /^Test results written to: /,
  /^Force exiting Jest: /,
  /^A worker process has failed to exit gracefully and has been force exited\./,
  /^Running one project: /,
  // About imports within packages; one of our own is shown.
  /^Jest: importing JSON without an import attribute is deprecated .*\(from \S*[\\/]node_modules[\\/]/,
  // Node's own, from jest's worker processes.
  /^\(node:\d+\) (?:\[[A-Z0-9]+\] )?(?:ExperimentalWarning|DeprecationWarning|Warning): /,
  /^\(Use `node --trace-(?:warnings|deprecation) \.\.\.` to show where the warning was created\)/,
];

/** True for a line that is left out. Colours do not count. */
export function isNoise(line: string): boolean {
  const plain = line.replace(/\u001B\[[0-9;]*m/g, '');
  return NOISE.some((pattern) => pattern.test(plain));
}

/** Passes lines on without the noise. Resolves when the stream has ended. */
export async function withoutNoise(stream: Readable, say: (line: string) => void): Promise<void> {
  for await (const line of createInterface({ input: stream, crlfDelay: Infinity })) if (!isNoise(line)) say(line);
}
