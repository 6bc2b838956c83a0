// The way back: stored bytes → regions → frames → plain bytes, checked at every layer. Used by read-back, restore and validation alike.
import { plural } from '../step/format.ts';
import type { Store } from '../stores/store.ts';
import { limitRate } from '../tools/rate-limit.ts';
import { damage } from './damage.ts';
import { decryptRegions, openRegion, regionCount, storedOffset, storedRegion } from './encryption.ts';
import { unpackFrames } from './frame-reader.ts';
import type { Manifest } from './manifest.ts';

/** What a data object must turn out to be. */
export type StoredFacts = Pick<Manifest, 'compression' | 'sizes'>;

export interface ReadStoredOptions {
  store: Store;
  /** The data object's name in the store. */
  dataName: string;
  /** `component timestamp (object name)`, for errors. */
  label: string;
  contentKey: Uint8Array;
  expected: StoredFacts;
  signal?: AbortSignal | undefined;
  /** Stored bytes read so far. */
  onProgress?: ((storedBytes: number) => void) | undefined;
  /** Each piece given out is valid only until the next one is asked for: enough for an inspector, and a third of the memory. */
  reuse?: boolean | undefined;
  /** Stored bytes per second, at most; unlimited when absent. */
  limitRate?: number | undefined;
}

/**
 * Streams the plain bytes of a data object. Every byte given out has passed its region's tag; that all of it was given out is
 * certain only when the stream ends without an error. Size, number and order of the regions are held against the manifest, whose HMAC
 * stands under the same key: that covers every stored byte, so the manifest's SHA-256, which costs a tenth of a restore, is left to those
 * who have no key (copies, strangers).
 * @throws VerificationError naming the backup, the object and the byte offset in the stored object
 */
export async function* readStored(options: ReadStoredOptions): AsyncGenerator<Buffer> {
  const { label, expected } = options;
  const { sizes, compression } = expected;
  let stored = 0;
  let plain = 0;
  let frames = 0;
  const bytes = options.store.open(options.dataName, { signal: options.signal, reuse: true });
  const { limitRate: bytesPerSecond, signal } = options;
  const compressed = decryptRegions(bytesPerSecond === undefined ? bytes : limitRate(bytes, { bytesPerSecond, signal }), {
    contentKey: options.contentKey,
    label,
    storedBytes: sizes.stored,
    // Unpacking copies what it is given.
    reuse: compression.algorithm === 'zstd' || options.reuse === true,
    onStored(bytes) {
      stored += bytes.length;
      if (stored > sizes.stored) throw damage(`${label} has bytes after its end at byte ${sizes.stored}.`);
      options.onProgress?.(stored);
    },
  });
  const pieces =
    compression.algorithm === 'zstd'
      ? unpackFrames(compressed, {
          maxPlainBytes: sizes.plain,
          maxFrameBytes: compression.frameBytes,
          place: (offset) => `${label} at byte ${storedOffset(offset)}`,
          reuse: options.reuse === true,
        })
      : compressed;
  for await (const piece of pieces) {
    plain += piece.length;
    frames += 1;
    yield piece;
  }
  if (stored !== sizes.stored) throw damage(`${label} is cut at byte ${stored}: ${sizes.stored} bytes were written.`);
  if (plain !== sizes.plain) throw damage(`${label} holds ${plain} bytes of content instead of ${sizes.plain}.`);
  if (compression.algorithm === 'zstd' && frames !== compression.frames) {
    throw damage(`${label} holds ${plural(frames, 'zstd frame')} instead of ${compression.frames}.`);
  }
}

/** `verify: sample` reads the first, the last, and one region in so many. A prime: no daily, weekly or monthly rhythm misses a part for ever. */
export const SAMPLE_OF = 11;

/** Which regions a sample reads: the first, the last, and one in so many. */
export interface Sample {
  /** One region in `of` is read. */
  of: number;
  /** Which one: 0 to `of` - 1. Rotating it makes `of` runs read everything. */
  part: number;
}

/**
 * Reads some regions by range and proves each by its tag: that it is there, in its place, and unchanged.
 * @returns the number of regions read
 * @throws VerificationError naming the byte range
 */
export async function readSample(options: ReadStoredOptions, sample: Sample, onRead?: (storedBytes: number) => void): Promise<number> {
  const { sizes } = options.expected;
  const regions = regionCount(sizes.compressed);
  let read = 0;
  for (let index = 0; index < regions; index += 1) {
    if (index !== 0 && index !== regions - 1 && index % sample.of !== sample.part) continue;
    const range = storedRegion(index, sizes.stored);
    const parts: Uint8Array[] = [];
    for await (const chunk of options.store.open(options.dataName, { ...range, signal: options.signal })) parts.push(Buffer.from(chunk));
    const bytes = Buffer.concat(parts);
    if (bytes.length !== range.length) throw damage(`${options.label} is cut at byte ${range.offset + bytes.length}.`);
    openRegion(bytes, index, options.contentKey, options.label);
    read += 1;
    onRead?.(range.length);
    options.onProgress?.(range.offset + range.length);
  }
  return read;
}

/**
 * Compares an object's size with what was written.
 * @throws VerificationError when it is missing or has another size
 */
export async function checkStoredSize(options: ReadStoredOptions): Promise<Readonly<Record<string, string>>> {
  const info = await options.store.stat(options.dataName, options.signal);
  if (!info) throw damage(`${options.label} is gone.`);
  const expected = options.expected.sizes.stored;
  if (info.size < expected) throw damage(`${options.label} is cut at byte ${info.size}: ${expected} bytes were written.`);
  if (info.size > expected) throw damage(`${options.label} has bytes after its end at byte ${expected}.`);
  return info.metadata;
}
