// How long is waited before something is asked again, on a clock that tests turn.
import { globSync, readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { sendHttp } from '../../shared/tools/http.ts';
import type { Clock } from '../../shared/tools/clock.ts';
import { delayAfter, retryAfterMs } from '../../shared/tools/retry.ts';

const NOON = new Date('2026-01-01T12:00:00Z');
const answer = (headers: Record<string, string>) => (name: string) => headers[name];

describe('a delay', () => {
  test('doubles with each attempt, up to the longest', () => {
    const delays = [1, 2, 3, 4, 5].map((attempt) => delayAfter(attempt, { firstMs: 500, longestMs: 3000 }));
    expect(delays).toEqual([500, 1000, 2000, 3000, 3000]);
  });

  test('is spread between the two ends, and no further', () => {
    const spread = (random: number): number => delayAfter(3, { firstMs: 100, longestMs: 300, spread: [0.5, 1] }, () => random);
    expect([spread(0), spread(0.5), spread(1)]).toEqual([150, 225, 300]);
  });
});

describe('Retry-After', () => {
  test.each([
    [{ 'retry-after': '3' }, 3000],
    [{ 'retry-after': ' 3 ' }, 3000],
    [{ 'retry-after': '0' }, 0],
    [{ 'retry-after': 'Thu, 01 Jan 2026 12:00:25 GMT' }, 25_000],
    [{ 'retry-after': 'Thu, 01 Jan 2026 11:00:00 GMT' }, 0],
    [{ 'retry-after-ms': '250', 'retry-after': '1' }, 250],
    [{ 'x-ms-retry-after-ms': '40' }, 40],
    [{ 'retry-after-ms': 'soon', 'retry-after': '2' }, 2000],
    [{ 'retry-after': 'soon' }, undefined],
    [{ 'retry-after': '' }, undefined],
    [{}, undefined],
  ])('%j asks for %p ms', (headers: Record<string, string>, expected) => {
    expect(retryAfterMs(answer(headers), NOON)).toBe(expected);
  });
});

test('a request that no one answers is sent again after the delays of its kind', async () => {
  let now = 0;
  const naps: number[] = [];
  const clock: Clock = {
    now: () => new Date(NOON.getTime() + now),
    monotonic: () => now,
    async sleep(milliseconds) {
      naps.push(milliseconds);
      now += milliseconds;
    },
  };
  // Port 9 of this machine: refused at once.
  await expect(sendHttp({ method: 'GET', url: 'http://127.0.0.1:9/', attempts: 4, clock })).rejects.toThrow('after 4 attempts');
  expect(naps).toEqual([500, 1000, 2000]);
});

test('no other file of the product doubles delays or reads Retry-After', () => {
  const own = globSync('**/*.ts', { cwd: 'shared' })
    .filter((file) => file !== 'tools/retry.ts')
    .filter((file) => {
      const code = readFileSync(`shared/${file}`, 'utf8').replace(/^\s*(?:\/\/|\/?\*).*$/gm, '');
      return /2 \*\* \(?(?:attempt|round|tries)|'(?:x-ms-)?retry-after/i.test(code);
    });
  // It shows the header as it came.
  expect(own).toEqual(['vaults/azure-key-vault/requests.ts']);
});
