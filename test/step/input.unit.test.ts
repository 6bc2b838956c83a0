// Input kinds: what each takes, and what it says to what it does not take.
import { inspect } from 'node:util';
import { describe, expect, test } from '@jest/globals';
import { input, kebabCase, parseDuration, parseSize, Secret } from '../../shared/step/input.ts';

const about = { summary: 'A value.' };

describe.each([
  ['flag', input.flag(about), { true: true, True: true, TRUE: true, false: false, False: false, FALSE: false }],
  ['integer', input.integer(about), { 0: 0, 7: 7, '-3': -3, '007': 7 }],
  [
    'duration',
    input.duration(about),
    {
      '90s': 90_000,
      '30m': 1_800_000,
      '1h30m': 5_400_000,
      '7d': 604_800_000,
      '2w': 1_209_600_000,
      '250ms': 250,
      '1.5h': 5_400_000,
      '1m500ms': 60_500,
    },
  ],
  [
    'size',
    input.size(about),
    { 4096: 4096, '64MiB': 67_108_864, '64mib': 67_108_864, '1.5GB': 1_500_000_000, '2 TiB': 2_199_023_255_552, '10B': 10 },
  ],
  ['list', input.list(about), { 'a, b': ['a', 'b'], 'a\nb\n\n c ': ['a', 'b', 'c'], ',': [], 'a b': ['a b'] }],
  ['timestamp', input.timestamp(about), { '20241201_120000': '20241201_120000', '20240229_235959': '20240229_235959' }],
  ['chosenTimestamp', input.chosenTimestamp(about), { '20241201_120000': '20241201_120000', latest: undefined, Latest: undefined }],
  ['choice', input.choice(['full', 'none'], about), { full: 'full', none: 'none' }],
  ['string', input.string(about), { ' as it is ': ' as it is ' }],
] as const)('%s', (_kind, spec, taken) => {
  test.each(Object.entries(taken as Record<string, unknown>))('takes %j', (text, value) => {
    expect(spec.parse(text)).toEqual(value);
  });
});

test.each([
  [input.flag(about), ['yes', '1', 'tRUE', 'true '], 'expected true or false'],
  [input.integer(about), ['1.5', '1e3', '0x10', '9007199254740992', 'seven', '+1'], 'expected a whole number, such as 7'],
  [input.duration(about), ['30', '30 m', 'm', '-5m', '5 minutes', '1h-30m', '5M'], 'expected a duration, such as 90s, 30m or 1h30m'],
  [input.duration(about), ['9'.repeat(400) + 'd', '99999999999d'], 'expected a duration below 285,000 years'],
  [input.size(about), ['big', '5i', '5 MiB x', '-1MB', '1e3', '64Mbit'], 'expected a size, such as 64MiB or 2GB'],
  [input.size(about), ['9000TiB'], 'expected a size below 8 PiB'],
  [
    input.timestamp(about),
    ['2024-12-01', '20240230_000000', '20241301_000000', '20241201_240000', '20241201_120000\n', '00990101_000000'],
    'expected a timestamp in UTC, such as 20241201_120000',
  ],
  [input.chosenTimestamp(about), ['newest', '20241201', 'latest-1'], 'expected a timestamp in UTC, such as 20241201_120000, or latest'],
  [input.choice(['full', 'none'], about), ['Full', 'ful'], 'expected one of: full, none'],
] as const)('%# says what it expected', (spec, texts, message) => {
  for (const text of texts) expect(() => spec.parse(text)).toThrow(new Error(message));
});

test('parsers are usable outside inputs', () => {
  expect(parseDuration('24h')).toBe(86_400_000);
  expect(parseSize('1KiB')).toBe(1024);
});

test('a secret shows its text to nobody who does not ask for it by name', () => {
  const secret = new Secret('hunter2');
  const shown = [
    String(secret),
    secret.toString(),
    JSON.stringify({ secret }),
    inspect({ secret }, { showHidden: true, depth: 9 }),
    Object.entries(secret).join(),
  ];
  expect(shown.join()).not.toContain('hunter2');
  expect(String(secret)).toBe('***');
  expect(secret.reveal()).toBe('hunter2');
});

test.each([
  ['backupId', 'backup-id'],
  ['dryRun', 'dry-run'],
  ['store', 'store'],
])('%s is spelt %s on GitHub, the terminal and in dr.yml', (camel, kebab) => {
  expect(kebabCase(camel)).toBe(kebab);
});
