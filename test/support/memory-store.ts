// A Store in memory for unit tests, with hooks that make it fail, lie and damage what it holds.
import { createHash, randomUUID } from 'node:crypto';
import { throwIfCancelled } from '../../shared/step/errors.ts';
import { LockedError, ObjectExistsError, ObjectMissingError, StoreError } from '../../shared/stores/errors.ts';
import { checkMetadata, checkName, checkPrefix } from '../../shared/stores/names.ts';
import { cancellable } from '../../shared/stores/source.ts';
import type { Lock, LockOptions, ObjectInfo, ReadOptions, PutOptions, Store, WriteOptions } from '../../shared/stores/store.ts';

export type StoreCall = 'put' | 'write' | 'read' | 'stat' | 'open' | 'list' | 'delete' | 'lock' | 'sweep';

export interface CallInfo {
  method: StoreCall;
  /** Object name or prefix. */
  name: string;
  /** How often this method was called before this call, for this store. */
  nth: number;
}

/**
 * Consulted before and after each call; throwing makes the call fail there. A failure `after` is one that the store has carried out:
 * the answer was lost.
 */
export interface StoreFaults {
  before?: (call: CallInfo) => void | Promise<void>;
  after?: (call: CallInfo) => void | Promise<void>;
  /** Changes each chunk that `put` takes or `open` gives; an empty result drops it, throwing cuts the stream. */
  onPutChunk?: (chunk: Uint8Array, offset: number) => Uint8Array;
  onOpenChunk?: (chunk: Uint8Array, offset: number) => Uint8Array;
}

interface StoredObject {
  bytes: Buffer;
  info: ObjectInfo;
}

export interface MemoryStoreOptions {
  faults?: StoreFaults;
  /** Bytes per chunk that `open` gives. */
  chunkBytes?: number;
  now?: () => Date;
}

/** Behaves as `Store` asks; `objects` may be changed by a test at will. */
export class MemoryStore implements Store {
  readonly kind = 'memory';
  readonly location = 'memory:';
  readonly objects = new Map<string, StoredObject>();
  readonly locks = new Map<string, { owner: string; lost: AbortController }>();
  /** Every call so far, in order. */
  readonly calls: CallInfo[] = [];
  /** Most bytes that one `put` held at once is not told here: it keeps everything. */
  faults: StoreFaults;
  readonly #chunkBytes: number;
  readonly #now: () => Date;

  constructor(options: MemoryStoreOptions = {}) {
    this.faults = options.faults ?? {};
    this.#chunkBytes = options.chunkBytes ?? 64 * 1024;
    this.#now = options.now ?? (() => new Date());
  }

  async put(name: string, source: AsyncIterable<Uint8Array>, options: PutOptions = {}): Promise<ObjectInfo> {
    return this.#call('put', name, async () => {
      const parts: Buffer[] = [];
      let offset = 0;
      for await (const chunk of cancellable(source, options.signal)) {
        const taken = this.faults.onPutChunk?.(chunk, offset) ?? chunk;
        parts.push(Buffer.from(taken));
        offset += chunk.length;
        options.onProgress?.(offset);
      }
      return this.#keep(name, Buffer.concat(parts), options);
    });
  }

  async write(name: string, bytes: Uint8Array, options: WriteOptions = {}): Promise<ObjectInfo> {
    return this.#call('write', name, async () => {
      return this.#keep(name, Buffer.from(bytes), options);
    });
  }

  async read(name: string, options: { maxBytes?: number } = {}): Promise<Uint8Array | undefined> {
    return this.#call('read', name, async () => {
      const found = this.objects.get(name);
      const { maxBytes = 64 * 1024 * 1024 } = options;
      if (found && found.bytes.length > maxBytes)
        throw new StoreError(`${name} in ${this.location} is ${found.bytes.length} bytes, more than the ${maxBytes} expected.`);
      return found && Buffer.from(found.bytes);
    });
  }

  async stat(name: string): Promise<ObjectInfo | undefined> {
    return this.#call('stat', name, async () => {
      const found = this.objects.get(name);
      return found && { ...found.info, size: found.bytes.length };
    });
  }

  async setMetadata(name: string, metadata: Record<string, string>): Promise<void> {
    checkMetadata(metadata);
    const found = this.objects.get(name);
    if (!found) throw new ObjectMissingError(`${name} is not in ${this.location}.`);
    this.objects.set(name, { ...found, info: { ...found.info, metadata } });
  }

  async *open(name: string, options: ReadOptions = {}): AsyncGenerator<Uint8Array> {
    await this.#call('open', name, async () => undefined);
    const found = this.objects.get(name);
    if (!found) throw new ObjectMissingError(`${name} is not in ${this.location}.`);
    const start = options.offset ?? 0;
    if (start > found.bytes.length) throw new StoreError(`${name} in ${this.location} is ${found.bytes.length} bytes.`);
    const end = Math.min(found.bytes.length, start + (options.length ?? Infinity));
    for (let at = start; at < end; at += this.#chunkBytes) {
      throwIfCancelled(options.signal);
      const chunk = found.bytes.subarray(at, Math.min(end, at + this.#chunkBytes));
      yield this.faults.onOpenChunk?.(chunk, at) ?? chunk;
    }
  }

  async *list(prefix: string): AsyncGenerator<ObjectInfo> {
    checkPrefix(prefix);
    await this.#call('list', prefix, async () => undefined);
    for (const name of [...this.objects.keys()].sort()) {
      const found = this.objects.get(name);
      if (found && name.startsWith(prefix)) yield { ...found.info, size: found.bytes.length };
    }
  }

  async delete(name: string): Promise<boolean> {
    return this.#call('delete', name, async () => this.objects.delete(name));
  }

  async lock(name: string, options: LockOptions): Promise<Lock> {
    return this.#call('lock', name, async () => {
      const held = this.locks.get(name);
      if (held) throw new LockedError(`${name} in ${this.location} is locked by ${held.owner}.`);
      const lost = new AbortController();
      const mine = { owner: options.owner, lost };
      this.locks.set(name, mine);
      return {
        lost: lost.signal,
        release: async () => {
          if (this.locks.get(name) === mine) this.locks.delete(name);
        },
      };
    });
  }

  async sweep(prefix: string): Promise<number> {
    return this.#call('sweep', prefix, async () => 0);
  }

  /** Breaks a lock as if its holder had been away too long. */
  breakLock(name: string): void {
    this.locks.get(name)?.lost.abort();
    this.locks.delete(name);
  }

  /** The bytes of an object, to be changed in place. Throws when it is not there. */
  bytes(name: string): Buffer {
    const found = this.objects.get(name);
    if (!found) throw new Error(`${name} is not in the store; it has ${[...this.objects.keys()].join(', ')}`);
    return found.bytes;
  }

  /** Replaces an object's bytes, as damage would: metadata stays. */
  damage(name: string, change: (bytes: Buffer) => Buffer): void {
    const found = this.objects.get(name);
    if (!found) throw new Error(`${name} is not in the store`);
    this.objects.set(name, { ...found, bytes: change(Buffer.from(found.bytes)) });
  }

  /** Makes an object look as if it had been written at that time. */
  age(name: string, modified: Date): void {
    const found = this.objects.get(name);
    if (found) this.objects.set(name, { ...found, info: { ...found.info, modified } });
  }

  async #call<T>(method: StoreCall, name: string, work: () => Promise<T>): Promise<T> {
    // Prefixes have rules of their own.
    if (method !== 'list' && method !== 'sweep') checkName(name);
    const call = { method, name, nth: this.calls.filter((earlier) => earlier.method === method).length };
    this.calls.push(call);
    await this.faults.before?.(call);
    const result = await work();
    await this.faults.after?.(call);
    return result;
  }

  #keep(name: string, bytes: Buffer, options: WriteOptions): ObjectInfo {
    throwIfCancelled(options.signal);
    if (options.ifAbsent && this.objects.has(name)) throw new ObjectExistsError(`${name} is already in ${this.location}.`);
    const metadata = (typeof options.metadata === 'function' ? options.metadata() : options.metadata) ?? {};
    checkMetadata(metadata);
    const info = { name, size: bytes.length, modified: this.#now(), etag: createHash('md5').update(randomUUID()).digest('hex'), metadata };
    this.objects.set(name, { bytes, info });
    return info;
  }
}

/** A `before` or `after` hook that fails the nth call of a method (from 0), whose name matches where one is given. */
export function failNth(method: StoreCall, nth: number, error: Error, name?: RegExp): (call: CallInfo) => void {
  let seen = 0;
  return (call) => {
    if (call.method !== method || (name && !name.test(call.name))) return;
    seen += 1;
    if (seen === nth + 1) throw error;
  };
}
