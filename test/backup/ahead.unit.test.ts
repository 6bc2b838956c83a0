import { describe, expect, test } from '@jest/globals';
import { ahead } from '../../shared/backup/ahead.ts';
import { release } from '../../shared/tools/release.ts';

async function* numbers(count: number, made: number[]): AsyncGenerator<number, void> {
  for (let n = 0; n < count; n += 1) {
    await Promise.resolve();
    made.push(n);
    yield n;
  }
}

const turns = async (count: number): Promise<void> => {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resume) => setImmediate(resume));
};

describe('a stream that works ahead', () => {
  test('gives everything in order, and runs no further ahead than it may', async () => {
    const made: number[] = [];
    const seen: number[] = [];
    for await (const n of ahead(numbers(20, made), 4, () => undefined)) {
      await turns(3);
      seen.push(n);
      expect(made.length).toBeLessThanOrEqual(n + 4);
      expect(made.length).toBeGreaterThanOrEqual(Math.min(20, n + 4));
    }
    expect(seen).toEqual(Array.from({ length: 20 }, (_, n) => n));
  });

  test('throws what the source throws, after everything before it', async () => {
    async function* failing(): AsyncGenerator<number, void> {
      yield* numbers(3, []);
      throw new Error('the source broke');
    }
    const seen: number[] = [];
    const run = async (): Promise<void> => {
      for await (const n of ahead(failing(), 8, () => undefined)) seen.push(n);
    };
    await expect(run()).rejects.toThrow('the source broke');
    expect(seen).toEqual([0, 1, 2]);
  });

  test('ends a source that hangs when the consumer stops early', async () => {
    const stop = new AbortController();
    const ended: string[] = [];
    async function* hanging(): AsyncGenerator<number, void> {
      try {
        yield 1;
        await new Promise((_, reject) => {
          stop.signal.addEventListener('abort', () => {
            reject(new Error('stopped'));
          });
        });
      } finally {
        ended.push('source');
      }
    }
    for await (const n of ahead(hanging(), 2, () => {
      stop.abort();
    })) {
      expect(n).toBe(1);
      break;
    }
    expect(ended).toEqual(['source']);
  });
});

describe('giving memory back', () => {
  test('an item is told as used when the next one is asked for, not before', async () => {
    const used: number[] = [];
    for await (const n of ahead(
      numbers(5, []),
      4,
      () => undefined,
      (item) => used.push(item),
    )) {
      await turns(3);
      expect(used).toEqual(Array.from({ length: n }, (_, item) => item));
    }
    expect(used).toEqual([0, 1, 2, 3, 4]);
  });

  test('a buffer of its own becomes empty; one that shares its memory, or is small, stays', () => {
    const own = Buffer.allocUnsafeSlow(100_000);
    const part = Buffer.allocUnsafeSlow(200_000).subarray(0, 100_000);
    const small = Buffer.from('abc');
    for (const buffer of [own, part, small]) release(buffer);
    expect([own.length, part.length, small.toString()]).toEqual([0, 100_000, 'abc']);
  });
});
