import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';

/** The arguments of every `new UsageError(…)` and `new RefusedError(…)`, with where they stand. */
function* thrown(file: string): Generator<{ at: string; given: string }> {
  const text = readFileSync(file, 'utf8');
  for (const match of text.matchAll(/new (?:UsageError|RefusedError)\(/g)) {
    const begin = match.index + match[0].length;
    let open = 1;
    let end = begin;
    for (; open > 0 && end < text.length; end += 1) open += text[end] === '(' ? 1 : text[end] === ')' ? -1 : 0;
    yield { at: `${file}:${text.slice(0, begin).split('\n').length}`, given: text.slice(begin, end - 1) };
  }
}

test('whoever gives something wrong, or is refused, is told what to do', () => {
  const files = globSync('**/*.ts', { cwd: 'shared' }).map((file) => join('shared', file));
  const errors = files.flatMap((file) => [...thrown(file)]);
  expect(errors.length).toBeGreaterThan(40);
  expect(errors.filter(({ given }) => !/\bfix\b/.test(given)).map(({ at }) => at)).toEqual([]);
});
