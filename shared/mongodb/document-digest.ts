// Counts, checks and digests the documents of one namespace after another: the hot loop of every verification.
// The digest does not depend on the order of documents, so an archive and a read-back of the restored collection can be compared.
import { createCRC64, createXXHash128, type IHasher } from 'hash-wasm';
import { documentEnd, type DocumentWalker } from './archive.ts';

/** What is known of a namespace's documents after the last one. */
export interface DocumentSums {
  documents: number;
  /** Bytes of BSON. */
  bytes: number;
  /** CRC-64/XZ over all documents in their order; archives carry the same. */
  crc64: bigint;
  /** Sum modulo 2^128 of the XXH3-128 of each document's bytes, 32 hex digits. */
  digest: string;
}

/** Adds up namespaces whose blocks may interleave: `select` one, `walk` its documents, `finish` it. */
export interface DocumentDigest extends DocumentWalker {
  /** The documents walked from now on belong to `name`. */
  select(name: string): void;
  /** The sums of `name`, which is then forgotten. */
  finish(name: string): DocumentSums;
}

interface Running {
  documents: number;
  bytes: number;
  /** State of the CRC, saved while another namespace is selected. */
  crcState: Uint8Array | undefined;
  sum: HashSum;
}

/**
 * Starts the WebAssembly modules (one of each, a few milliseconds).
 * @param options.crc false saves time where there is no archive to compare with; `crc64` is then 0
 */
export async function createDocumentDigest(options: { crc?: boolean } = {}): Promise<DocumentDigest> {
  const [crc, hash] = await Promise.all([createCRC64('c96c5795d7870f42'), createXXHash128()]);
  return new WasmDocumentDigest(options.crc === false ? undefined : crc, hash);
}

class WasmDocumentDigest implements DocumentDigest {
  readonly #crc: IHasher | undefined;
  readonly #hash: IHasher;
  readonly #running = new Map<string, Running>();
  #selected: Running | undefined;

  constructor(crc: IHasher | undefined, hash: IHasher) {
    this.#crc = crc;
    this.#hash = hash;
  }

  select(name: string): void {
    const next = this.#running.get(name) ?? { documents: 0, bytes: 0, crcState: undefined, sum: new HashSum() };
    this.#running.set(name, next);
    if (next === this.#selected) return;
    if (this.#crc) {
      if (this.#selected) this.#selected.crcState = this.#crc.save();
      this.#crc.init();
      if (next.crcState) this.#crc.load(next.crcState);
    }
    this.#selected = next;
  }

  walk(bytes: Uint8Array, start: number): number {
    const selected = this.#selected;
    if (!selected) throw new Error('walk() before select()');
    const hash = this.#hash;
    // hash-wasm wraps a Buffer anew on every call; a plain view saves that.
    const view = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
    let at = start;
    for (let end = documentEnd(view, at); end > 0; end = documentEnd(view, at)) {
      selected.sum.add(hash.init().update(view.subarray(at, end)).digest('binary'));
      selected.documents += 1;
      at = end;
    }
    if (at > start) {
      this.#crc?.update(view.subarray(start, at));
      selected.bytes += at - start;
    }
    return at;
  }

  finish(name: string): DocumentSums {
    this.select(name);
    const { documents, bytes, sum } = this.#running.get(name) as Running;
    const crc64 = this.#crc ? BigInt(`0x${this.#crc.digest()}`) : 0n;
    this.#running.delete(name);
    this.#selected = undefined;
    return { documents, bytes, crc64, digest: sum.hex() };
  }
}

/** A sum modulo 2^128 in four 32-bit lanes; carries are settled only now and then, since doubles hold 2^53. */
class HashSum {
  readonly #lanes = new Float64Array(4);
  #pending = 0;

  /** Adds 16 bytes in big-endian order. */
  add(hash: Uint8Array): void {
    const lanes = this.#lanes;
    for (let lane = 0; lane < 4; lane++) {
      const at = lane * 4;
      lanes[lane] =
        (lanes[lane] as number) +
        ((((hash[at] as number) << 24) | ((hash[at + 1] as number) << 16) | ((hash[at + 2] as number) << 8) | (hash[at + 3] as number)) >>>
          0);
    }
    if (++this.#pending === 1 << 20) this.#settle();
  }

  #settle(): void {
    const lanes = this.#lanes;
    let carry = 0;
    for (let lane = 3; lane >= 0; lane--) {
      const total = (lanes[lane] as number) + carry;
      carry = Math.floor(total / 2 ** 32);
      lanes[lane] = total % 2 ** 32;
    }
    this.#pending = 0;
  }

  hex(): string {
    this.#settle();
    return Array.from(this.#lanes, (lane) => lane.toString(16).padStart(8, '0')).join('');
  }
}
