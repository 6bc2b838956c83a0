// Block sizes, so that no backup runs into Azure's limits after hours of work.
import { expect, test } from '@jest/globals';
import { blockSize, readBlockId } from '../../shared/stores/azure/put.ts';

const MAX_BLOCKS = 50_000;
const GIB = 2 ** 30;
const TIB = 2 ** 40;

/** Bytes that fit into a blob of at most 50,000 blocks. */
function capacity(estimate?: number): number {
  let bytes = 0;
  for (let index = 0; index < MAX_BLOCKS; index += 1) bytes += blockSize(index, estimate);
  return bytes;
}

test('an estimate takes at most a fifth of the blocks', () => {
  for (const estimate of [0, 1, 10 * GIB, 100 * GIB, TIB, 9 * TIB]) {
    let bytes = 0;
    let blocks = 0;
    while (bytes < estimate) bytes += blockSize(blocks++, estimate);
    expect(blocks).toBeLessThanOrEqual(MAX_BLOCKS / 5);
  }
});

test('a stream without an estimate reaches terabytes, and one ten times its estimate fits', () => {
  expect(capacity()).toBeGreaterThan(8 * TIB);
  for (const estimate of [100 * GIB, TIB, 3 * TIB]) expect(capacity(estimate)).toBeGreaterThan(10 * estimate);
});

test('blocks grow, never shrink, and stay below what one request may carry', () => {
  let last = 0;
  for (let index = 0; index < MAX_BLOCKS; index += 100) {
    const size = blockSize(index);
    expect(size).toBeGreaterThanOrEqual(last);
    expect(size).toBeLessThanOrEqual(4000 * 2 ** 20);
    last = size;
  }
  expect(blockSize(0)).toBe(8 * 2 ** 20);
});

test('reads the time out of our block ids, and nothing out of others', () => {
  const id = Buffer.from('lifeboat-6b00fb44-0123456789abcdef-00000001').toString('base64');
  expect(readBlockId(id)).toEqual({ staged: new Date(0x6b00fb44 * 1000), writer: '0123456789abcdef', index: 1 });
  expect(readBlockId(Buffer.from('BlockId000001').toString('base64'))).toBeUndefined();
});
