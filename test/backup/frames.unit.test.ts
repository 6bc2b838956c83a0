// Frames: what is packed is a plain zstd stream, and what is unpacked is bounded, ordered and checked.
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';
import { unpackFrames, type UnpackOptions } from '../../shared/backup/frame-reader.ts';
import { packFrames, type Compression } from '../../shared/backup/frames.ts';
import { VerificationError } from '../../shared/step/errors.ts';
import { collect, countingInspector, inPieces, MIB, noise } from './support.ts';

const options: UnpackOptions = { place: (offset) => `test at byte ${offset}` };

async function pack(plain: Buffer, compression: Compression, pieceBytes?: number): Promise<{ frames: number; bytes: Buffer }> {
  const parts: Buffer[] = [];
  let frames = 0;
  for await (const frame of packFrames(inPieces(plain, pieceBytes), compression, countingInspector())) {
    parts.push(...frame.pieces.map((piece) => Buffer.from(piece)));
    frames += 1;
  }
  return { frames, bytes: Buffer.concat(parts) };
}

describe('frames', () => {
  test.each([0, 1, 4 * MIB - 1, 4 * MIB, 4 * MIB + 1, 12 * MIB])('%d bytes come back the same, by any zstd and by ours', async (length) => {
    const plain = noise(length);
    const { frames, bytes } = await pack(plain, { algorithm: 'zstd' });
    expect(frames).toBe(Math.max(1, Math.ceil(length / (4 * MIB))));
    expect(zstdDecompressSync(bytes).equals(plain)).toBe(true);
    expect((await collect(unpackFrames(inPieces(bytes), options))).equals(plain)).toBe(true);
  });

  test('small frames of a long stream keep their order', async () => {
    const plain = Buffer.concat(
      Array.from({ length: 300 }, (_, i) => Buffer.concat([Buffer.alloc(3000, i % 251), noise(1000, String(i))])),
    );
    const { frames, bytes } = await pack(plain, { algorithm: 'zstd', frameBytes: 4096, level: 1 }, 999);
    expect(frames).toBe(Math.ceil(plain.length / 4096));
    for (const pieceBytes of [1000, 4096, 100_000]) {
      expect((await collect(unpackFrames(inPieces(bytes, pieceBytes), options))).equals(plain)).toBe(true);
    }
  });

  test('frame ends are found when bytes come one by one', async () => {
    const plain = noise(5000);
    const { bytes } = await pack(plain, { algorithm: 'zstd', frameBytes: 1024 });
    expect((await collect(unpackFrames(inPieces(bytes, 1), options))).equals(plain)).toBe(true);
  });

  test('without compression the bytes are the plain ones', async () => {
    const plain = noise(9 * MIB + 5);
    const { bytes } = await pack(plain, { algorithm: 'none' });
    expect(bytes.equals(plain)).toBe(true);
  });

  test('the inspector sees every byte in order, also when it is slow', async () => {
    const plain = noise(100_000);
    const seen: Buffer[] = [];
    const slow = {
      async write(chunk: Uint8Array) {
        const copy = Buffer.from(chunk);
        await new Promise((resolve) => setTimeout(resolve, 1));
        // The buffer must still hold the same bytes when the promise resolves.
        expect(copy.equals(chunk)).toBe(true);
        seen.push(copy);
      },
      end: () => null,
    };
    for await (const frame of packFrames(inPieces(plain, 7000), { algorithm: 'zstd', frameBytes: 4096 }, slow))
      expect(frame.plainBytes).toBeGreaterThan(0);
    expect(Buffer.concat(seen).equals(plain)).toBe(true);
  });

  test.each(['sync', 'async'])('an inspector that throws (%s) ends the stream with its error', async (way) => {
    const failing = {
      write(): void | Promise<void> {
        const error = new VerificationError('not well-formed');
        if (way === 'async') return Promise.reject(error);
        throw error;
      },
      end: () => null,
    };
    const run = async (): Promise<void> => {
      for await (const frame of packFrames(inPieces(noise(50_000)), { algorithm: 'zstd', frameBytes: 4096 }, failing))
        expect(frame).toBeDefined();
    };
    await expect(run()).rejects.toThrow('not well-formed');
  });

  test('a frame that is cut anywhere is named by its offset', async () => {
    const { bytes } = await pack(noise(3000), { algorithm: 'zstd', frameBytes: 1024 });
    const ends = new Set<number>([0]);
    for (let at = 0, next = bytes.indexOf('28b52ffd', 1, 'hex'); next !== -1; at = next, next = bytes.indexOf('28b52ffd', at + 1, 'hex'))
      ends.add(next);
    for (let cut = 1; cut < bytes.length; cut += 1) {
      if (ends.has(cut)) continue;
      await expect(collect(unpackFrames(inPieces(bytes.subarray(0, cut)), options))).rejects.toThrow(
        /test at byte \d+: the zstd frame there is cut/,
      );
    }
  });

  test('a frame may not claim more than it is allowed', async () => {
    const bomb = zstdCompressSync(Buffer.alloc(80 * MIB));
    await expect(collect(unpackFrames(inPieces(bomb), options))).rejects.toThrow('claims 83886080 bytes, more than a frame may hold');
    const small = zstdCompressSync(Buffer.alloc(MIB));
    await expect(collect(unpackFrames(inPieces(small), { ...options, maxFrameBytes: 1000 }))).rejects.toThrow('more than a frame may hold');
    const two = Buffer.concat([small, small]);
    await expect(collect(unpackFrames(inPieces(two), { ...options, maxPlainBytes: MIB }))).rejects.toThrow('larger than the manifest says');
  });

  test('a frame whose header lies about its size gives out nothing', async () => {
    // Single segment, one-byte size 10, then RLE blocks of 128 KiB each.
    const header = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x20, 10]);
    const rle = (last: boolean): Buffer =>
      Buffer.from([((131072 << 3) | 2 | (last ? 1 : 0)) & 255, ((131072 << 3) >> 8) & 255, ((131072 << 3) >> 16) & 255, 65]);
    const lie = Buffer.concat([header, ...Array.from({ length: 200 }, () => rle(false)), rle(true)]);
    await expect(collect(unpackFrames(inPieces(lie), options))).rejects.toThrow(VerificationError);
    const endless = Buffer.concat([header, ...Array.from({ length: 5000 }, () => Buffer.from([0, 0, 0]))]);
    await expect(collect(unpackFrames(inPieces(endless), options))).rejects.toThrow('longer than its content can be');
  });

  test.each([
    ['a foreign magic number', Buffer.from('hello world')],
    ['a skippable frame', Buffer.from('502a4d180400000061626364', 'hex')],
    ['a dictionary', Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x21, 1, 10, 1, 0, 0])],
    ['a reserved block kind', Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x20, 1, 7, 0, 0])],
  ])('%s is refused', async (_, bytes) => {
    await expect(collect(unpackFrames(inPieces(bytes), options))).rejects.toThrow(VerificationError);
  });
});
