// What is left out of a test run's screen, and what never is.
import { Readable } from 'node:stream';
import { expect, test } from '@jest/globals';
import { isNoise, withoutNoise } from './jest-lines.ts';

test.each([
  'Test results written to: ../../tmp/lifeboat-jest-abc/result.json',
  'Force exiting Jest: Have you considered using `--detectOpenHandles` to detect async operations that kept running after all tests finished?',
  'A worker process has failed to exit gracefully and has been force exited. This is likely caused by tests leaking due to improper teardown.',
  '\u001B[1mRunning one project: unit\u001B[22m',
  'Jest: importing JSON without an import attribute is deprecated and will be a hard error in the next major. Update the import of "/x/node_modules/a/b.json" (from /x/node_modules/a/c.js): use `with { type: \'json\' }`',
  '(node:4711) ExperimentalWarning: Importing JSON modules is an experimental feature',
  '(node:4711) [DEP0040] DeprecationWarning: The `punycode` module is deprecated.',
  '(Use `node --trace-warnings ...` to show where the warning was created)',
])('left out: %s', (line) => {
  expect(isNoise(line)).toBe(true);
});

test.each([
  'FAIL unit test/a.unit.test.ts',
  '    Expected: "Force exiting Jest: x"',
  '  ● a test › Test results written to: somewhere',
  'Tests:       1 failed, 2 passed, 3 total',
  'skipped: needs Go 1.24',
  'Jest: importing JSON without an import attribute is deprecated and will be a hard error in the next major. Update the import of "/x/a.json" (from /x/shared/c.ts): use …',
  '',
])('shown: %s', (line) => {
  expect(isNoise(line)).toBe(false);
});

test('the last line is shown without a line end, too', async () => {
  const lines: string[] = [];
  await withoutNoise(Readable.from(['PASS a\r\nForce exiting', ' Jest: x\nlast']), (line) => lines.push(line));
  expect(lines).toEqual(['PASS a', 'last']);
});
