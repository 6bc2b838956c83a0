import { describe, expect, test } from '@jest/globals';
import { table } from '../../shared/pages/summary.ts';

describe('table', () => {
  const rule = (rows: string[][]): string => table((rows[0] as string[]).map(String), rows).split('\n')[1] as string;

  test('aligns columns of figures to the right, others to the left', () => {
    expect(
      rule([
        ['shop.orders', '1,234', '1.5 KiB', '3m 02s', '+3 %', '▁▂▃'],
        ['shop.users', '7', '-', '8.0s', '-', '▁'],
      ]),
    ).toBe('| --- | ---: | ---: | ---: | ---: | --- |');
  });
  test('a timestamp and a version are no figures, and an unknown one alone is none', () => {
    expect(rule([['20241201_120000', '7.0.42 x', '-', '']])).toBe('| --- | --- | --- |');
  });
  test('a figure and its unit cannot be parted', () => {
    expect(table(['a', 'b'], [['shop', '1.5 KiB']]).split('\n')[2]).toBe('| shop | 1.5\u00a0KiB |');
  });
  test('names from a database cannot break out of their cell', () => {
    expect(table(['a'], [['x|y\n<b>&']]).split('\n')[2]).toBe('| x\\|y &lt;b>&amp; |');
  });
});
