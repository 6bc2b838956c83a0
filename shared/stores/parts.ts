// Sends a stream to a service in parts: parts that grow, so that no stream runs out of numbers, sent in parallel from a fixed set of buffers.
import { CancelledError } from '../step/errors.ts';
import { StoreError } from './errors.ts';
import { blocks, cancellable } from './source.ts';
import type { PutOptions } from './store.ts';

const MIB = 1 << 20;
/** Parts at sea at the same time, and how many bytes they may hold together. One connection to a cloud carries some 60 MB/s. */
const PARALLEL_PARTS = 8;
const MAX_BYTES_IN_FLIGHT = 256 * MIB;
const SMALLEST_PART = 8 * MIB;
const LARGEST_PART = 1024 * MIB;

/** How a service's parts grow. */
export interface Growth {
  /** The estimate is meant to fill so many parts. */
  byEstimate: number;
  /** From there on the size doubles every so many parts. */
  beforeDoubling: number;
}

/** Size of part number `index` (0-based) of a stream of about `sizeEstimate` bytes: 8 MiB to 1 GiB. */
export function growingPart(index: number, sizeEstimate: number, { byEstimate, beforeDoubling }: Growth): number {
  const wanted = Math.ceil(sizeEstimate / byEstimate / MIB) * MIB;
  const first = Math.min(LARGEST_PART, Math.max(SMALLEST_PART, wanted));
  const doublings = Math.max(0, Math.floor((index - byEstimate) / beforeDoubling) + 1);
  return Math.min(LARGEST_PART, first * 2 ** doublings);
}

export interface PartUpload {
  sizeOf(index: number): number;
  /** Sends a part; the buffer is its own until then. The signal is aborted when another part has failed. */
  send(part: Buffer, index: number, signal: AbortSignal): Promise<void>;
  /** Called before the first part is sent, once it is clear that there are several. Absent: the first part is sent at once, whatever follows. */
  begin?: () => Promise<void>;
  /** Bytes safely sent so far. */
  onProgress?: ((bytes: number) => void) | undefined;
  signal?: AbortSignal | undefined;
}

/** One stream on its way. */
export class PartSender {
  readonly #upload: PartUpload;
  /** Aborted by the first part that fails. */
  readonly #stop = new AbortController();
  /** Aborted by the caller's signal or by the first part that fails. */
  readonly signal: AbortSignal;
  readonly #inFlight = new Set<Promise<void>>();
  readonly #spare: Buffer[] = [];
  #bytesInFlight = 0;
  #failure: Error | undefined;
  /** Number of the first part that is sent. */
  #first = 0;
  #done = 0;
  #total = 0;

  constructor(upload: PartUpload) {
    this.#upload = upload;
    this.signal = upload.signal ? AbortSignal.any([upload.signal, this.#stop.signal]) : this.#stop.signal;
  }

  /** Bytes of the stream that were taken so far. */
  get total(): number {
    return this.#total;
  }

  /** Why the stream had to stop: a part's failure is the reason of whatever failed after it. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Tells that parts are there already: the stream goes on behind them. Before `sendAll`. */
  goOn(parts: number, bytes: number): void {
    this.#first = parts;
    this.#total = this.#done = bytes;
    if (bytes > 0) this.#upload.onProgress?.(bytes);
  }

  /**
   * Sends the whole stream. Memory stays within 256 MiB or one part, whatever is larger.
   * @returns with `begin`, a stream of at most one part, which is not sent; else undefined
   * @throws what the source throws, or the first part that failed; then `abort` must be called
   */
  async sendAll(source: AsyncIterable<Uint8Array>): Promise<Buffer | undefined> {
    let first: Buffer | undefined;
    let index = this.#first;
    for await (const part of blocks(cancellable(source, this.signal), (at) => this.#take(this.#first + at))) {
      this.#total += part.length;
      if (index === 0 && this.#upload.begin) first = part;
      else {
        if (first) {
          await this.#upload.begin?.();
          this.#start(first, 0);
          first = undefined;
        }
        this.#start(part, index);
      }
      index += 1;
      while (this.#inFlight.size >= PARALLEL_PARTS || this.#bytesInFlight > MAX_BYTES_IN_FLIGHT) await Promise.race(this.#inFlight);
    }
    while (this.#inFlight.size > 0) await Promise.race(this.#inFlight);
    if (this.#failure) throw this.#failure;
    return this.#upload.begin ? (first ?? (index === 0 ? Buffer.alloc(0) : undefined)) : undefined;
  }

  /** Stops what is under way; nothing is being sent any more when it returns. */
  async abort(): Promise<void> {
    this.#stop.abort(new CancelledError());
    await Promise.allSettled(this.#inFlight);
  }

  #take(index: number): Buffer {
    const size = this.#upload.sizeOf(index);
    const spare = this.#spare.pop();
    return spare?.length === size ? spare : Buffer.allocUnsafeSlow(size);
  }

  #start(part: Buffer, index: number): void {
    this.#bytesInFlight += part.length;
    const sending = this.#upload.send(part, index, this.signal).then(
      () => {
        this.#done += part.length;
        this.#upload.onProgress?.(this.#done);
        this.#spare.push(Buffer.from(part.buffer as ArrayBuffer));
      },
      (thrown: unknown) => {
        // What fails after the stop failed because of it.
        if (!this.#stop.signal.aborted) this.#failure = thrown as Error;
        this.#stop.abort(new CancelledError());
      },
    );
    const tracked = sending.finally(() => {
      this.#bytesInFlight -= part.length;
      this.#inFlight.delete(tracked);
    });
    this.#inFlight.add(tracked);
  }
}

/** Whether what was sent of an upload that failed is left for a later run: nothing is wrong with the bytes, a store or a person stopped it. */
export function keepsForLater({ resume }: PutOptions, failure: unknown): boolean {
  return resume !== undefined && (failure instanceof StoreError || failure instanceof CancelledError);
}
