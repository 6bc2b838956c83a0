// What jest runs amount to: tests counted, the files that get a second chance, and what passed only there.
import { relative } from 'node:path';
import { NEEDS_REFERENCE } from './reference.ts';

/** The part of jest's `--json` output that is read here. */
export interface JestOutput {
  testResults: readonly FileOutput[];
}

export interface FileOutput {
  /** Full path. */
  name: string;
  /** `failed` also when all tests passed, but a hook or an import did not. */
  status: string;
  assertionResults: readonly TestOutput[];
}

export interface TestOutput {
  fullName: string;
  /** `passed`, `failed`, and several words for what was not run. */
  status: string;
  /** More than one when a failed test was tried again on the spot (`jest.retryTimes`). */
  invocations?: number;
}

export interface Tally {
  passed: number;
  failed: number;
  skipped: number;
  /** What passed, but not at once: tests, and whole files. */
  secondTry: string[];
}

/** Full paths of the files in which anything failed. */
export function failedFiles(output: JestOutput): string[] {
  return output.testResults.filter(({ status }) => status === 'failed').map(({ name }) => name);
}

/**
 * Counts a run. @param again the second run of the files that failed in it: what happened there is what counts for them.
 * A file that failed outside of its tests counts as one failure.
 */
export function tally(output: JestOutput, again: JestOutput = { testResults: [] }): Tally {
  const total: Tally = { passed: 0, failed: 0, skipped: 0, secondTry: [] };
  for (const first of output.testResults) {
    const second = again.testResults.find(({ name }) => name === first.name);
    const file = second ?? first;
    const path = relative('', file.name);
    const tests = file.assertionResults;
    const failed = tests.filter(({ status }) => status === 'failed').length;
    const passed = tests.filter(({ status }) => status === 'passed');
    total.passed += passed.length;
    total.failed += failed === 0 && file.status === 'failed' ? 1 : failed;
    total.skipped += tests.length - passed.length - failed;
    if (second && second.status !== 'failed') total.secondTry.push(`${path} (the whole file)`);
    for (const { fullName, invocations = 1 } of passed) if (invocations > 1) total.secondTry.push(`${path}: ${fullName}`);
  }
  return total;
}

/** Files of a run without the reference that tell nothing: no test of them ran, although not every one says that it needs the reference. */
export function silentFiles(output: JestOutput): string[] {
  return output.testResults
    .filter(({ assertionResults: tests }) => !tests.some(({ status }) => status === 'passed' || status === 'failed'))
    .filter(({ assertionResults: tests }) => tests.length === 0 || !tests.every(({ fullName }) => fullName.includes(NEEDS_REFERENCE)))
    .map(({ name }) => relative('', name));
}

/** The end of the report: first what passed only at the second try, then the counts alone on their line. */
export function closingLines({ passed, failed, skipped, secondTry }: Tally): string[] {
  const told = secondTry.length === 0 ? [] : ['Passed only at the second try:', ...secondTry.map((what) => `  ${what}`), ''];
  return [...told, `${passed} passed, ${failed} failed, ${skipped} skipped`];
}
