// Property: whatever the sizes of content, frames, pieces and regions are, what is written is what is read.
import fc from 'fast-check';
import { describe, expect, test } from '@jest/globals';
import { decryptRegions, REGION_BYTES, REGION_OVERHEAD, RegionEncoder, regionCount, storedSize } from '../../shared/backup/encryption.ts';
import { unpackFrames } from '../../shared/backup/frame-reader.ts';
import { packFrames } from '../../shared/backup/frames.ts';
import { newContentKey } from '../../shared/backup/content-key.ts';
import { collect, countingInspector, inPieces, MIB, noise, world } from './support.ts';

const material = noise(9 * MIB);
/** Sizes around the edges of what is cut in pieces, and some of anything between. */
const near = (edge: number): fc.Arbitrary<number> => fc.integer({ min: Math.max(0, edge - 1), max: edge + 1 });

/** Nothing, a byte, and a byte to either side of what one region and one frame hold; then the same of two. */
const EDGES = [0, 1, REGION_BYTES - 1, REGION_BYTES, REGION_BYTES + 1, 2 * REGION_BYTES + 1];

async function packed(plain: Buffer, frameBytes: number, pieceBytes: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const { pieces } of packFrames(
    inPieces(plain, pieceBytes),
    { algorithm: 'zstd', level: 1, frameBytes },
    countingInspector(),
  )) {
    parts.push(...pieces.map((piece) => Buffer.from(piece)));
  }
  return Buffer.concat(parts);
}

function encrypted(key: Uint8Array, bytes: Buffer, pieceBytes: number): Buffer {
  const encoder = new RegionEncoder(key);
  const parts: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    parts.push(...encoder.update(bytes.subarray(at, at + pieceBytes)).map((part) => Buffer.from(part)));
  }
  return Buffer.concat([...parts, ...encoder.end()]);
}

describe('a round trip', () => {
  test('through frames gives back the same bytes for any size, frame and piece', async () => {
    const frame = fc.constantFrom(1024, 4096, 65_536);
    const cases = frame.chain((frameBytes) =>
      fc.tuple(
        fc.constant(frameBytes),
        fc.oneof(near(0), near(frameBytes), near(3 * frameBytes), fc.nat(5 * frameBytes)),
        fc.integer({ min: 1, max: 2 * frameBytes }),
        fc.integer({ min: 1, max: 2 * frameBytes }),
      ),
    );
    await fc.assert(
      fc.asyncProperty(cases, async ([frameBytes, length, piece, readPiece]) => {
        const plain = material.subarray(0, length);
        const bytes = await packed(plain, frameBytes, Math.max(piece, 64));
        const back = await collect(
          unpackFrames(inPieces(bytes, Math.max(readPiece, 16)), { place: String, maxFrameBytes: frameBytes, maxPlainBytes: length }),
        );
        expect(back.equals(plain)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  test('through regions gives back the same bytes at every edge of 4 MiB', async () => {
    const edges = fc.oneof(near(0), near(REGION_BYTES), near(2 * REGION_BYTES));
    const piece = fc.oneof(near(REGION_BYTES), near(256 * 1024), fc.integer({ min: 50_000, max: 5 * MIB }));
    await fc.assert(
      fc.asyncProperty(edges, piece, piece, async (length, writePiece, readPiece) => {
        const key = newContentKey();
        const plain = material.subarray(0, length);
        const stored = encrypted(key, plain, writePiece);
        expect(stored.length).toBe(storedSize(length));
        expect(stored.length).toBe(length + regionCount(length) * REGION_OVERHEAD);
        const back = await collect(
          decryptRegions(inPieces(stored, readPiece), { contentKey: key, label: 'test', storedBytes: stored.length }),
        );
        expect(back.equals(plain)).toBe(true);
      }),
      {
        numRuns: 16,
        examples: EDGES.map((length, index) => [length, REGION_BYTES - 1 + (index % 3), REGION_BYTES + 1 - (index % 3)]),
      },
    );
  });

  test.each(EDGES)(
    'of a whole backup of %i bytes gives back the same bytes, compressed or not, wherever its source is cut',
    async (length) => {
      const plain = material.subarray(0, length);
      for (const algorithm of ['zstd', 'none'] as const) {
        for (const piece of [REGION_BYTES - 1, REGION_BYTES + 1]) {
          const made = world();
          const { manifest } = await made.write(inPieces(plain, piece), { compression: { algorithm } });
          expect(manifest.sizes.plain).toBe(length);
          expect((await collect((await made.open()).plain())).equals(plain)).toBe(true);
          await expect(made.verify()).resolves.toMatchObject({ level: 'full', storedBytesRead: manifest.sizes.stored });
        }
      }
    },
  );
});
