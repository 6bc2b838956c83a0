// Test files that read the reference material beside the project: CI runs them once more as in a stranger's clone, which has none.
import { globSync, readFileSync } from 'node:fs';

/** Set to 1, the tests take the reference for missing (test/support/needs.ts). */
export const HIDE_REFERENCE = 'LIFEBOAT_HIDE_REFERENCE';

/** Stands in the name of a test that is skipped where there is no reference. */
export const NEEDS_REFERENCE = 'needs ../shared/';

/** The test files of a project that say that they need the reference. */
export function filesWithReference(project: string): string[] {
  return globSync(`test/**/*.${project}.test.ts`)
    .filter((file) => /\b(?:describeWithReference|sharedReference)\b/.test(readFileSync(file, 'utf8')))
    .sort();
}
