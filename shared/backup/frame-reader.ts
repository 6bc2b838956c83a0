// Decompression while reading: finds the ends of zstd frames by their headers and decompresses several at once, in order.
// The frame format is RFC 8878 section 3.1. A lying size never makes it allocate or give out more than it was allowed.
import { createZstdDecompress, type ZstdDecompress } from 'node:zlib';
import { errorMessage, type VerificationError } from '../step/errors.ts';
import { damage } from './damage.ts';
import { laneCount, MAX_FRAME_BYTES, rewindOutput, watched, type OutputPlace } from './frames.ts';

const MAGIC = 0xfd2fb528;
/** Room that is never used: a zlib stream that fills its output to the last byte makes itself a new one. */
const SPARE_BYTES = 64;

/** A whole compressed frame. */
interface Frame {
  parts: Buffer[];
  /** Bytes of all parts. */
  length: number;
  /** Plain bytes, as its header says; zstd and we hold it to that. */
  plainBytes: number;
  /** Where it starts in the compressed stream. */
  offset: number;
}

export interface UnpackOptions {
  /** Names the damaged place: gets an offset in the compressed stream. */
  place: (compressedOffset: number) => string;
  /** No frame may claim more plain bytes. */
  maxFrameBytes?: number;
  /** The stream may not hold more plain bytes in all. */
  maxPlainBytes?: number;
  /** Each buffer given out is valid only until the next one is asked for: a few buffers serve the whole stream. */
  reuse?: boolean;
}

/**
 * Decompresses a stream of zstd frames. Gives one buffer per frame, which the caller owns (unless `reuse` is set).
 * @throws VerificationError naming the place: a frame that is cut, malformed, or larger than it may be
 */
export async function* unpackFrames(source: AsyncIterable<Buffer>, options: UnpackOptions): AsyncGenerator<Buffer> {
  const splitter = new FrameSplitter(options);
  const queue: Promise<Buffer>[] = [];
  const lanes = Array.from({ length: laneCount() }, () => new UnpackLane());
  let turn = 0;
  const next = async (): Promise<Buffer> => {
    const plain = await (queue.shift() as Promise<Buffer>);
    return options.reuse ? plain : Buffer.from(plain);
  };
  try {
    for await (const piece of source) {
      splitter.push(piece);
      for (let frame = splitter.next(); frame; frame = splitter.next()) {
        const lane = lanes[turn % lanes.length] as UnpackLane;
        turn += 1;
        queue.push(watched(unpack(lane, frame, options)));
        if (queue.length === lanes.length) yield await next();
      }
    }
    splitter.end();
    while (queue.length > 0) yield await next();
  } finally {
    await Promise.allSettled(queue);
    for (const lane of lanes) lane.close();
  }
}

async function unpack(lane: UnpackLane, frame: Frame, options: UnpackOptions): Promise<Buffer> {
  try {
    return await lane.unpack(frame);
  } catch (cause) {
    throw damage(`${options.place(frame.offset)}: the zstd frame there does not decompress: ${errorMessage(cause)}.`, cause);
  }
}

/** One decompression context with an input and an output buffer for many frames, one at a time. */
class UnpackLane {
  #input: Buffer = Buffer.alloc(0);
  #stream: (ZstdDecompress & OutputPlace) | undefined;
  #capacity = 0;
  #pieces: Buffer[] = [];
  #plainBytes = 0;
  #expected = 0;
  #fail: (error: Error) => void = () => undefined;

  /** Decompresses a frame. What it gives is valid until the next call. */
  async unpack(frame: Frame): Promise<Buffer> {
    const stream = this.#streamFor(frame.plainBytes);
    if (this.#input.length < frame.length) this.#input = Buffer.allocUnsafeSlow(frame.length + (frame.length >> 2));
    let length = 0;
    for (const part of frame.parts) {
      this.#input.set(part, length);
      length += part.length;
    }
    this.#pieces = [];
    this.#plainBytes = 0;
    this.#expected = frame.plainBytes;
    rewindOutput(stream);
    await new Promise<void>((resolve, reject) => {
      this.#fail = reject;
      stream.write(this.#input.subarray(0, length), (error) => {
        if (error) reject(error);
        else resolve();
      });
    });
    if (this.#plainBytes !== frame.plainBytes) throw new Error(`it holds ${this.#plainBytes} bytes and says ${frame.plainBytes}`);
    return this.#pieces.length === 1 ? (this.#pieces[0] as Buffer) : Buffer.concat(this.#pieces);
  }

  close(): void {
    this.#stream?.destroy();
  }

  #streamFor(plainBytes: number): ZstdDecompress & OutputPlace {
    if (this.#stream && plainBytes <= this.#capacity) return this.#stream;
    this.close();
    this.#capacity = plainBytes;
    const stream: ZstdDecompress & OutputPlace = createZstdDecompress({ chunkSize: plainBytes + SPARE_BYTES });
    stream.on('data', (piece: Buffer) => {
      this.#pieces.push(piece);
      this.#plainBytes += piece.length;
      if (this.#plainBytes > this.#expected) stream.destroy(new Error(`it holds more than the ${this.#expected} bytes it says`));
    });
    stream.on('error', (error) => {
      this.#fail(error);
    });
    // It ends by itself only when bytes follow the frame's end.
    stream.on('end', () => {
      this.#fail(new Error('it ends before its last byte'));
    });
    this.#stream = stream;
    return stream;
  }
}

/** Gathers pieces until a frame is whole. */
class FrameSplitter {
  readonly #options: UnpackOptions;
  readonly #pieces: Buffer[] = [];
  #available = 0;
  /** Offset of the first kept byte in the whole stream. */
  #offset = 0;
  #plainTotal = 0;
  /** Within the frame in work: where the next block header is expected, and what the frame's header says. */
  #at = 0;
  #header: { plainBytes: number; checksum: boolean } | undefined;

  constructor(options: UnpackOptions) {
    this.#options = options;
  }

  push(piece: Buffer): void {
    if (piece.length === 0) return;
    this.#pieces.push(piece);
    this.#available += piece.length;
  }

  /** The next whole frame; undefined when more bytes are needed. */
  next(): Frame | undefined {
    this.#header ??= this.#readHeader();
    const header = this.#header;
    if (!header) return undefined;
    // What zstd itself may need for that much input, and a little: a frame of many empty blocks stops here.
    const bound = header.plainBytes + (header.plainBytes >> 7) + 1024;
    for (;;) {
      if (this.#at > bound) throw this.#wrong('is longer than its content can be');
      if (this.#available < this.#at + 3) return undefined;
      const block = this.#byte(this.#at) | (this.#byte(this.#at + 1) << 8) | (this.#byte(this.#at + 2) << 16);
      const kind = (block >> 1) & 3;
      if (kind === 3) throw this.#wrong('has a block of an unknown kind');
      const last = (block & 1) === 1;
      const end = this.#at + 3 + (kind === 1 ? 1 : block >> 3) + (last && header.checksum ? 4 : 0);
      if (end > bound) throw this.#wrong('is longer than its content can be');
      if (this.#available < end) return undefined;
      this.#at = end;
      if (last) return this.#cut(header.plainBytes);
    }
  }

  /** The stream is over: nothing may be left. */
  end(): void {
    if (this.#available > 0) throw this.#wrong(`is cut after ${this.#available} bytes`);
  }

  #readHeader(): { plainBytes: number; checksum: boolean } | undefined {
    if (this.#available < 5) return undefined;
    const magic = (this.#byte(0) | (this.#byte(1) << 8) | (this.#byte(2) << 16) | (this.#byte(3) << 24)) >>> 0;
    if (magic !== MAGIC) throw this.#wrong('does not start as one');
    const descriptor = this.#byte(4);
    const single = (descriptor & 0x20) !== 0;
    const sizeFlag = descriptor >> 6;
    const sizeBytes = sizeFlag === 0 ? (single ? 1 : 0) : 1 << sizeFlag;
    const dictionaryBytes = [0, 1, 2, 4][descriptor & 3] as number;
    const start = 5 + (single ? 0 : 1) + dictionaryBytes;
    if (this.#available < start + sizeBytes) return undefined;
    if (sizeBytes === 0 || dictionaryBytes > 0 || (descriptor & 8) !== 0) throw this.#wrong('is not one that this format writes');
    let plainBytes = sizeFlag === 1 ? 256 : 0;
    for (let i = sizeBytes - 1; i >= 0; i -= 1) plainBytes += this.#byte(start + i) * 2 ** (8 * i);
    if (plainBytes > (this.#options.maxFrameBytes ?? MAX_FRAME_BYTES))
      throw this.#wrong(`claims ${plainBytes} bytes, more than a frame may hold`);
    this.#plainTotal += plainBytes;
    if (this.#plainTotal > (this.#options.maxPlainBytes ?? Infinity)) throw this.#wrong('makes the content larger than the manifest says');
    this.#at = start + sizeBytes;
    return { plainBytes, checksum: (descriptor & 4) !== 0 };
  }

  #wrong(what: string): VerificationError {
    return damage(`${this.#options.place(this.#offset)}: the zstd frame there ${what}.`);
  }

  #byte(index: number): number {
    let rest = index;
    for (const piece of this.#pieces) {
      if (rest < piece.length) return piece[rest] as number;
      rest -= piece.length;
    }
    throw new RangeError('beyond the gathered bytes');
  }

  #cut(plainBytes: number): Frame {
    const length = this.#at;
    const parts: Buffer[] = [];
    let rest = length;
    while (rest > 0) {
      const piece = this.#pieces[0] as Buffer;
      if (piece.length <= rest) {
        parts.push(piece);
        this.#pieces.shift();
        rest -= piece.length;
      } else {
        parts.push(piece.subarray(0, rest));
        this.#pieces[0] = piece.subarray(rest);
        rest = 0;
      }
    }
    const frame = { parts, length, plainBytes, offset: this.#offset };
    this.#offset += length;
    this.#available -= length;
    this.#at = 0;
    this.#header = undefined;
    return frame;
  }
}
