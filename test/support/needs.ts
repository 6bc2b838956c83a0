// Tests that need something a machine may not have say so in one line instead of passing silently.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe } from '@jest/globals';
import { HIDE_REFERENCE, NEEDS_REFERENCE } from '../testing/reference.ts';

/**
 * The folder with specifications, schemas and fixtures beside the project; a stranger's clone has none, and CI hides it from a second run.
 * Read it inside tests and hooks only: the body of a `describe` runs even when its tests are skipped (test/layout holds this).
 */
export const sharedReference =
  process.env[HIDE_REFERENCE] === '1' ? '/reference-is-hidden/' : fileURLToPath(new URL('../../../shared/', import.meta.url));

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
  return describeIf(existsSync(sharedReference + path), `${NEEDS_REFERENCE}${path}, which this clone does not have beside it`);
}
