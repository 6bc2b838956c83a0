// What users read, judged by its source: plain words, and headings that say how it ended.
import { globSync, readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { expect, test } from '@jest/globals';

const sources = globSync('shared/**/*.ts').map((file) => ({ file, text: readFileSync(file, 'utf8') }));

test('messages and comments say "no one" or "another run", never nobody, somebody, anybody or whoever', () => {
  const found = sources.flatMap(({ file, text }) =>
    text
      .split('\n')
      .filter((line) => /\b(?:nobody|somebody|anybody|whoever)\b/i.test(line))
      .map((line) => `${file}: ${line.trim()}`),
  );
  expect(found).toEqual([]);
});

// A plan has not ended, so its page has no mark; the host writes the page of a step that failed before its own.
const WRITERS = new Set(['pages/summary.ts', 'pages/restore.ts', 'hosts/failure-summary.ts']);

test('every page of a step begins with a heading that carries a mark', () => {
  const found = sources.filter(({ file, text }) => /[`']### /.test(text) && !WRITERS.has(relative('shared', file)));
  expect(found.map(({ file }) => file)).toEqual([]);
});
