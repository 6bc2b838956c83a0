// Repeatable chance: the same seed gives the same data on every machine, so that two loads can be compared byte for byte.
import { createCipheriv, createHash, type Cipheriv } from 'node:crypto';

export class SeededRandom {
  #state: number;
  readonly #cipher: Cipheriv;

  constructor(seed: string) {
    const hash = createHash('sha256').update(seed).digest();
    this.#state = hash.readUInt32LE(0);
    this.#cipher = createCipheriv('aes-128-ctr', hash.subarray(0, 16), hash.subarray(16, 32));
  }

  /** A number in [0, 1), 32 bits of it random (mulberry32). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number in [0, limit). */
  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  /** One of a list that is not empty. */
  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }

  /** True with the given probability. */
  chance(probability: number): boolean {
    return this.next() < probability;
  }

  /** Bytes that no compression makes smaller, like photos and videos. */
  bytes(length: number): Buffer {
    return this.#cipher.update(Buffer.alloc(length));
  }
}
