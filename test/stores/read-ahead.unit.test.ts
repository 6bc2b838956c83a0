// Ranges fetched ahead: in order, and not beyond a cancel.
import { expect, test } from '@jest/globals';
import { CancelledError } from '../../shared/step/errors.ts';
import { readAhead } from '../../shared/stores/read-ahead.ts';

const fetch = (from: number, to: number): Promise<Uint8Array> =>
  Promise.resolve(Uint8Array.from({ length: to - from }, (_, i) => from + i));

test('ranges come in order, the last one short', async () => {
  const seen: number[] = [];
  for await (const range of readAhead({ from: 3, end: 20, rangeBytes: 4, ahead: 3, fetch })) seen.push(...range);
  expect(seen).toEqual(Array.from({ length: 17 }, (_, i) => i + 3));
});

test('a cancel ends the reading although the rest is there already', async () => {
  const cancel = new AbortController();
  let ranges = 0;
  const reading = async (): Promise<void> => {
    for await (const range of readAhead({ from: 0, end: 12, rangeBytes: 4, ahead: 8, signal: cancel.signal, fetch })) {
      ranges += range.length / 4;
      cancel.abort();
    }
  };
  await expect(reading()).rejects.toThrow(CancelledError);
  expect(ranges).toBe(1);
});
