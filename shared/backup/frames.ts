// Compression while writing: independent zstd frames, several at once on libuv's pool, given out in order.
import { availableParallelism } from 'node:os';
import { constants, createZstdCompress, type ZstdCompress } from 'node:zlib';
import type { Inspector } from './inspector.ts';

/** Plain bytes of a frame unless set otherwise. */
export const FRAME_BYTES = 4 * 1024 * 1024;
/** No frame may be larger: a reader holds whole frames in memory. */
export const MAX_FRAME_BYTES = 64 * 1024 * 1024;

export type Compression =
  | {
      algorithm: 'zstd';
      /** 1 to 19; 3 when absent. */
      level?: number;
      /** Plain bytes of a frame, 1 KiB to 64 MiB; 4 MiB when absent. */
      frameBytes?: number;
    }
  | { algorithm: 'none' };

/** One frame, ready to be encrypted. */
export interface PackedFrame {
  plainBytes: number;
  /** The compressed bytes. Valid until the next frame is asked for. */
  pieces: Uint8Array[];
}

/** Packs one frame at a time from its own buffer. */
interface Lane {
  buffer: Buffer;
  pack(length: number): Promise<Uint8Array[]>;
  close(): void;
}

/**
 * Cuts a stream into frames, compresses them, and shows every plain byte to the inspector meanwhile. A fixed number of frames is in
 * flight, whatever the size. An empty stream is one empty frame, so that `zstd -d` reads it too.
 */
export async function* packFrames(
  source: AsyncIterable<Uint8Array>,
  compression: Compression,
  inspector: Inspector,
): AsyncGenerator<PackedFrame> {
  const frameBytes = compression.algorithm === 'zstd' ? (compression.frameBytes ?? FRAME_BYTES) : FRAME_BYTES;
  const lanes = Array.from({ length: laneCount() }, () =>
    compression.algorithm === 'zstd' ? new ZstdLane(frameBytes, compression.level ?? 3) : copyLane(frameBytes),
  );
  const queue: Promise<PackedFrame>[] = [];
  let inspected: Promise<void> = Promise.resolve();
  let turn = 0;
  let filled = 0;
  let frames = 0;
  const laneOfTurn = (): Lane => lanes[turn % lanes.length] as Lane;
  const start = async (): Promise<void> => {
    const lane = laneOfTurn();
    const plainBytes = filled;
    queue.push(watched(lane.pack(plainBytes).then((pieces) => ({ plainBytes, pieces }))));
    // The pool compresses the buffer while the inspector reads it. An inspector may work elsewhere: one frame is its slack.
    await inspected;
    const inspecting = plainBytes > 0 ? inspector.write(lane.buffer.subarray(0, plainBytes)) : undefined;
    if (inspecting) inspected = watched(inspecting);
    turn += 1;
    frames += 1;
    filled = 0;
  };
  try {
    for await (const chunk of source) {
      for (let taken = 0; taken < chunk.length;) {
        const length = Math.min(chunk.length - taken, frameBytes - filled);
        laneOfTurn().buffer.set(chunk.subarray(taken, taken + length), filled);
        filled += length;
        taken += length;
        if (filled < frameBytes) continue;
        await start();
        if (queue.length === lanes.length) yield (await queue.shift()) as PackedFrame;
      }
    }
    if (filled > 0 || (frames === 0 && compression.algorithm === 'zstd')) await start();
    while (queue.length > 0) yield (await queue.shift()) as PackedFrame;
    await inspected;
  } finally {
    await Promise.allSettled([...queue, inspected]);
    for (const lane of lanes) lane.close();
  }
}

/** Two lanes more than cores, so that one is being filled and one emptied while the others work; libuv's pool has four threads. */
export function laneCount(): number {
  return Math.min(4, availableParallelism() + 2);
}

/** A promise that may fail before it is awaited. */
export function watched<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}

/**
 * One compression context and one output buffer for many frames: with `flush: ZSTD_e_end` each write is a whole frame, and zstd notes its
 * size in the header. Measured on 512 MB: 40 % less CPU than a one-shot zstdCompress per frame, which makes a new context each time.
 */
class ZstdLane implements Lane {
  readonly buffer: Buffer;
  readonly #stream: ZstdCompress & OutputPlace;
  #pieces: Uint8Array[] = [];
  #fail: (error: Error) => void = () => undefined;

  constructor(frameBytes: number, level: number) {
    this.buffer = Buffer.allocUnsafeSlow(frameBytes);
    this.#stream = createZstdCompress({
      chunkSize: compressBound(frameBytes),
      flush: constants.ZSTD_e_end,
      // No checksum of zstd's own: the region's tag guards the stored bytes, the inspector's digests what comes out of them.
      params: { [constants.ZSTD_c_compressionLevel]: level },
    });
    this.#stream.on('data', (piece: Buffer) => this.#pieces.push(piece));
    this.#stream.on('error', (error) => {
      this.#fail(error);
    });
  }

  pack(length: number): Promise<Uint8Array[]> {
    return new Promise((resolve, reject) => {
      this.#fail = reject;
      rewindOutput(this.#stream);
      this.#stream.write(this.buffer.subarray(0, length), (error) => {
        const pieces = this.#pieces;
        this.#pieces = [];
        if (error) reject(error);
        else resolve(pieces);
      });
    });
  }

  close(): void {
    this.#stream.destroy();
  }
}

/** Where a zlib stream of Node writes next in its output buffer. Not documented, but as old as zlib streams. */
export interface OutputPlace {
  _outOffset?: number;
}

/**
 * Lets a zlib stream use its output buffer again from the start, when its earlier output is needed no more. Otherwise each chunk is a
 * fresh allocation of megabytes, and the garbage collector takes as much time as encryption does. Should Node give the field up, the
 * stream allocates as it did; nothing becomes wrong.
 */
export function rewindOutput(stream: OutputPlace): void {
  if (stream._outOffset !== undefined) stream._outOffset = 0;
}

/** What zstd may need for a frame at most (ZSTD_COMPRESSBOUND). With so much room it compresses straight into the output. */
function compressBound(bytes: number): number {
  return bytes + (bytes >> 8) + (bytes < 131072 ? (131072 - bytes) >> 11 : 0) + 64;
}

function copyLane(frameBytes: number): Lane {
  const buffer = Buffer.allocUnsafeSlow(frameBytes);
  return {
    buffer,
    pack: async (length) => (length > 0 ? [buffer.subarray(0, length)] : []),
    close: () => undefined,
  };
}
