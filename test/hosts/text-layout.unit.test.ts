import { describe, expect, test } from '@jest/globals';
import { cutToWidth, displayWidth, inertOnTerminal, padded, wrapMessage, wrapWords } from '../../shared/hosts/text-layout.ts';

test('East Asian characters and emoji take two columns, accents that stand apart none', () => {
  expect(['orders', '日本語', '🚨', 'Å', 'e\u0301', '▁▂█'].map(displayWidth)).toEqual([6, 6, 2, 1, 1, 3]);
});

test('texts are filled up and cut by the width that is seen', () => {
  expect(padded('日本', 6)).toBe('日本  ');
  expect(padded('12', 4, 'right')).toBe('  12');
  expect(cutToWidth('日本語の店', 6)).toBe('日本…');
  expect(cutToWidth('orders', 6)).toBe('orders');
});

describe('wrapping', () => {
  test('breaks between words, and never within one', () => {
    expect(wrapWords('a store at /mnt/backups/very/long/path is full', 12)).toEqual([
      'a store at',
      '/mnt/backups/very/long/path',
      'is full',
    ]);
  });
  test('keeps the indentation of a list', () => {
    expect(wrapMessage('two failed:\n- mongodb-login: the password is wrong', 20)).toBe(
      'two failed:\n- mongodb-login: the\n  password is wrong',
    );
  });
  test('a command line stays in one piece, to be copied', () => {
    const command = 'Run next: lifeboat backup-validation --component mongodb --timestamp 20241201_120000';
    expect(wrapMessage(command, 40)).toBe(command);
    expect(wrapMessage('  Takes      about 0.8s: proof 0.1s, writing 0.1s', 34)).toBe(
      '  Takes      about 0.8s: proof\n             0.1s, writing 0.1s',
    );
  });
});

test('what a terminal would obey is shown as a mark instead', () => {
  expect(inertOnTerminal('a\u001b]0;title\u0007b\r\nc\td\u202ee')).toBe('a\ufffd]0;title\ufffdb\nc\td\ufffde');
});
