import { execFileSync } from 'node:child_process';
import { expect, test } from '@jest/globals';
import { shellLine } from '../../shared/step/shell.ts';

test('a command line in a message means to a shell what it says', () => {
  const words = ['a b', "it's", '$(rm -rf /)', '`x`', 'plain', '--archive=/tmp/my dump', '"q"', '!!', '', 'a\nb', 'ü', '*', '~/x'];
  const line = `for word in ${shellLine(words)}; do printf '%s\\0' "$word"; done`;
  expect(execFileSync('sh', ['-c', line], { encoding: 'utf8' }).split('\0').slice(0, -1)).toEqual(words);
  expect(shellLine(['lifeboat', 'verify', '--config=dr.yml', 'shop/mongodb'])).toBe('lifeboat verify --config=dr.yml shop/mongodb');
});
