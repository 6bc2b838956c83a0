// Tests that need something a machine may not have say so in one line instead of passing silently.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe } from '@jest/globals';

/** The folder with specifications, schemas and fixtures beside the project; a stranger's clone has none. */
export const sharedReference = fileURLToPath(new URL('../../../shared/', import.meta.url));

/** `describe`, or a skipped one with the reason in its title and on standard error. */
export function describeIf(condition: boolean, reason: string): typeof describe | typeof describe.skip {
  if (condition) return describe;
  process.stderr.write(`skipped: ${reason}\n`);
  return ((title: string, body: () => void) => {
    describe.skip(`${title} (${reason})`, body);
  }) as typeof describe.skip;
}

/** `describe` for tests that read `../shared/<path>`. */
export function describeWithReference(path: string): typeof describe | typeof describe.skip {
  return describeIf(existsSync(sharedReference + path), `needs ../shared/${path}, which this clone does not have beside it`);
}
