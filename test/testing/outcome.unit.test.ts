// The closing line counts honestly: what a second chance healed is told, what it did not heal fails the run.
import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { closingLines, failedFiles, silentFiles, tally, type FileOutput, type TestOutput } from './outcome.ts';

const passed = (fullName: string, invocations = 1): TestOutput => ({ fullName, status: 'passed', invocations });
const failed = (fullName: string): TestOutput => ({ fullName, status: 'failed', invocations: 2 });
const file = (name: string, status: string, ...assertionResults: TestOutput[]): FileOutput => ({
  name: resolve(name),
  status,
  assertionResults,
});
const GOOD = file('test/a.ts', 'passed', passed('one'), passed('two'));

describe('a run', () => {
  test('counts tests of every status', () => {
    const odd = file(
      'test/b.ts',
      'failed',
      passed('x'),
      failed('y'),
      { fullName: 'z', status: 'pending' },
      { fullName: 'w', status: 'todo' },
    );
    expect(tally({ testResults: [GOOD, odd] })).toEqual({ passed: 3, failed: 1, skipped: 2, secondTry: [] });
    expect(failedFiles({ testResults: [GOOD, odd] })).toEqual([resolve('test/b.ts')]);
  });

  test('a file that could not be loaded, or whose hook failed after all its tests, is one failure', () => {
    const broken = [file('test/b.ts', 'failed'), file('test/c.ts', 'failed', passed('x'))];
    expect(tally({ testResults: broken })).toMatchObject({ passed: 1, failed: 2 });
    expect(failedFiles({ testResults: broken })).toHaveLength(2);
  });

  test('what was tried again on the spot is told', () => {
    const retried = file('test/b.ts', 'passed', passed('slow', 2));
    expect(tally({ testResults: [retried] })).toEqual({ passed: 1, failed: 0, skipped: 0, secondTry: ['test/b.ts: slow'] });
  });
});

describe('the second run of a file', () => {
  const before = { testResults: [GOOD, file('test/b.ts', 'failed', failed('x'), passed('y')), file('test/c.ts', 'failed', passed('z'))] };

  test('is what counts, and is told when it heals', () => {
    const again = { testResults: [file('test/b.ts', 'passed', passed('x'), passed('y')), file('test/c.ts', 'passed', passed('z'))] };
    expect(tally(before, again)).toEqual({
      passed: 5,
      failed: 0,
      skipped: 0,
      secondTry: ['test/b.ts (the whole file)', 'test/c.ts (the whole file)'],
    });
  });

  test('that fails again, or never came to be, fails the run', () => {
    const again = { testResults: [file('test/b.ts', 'failed', passed('x'), failed('y'))] };
    expect(tally(before, again)).toEqual({ passed: 4, failed: 2, skipped: 0, secondTry: [] });
    expect(tally(before, undefined)).toEqual({ passed: 4, failed: 2, skipped: 0, secondTry: [] });
  });
});

test('a file without the reference is good when something of it ran, or all of it needs the reference', () => {
  const needs = { fullName: 'a (needs ../shared/x, which this clone does not have beside it) b', status: 'pending' };
  const other = { fullName: 'a (needs Go 1.24) b', status: 'pending' };
  const files = [GOOD, file('test/b.ts', 'passed', needs), file('test/c.ts', 'passed', needs, other), file('test/d.ts', 'passed')];
  expect(silentFiles({ testResults: files })).toEqual(['test/c.ts', 'test/d.ts']);
});

test('the counts stand alone on the last line', () => {
  const counts = { passed: 5, failed: 0, skipped: 1 };
  expect(closingLines({ ...counts, secondTry: [] })).toEqual(['5 passed, 0 failed, 1 skipped']);
  expect(closingLines({ ...counts, secondTry: ['test/b.ts (the whole file)'] })).toEqual([
    'Passed only at the second try:',
    '  test/b.ts (the whole file)',
    '',
    '5 passed, 0 failed, 1 skipped',
  ]);
});

test('a choice of tests in which there is none fails', () => {
  const run = spawnSync(process.execPath, ['test/testing/command.ts', 'unit', 'test/no-such-room'], { encoding: 'utf8' });
  expect([run.status, run.stdout]).toEqual([1, 'No test was run.\n\n0 passed, 1 failed, 0 skipped\n']);
});
