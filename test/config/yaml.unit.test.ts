// What can be wrong with a dr.yml as YAML, before anything in it is understood: told with line and column, and quickly.
import { describe, expect, test } from '@jest/globals';
import { parseDr } from '../../shared/config/load.ts';
import { ConfigError } from '../../shared/config/problem.ts';

const GOOD = `version: 1
name: shop
stores: { a: { kind: folder, path: /b } }
components: { db: { kind: mongodb, source: { uri: "\${env:U}" } } }
`;

function problemsOf(content: string): string[] {
  try {
    parseDr(content, 'dr.yml');
  } catch (thrown) {
    if (!(thrown instanceof ConfigError)) throw thrown;
    return thrown.problems.map(({ line, column, message }) => `${line}:${column} ${message}`);
  }
  return [];
}

/** Nine aliases in each of eight lists, each to the list before: 43 million values. */
const BOMB = Array.from({ length: 8 }, (_, level) => {
  const values = Array<string>(9).fill(level === 0 ? 'x' : `*l${level - 1}`);
  return `l${level}: &l${level} [${values.join(',')}]`;
}).join('\n');

describe('line ends and byte order marks', () => {
  test('CR LF and a BOM change nothing', () => {
    expect(problemsOf(`\uFEFF${GOOD.replaceAll('\n', '\r\n')}`)).toEqual([]);
  });

  test('nor do they move the place of a problem', () => {
    const [plain] = problemsOf(`${GOOD}verison: 1\n`);
    expect(plain).toMatch(/^5:1 unknown key/);
    expect(problemsOf(`\uFEFF${GOOD}verison: 1\n`.replaceAll('\n', '\r\n'))).toEqual([plain]);
  });

  test.each([
    ['CR alone', GOOD.replaceAll('\n', '\r'), '1:11 lines end with CR alone: save the file with LF or CR LF'],
    [
      'UTF-16',
      Buffer.from(GOOD, 'utf16le').toString('utf8'),
      '1:2 a character here is not UTF-8: save the file as UTF-8 (not UTF-16 or ANSI)',
    ],
    [
      'Latin-1',
      `${GOOD}# caf${Buffer.from([0xe9]).toString()}`,
      '5:6 a character here is not UTF-8: save the file as UTF-8 (not UTF-16 or ANSI)',
    ],
  ])('%s is told', (_what, content, problem) => {
    expect(problemsOf(content)).toEqual([problem]);
  });
});

describe('nesting without end is told in milliseconds', () => {
  test.each([
    ['brackets', `${GOOD}x: ${'['.repeat(300_000)}`, '5:67'],
    ['braces that close', `${GOOD}x: ${'{a: '.repeat(100_000)}${'}'.repeat(100_000)}`, '5:253'],
    ['dashes', `${GOOD}x:\n  ${'- '.repeat(200_000)}x`, '6:128'],
    ['indentation', `${GOOD}${Array.from({ length: 1000 }, (_, depth) => `${' '.repeat(depth)}a:`).join('\n')}`, '68:65'],
  ])('%s', (_what, content, place) => {
    const started = performance.now();
    expect(problemsOf(content)).toEqual([`${place} nests more than 64 levels deep: this is not a dr.yml`]);
    expect(performance.now() - started).toBeLessThan(2000);
  });
});

describe('aliases', () => {
  test.each([
    ['that multiply', `${GOOD}${BOMB}`, '12:42 uses aliases (*name) more than 100 times: write the values out'],
    [
      'in great number',
      `${GOOD}x: &x 1\ny: [${Array(101).fill('*x').join(', ')}]`,
      '6:405 uses aliases (*name) more than 100 times: write the values out',
    ],
    ['that go in a circle', `${GOOD}x: &x\n  y: [*x]`, '6:7 *x stands inside of &x itself: it would have no end'],
    ['to nothing', `${GOOD}x: *y`, '5:4 there is no anchor &y above'],
    ['as a merge of no mapping', `${GOOD}x: { <<: 3 }`, '5:6 << takes in a mapping, such as *defaults'],
  ])('%s', (_what, content, problem) => {
    expect(problemsOf(content)).toEqual([problem]);
  });
});

describe('slips', () => {
  test.each([
    ['a key twice', `${GOOD}name: x`, '5:1 this key appears twice in the same mapping: keep one of them'],
    [
      'a key twice within braces',
      GOOD.replace('path: /b', 'path: /b, path: /c'),
      '3:40 this key appears twice in the same mapping: keep one of them',
    ],
    ['a tab at the start', 'version: 1\nstores:\n\ta: 1\n', '3:1 a tab indents this line: YAML wants spaces'],
    ['a tab behind spaces', 'version: 1\nstores:\n  a:\n  \tkind: folder\n', '4:3 a tab indents this line: YAML wants spaces'],
    [
      'a second colon',
      'version: 1\nname: shop: x\n',
      '2:7 a second colon follows in what is one value: put it in quotes, or indent the next line as far as its neighbours',
    ],
    ['a list as a key', `${GOOD}? [a, b]\n: c`, '5:3 a key must be a word, not a list or a mapping'],
    ['no key', `${GOOD}: c`, '5:1 a key is missing here'],
    ['a second document', `${GOOD}---\n${GOOD}`, '5:1 a second document starts here (---): dr.yml is one document'],
    ['nothing at all', '# a comment\n', '1:1 is empty. Start with: version: 1'],
  ])('%s', (_what, content, problem) => {
    expect(problemsOf(content)).toEqual([problem]);
  });

  test('a tab between key and value is fine', () => {
    expect(problemsOf(GOOD.replace('version: 1', 'version:\t1'))).toEqual([]);
  });
});
