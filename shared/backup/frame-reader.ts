// Decompression while reading: finds the ends of zstd frames by their headers and decompresses several at once, in order.
// The frame format is RFC 8878 section 3.1. A lying size never makes it allocate or give out more than it was allowed.
import { createZstdDecompress, type ZstdDecompress } from 'node:zlib';
import { errorMessage, type VerificationError } from '../step/errors.ts';
import { damage } from './damage.ts';
import { laneCount, MAX_FRAME_BYTES, rewindOutput, watched, type OutputPlace } from './frames.ts';

const MAGIC = 0xfd2fb528;
/** Room that is never used: a zlib stream that fills its output to the last byte makes itself a new one. */
const SPARE_BYTES = 64;

/** A whole compressed frame, in its lane's input. */
interface Frame {
  /** Compressed bytes. */
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
 * Decompresses a stream of zstd frames. Gives one buffer per frame, which the caller owns (unless `reuse` is set). Pieces of the source need
 * to stay valid only until the next one is asked for.
 * @throws VerificationError naming the place: a frame that is cut, malformed, or larger than it may be
 */
export async function* unpackFrames(source: AsyncIterable<Buffer>, options: UnpackOptions): AsyncGenerator<Buffer> {
  const gatherer = new FrameGatherer(options);
  const queue: Promise<Buffer>[] = [];
  const lanes = Array.from({ length: laneCount() }, () => new UnpackLane());
  let turn = 0;
  const next = async (): Promise<Buffer> => {
    const plain = await (queue.shift() as Promise<Buffer>);
    return options.reuse ? plain : Buffer.from(plain);
  };
  try {
    for await (const piece of source) {
      for (let at = 0; at < piece.length;) {
        const lane = lanes[turn % lanes.length] as UnpackLane;
        at += gatherer.take(piece, at, lane);
        const frame = gatherer.whole();
        if (!frame) continue;
        turn += 1;
        queue.push(watched(unpack(lane, frame, options)));
        // The lane whose turn it is now must be free before the next frame is gathered in it.
        if (queue.length === lanes.length) yield await next();
      }
    }
    gatherer.end();
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
  /** Where a frame is gathered. */
  input: Buffer = Buffer.alloc(0);
  #stream: (ZstdDecompress & OutputPlace) | undefined;
  #capacity = 0;
  #pieces: Buffer[] = [];
  #plainBytes = 0;
  #expected = 0;
  #fail: (error: Error) => void = () => undefined;

  /** Makes room for so many bytes of input, keeping the first `filled`. */
  reserve(bytes: number, filled: number): void {
    if (bytes <= this.input.length) return;
    const larger = Buffer.allocUnsafeSlow(bytes + (bytes >> 1));
    larger.set(this.input.subarray(0, filled));
    this.input = larger;
  }

  /** Decompresses the frame that was gathered. What it gives is valid until the next call. */
  async unpack(frame: Frame): Promise<Buffer> {
    const stream = this.#streamFor(frame.plainBytes);
    this.#pieces = [];
    this.#plainBytes = 0;
    this.#expected = frame.plainBytes;
    rewindOutput(stream);
    await new Promise<void>((resolve, reject) => {
      this.#fail = reject;
      stream.write(this.input.subarray(0, frame.length), (error) => {
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

/** Magic number and descriptor. */
const START_BYTES = 5;
const BLOCK_HEADER_BYTES = 3;

/** Gathers a stream into frames, one after the other, never a byte beyond a frame's end: each byte is copied once, into its lane. */
class FrameGatherer {
  readonly #options: UnpackOptions;
  /** Offset of the frame in work in the whole stream, and what of it is there. */
  #offset = 0;
  #filled = 0;
  /** How much must be there before the next look; the frame's end when `#ending`. */
  #need = START_BYTES;
  #ending = false;
  /** Where the next block header is expected; 0 before the frame's own header is known. */
  #at = 0;
  #plainBytes: number | undefined;
  #plainTotal = 0;

  constructor(options: UnpackOptions) {
    this.#options = options;
  }

  /** Takes bytes of `piece` from `start` on, up to the frame's end. @returns how many */
  take(piece: Uint8Array, start: number, lane: UnpackLane): number {
    let at = start;
    while (at < piece.length && !this.#isWhole()) {
      const count = Math.min(piece.length - at, this.#need - this.#filled);
      lane.reserve(this.#need, this.#filled);
      lane.input.set(piece.subarray(at, at + count), this.#filled);
      this.#filled += count;
      at += count;
      if (this.#filled === this.#need && !this.#ending) this.#look(lane.input);
    }
    return at - start;
  }

  /** The frame, once its last byte is there; the next `take` begins another. */
  whole(): Frame | undefined {
    if (!this.#isWhole()) return undefined;
    const frame = { length: this.#filled, plainBytes: this.#plainBytes as number, offset: this.#offset };
    this.#offset += this.#filled;
    this.#filled = 0;
    this.#need = START_BYTES;
    this.#ending = false;
    this.#at = 0;
    this.#plainBytes = undefined;
    return frame;
  }

  /** The stream is over: nothing may be left. */
  end(): void {
    if (this.#filled > 0) throw this.#wrong(`is cut after ${this.#filled} bytes`);
  }

  #isWhole(): boolean {
    return this.#ending && this.#filled === this.#need;
  }

  /** Reads the header that is there now, and says how much is needed next. */
  #look(input: Buffer): void {
    if (this.#at === 0) {
      if (input.readUInt32LE(0) !== MAGIC) throw this.#wrong('does not start as one');
      this.#at = headerBytes(input[4] as number);
      this.#need = this.#at + BLOCK_HEADER_BYTES;
      return;
    }
    this.#plainBytes ??= this.#claimedBytes(input);
    const block = input.readUIntLE(this.#at, BLOCK_HEADER_BYTES);
    const kind = (block >> 1) & 3;
    if (kind === 3) throw this.#wrong('has a block of an unknown kind');
    this.#ending = (block & 1) === 1;
    const checksum = this.#ending && ((input[4] as number) & 4) !== 0;
    this.#at += BLOCK_HEADER_BYTES + (kind === 1 ? 1 : block >> 3) + (checksum ? 4 : 0);
    this.#need = this.#ending ? this.#at : this.#at + BLOCK_HEADER_BYTES;
    // What zstd itself may need for that much input, and a little: a frame of many empty blocks stops here.
    if (this.#at > this.#plainBytes + (this.#plainBytes >> 7) + 1024) throw this.#wrong('is longer than its content can be');
  }

  /** The plain size in the frame's header, which must be there and not too large. */
  #claimedBytes(input: Buffer): number {
    const descriptor = input[4] as number;
    const sizeBytes = sizeFieldBytes(descriptor);
    if (sizeBytes === 0 || (descriptor & 3) !== 0 || (descriptor & 8) !== 0) throw this.#wrong('is not one that this format writes');
    let plainBytes = sizeBytes === 2 ? 256 : 0;
    for (let i = 0; i < sizeBytes; i += 1) plainBytes += (input[this.#at - sizeBytes + i] as number) * 2 ** (8 * i);
    if (plainBytes > (this.#options.maxFrameBytes ?? MAX_FRAME_BYTES))
      throw this.#wrong(`claims ${plainBytes} bytes, more than a frame may hold`);
    this.#plainTotal += plainBytes;
    if (this.#plainTotal > (this.#options.maxPlainBytes ?? Infinity)) throw this.#wrong('makes the content larger than the manifest says');
    return plainBytes;
  }

  #wrong(what: string): VerificationError {
    return damage(`${this.#options.place(this.#offset)}: the zstd frame there ${what}.`);
  }
}

/** Bytes of the whole frame header, by its descriptor. */
function headerBytes(descriptor: number): number {
  const windowBytes = isSingleSegment(descriptor) ? 0 : 1;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3] as number;
  return START_BYTES + windowBytes + dictionaryBytes + sizeFieldBytes(descriptor);
}

/** Bytes of the header's size field, at its end; 0 when the frame does not say its size. */
function sizeFieldBytes(descriptor: number): number {
  const flag = descriptor >> 6;
  return flag > 0 ? 1 << flag : isSingleSegment(descriptor) ? 1 : 0;
}

function isSingleSegment(descriptor: number): boolean {
  return (descriptor & 0x20) !== 0;
}
