// Counts, checks and digests the documents of one namespace after another: the hot loop of every verification.
// The digest does not depend on the order of documents, so an archive and a read-back of the restored collection can be compared.
// The work is done in one pass in WebAssembly (assembly/documents.ts); this file feeds it and keeps the state of each namespace.
import { documentEnd, int32, MAX_DOCUMENT_BYTES, type DocumentWalker } from './archive.ts';
import { documentsWasm } from './documents.wasm.ts';

/** What is known of a namespace's documents after the last one. */
export interface DocumentSums {
  documents: number;
  /** Bytes of BSON. */
  bytes: number;
  /** CRC-64/XZ over all documents in their order; archives carry the same. */
  crc64: bigint;
  /** Sum modulo 2^128 of the XXH3-128 of each document's bytes, 32 hex digits. */
  digest: string;
  /** Documents with an element that is not well-formed BSON: a server may refuse them on restore. */
  malformed: number;
}

/** Adds up namespaces whose blocks may interleave: `select` one, `walk` its documents, `finish` it. */
export interface DocumentDigest extends DocumentWalker {
  /** The documents walked from now on belong to `name`, and have so many bytes at most. Default: those of a collection. */
  select(name: string, largest?: number): void;
  /** The sums of `name`, which is then forgotten. */
  finish(name: string): DocumentSums;
}

/** The exports of assembly/documents.ts. A CRC state is the running value before the final inversion. */
interface DocumentsModule {
  memory: WebAssembly.Memory;
  /** Address of the first free byte. */
  BUFFER: WebAssembly.Global;
  crc: WebAssembly.Global;
  sumLow: WebAssembly.Global;
  sumHigh: WebAssembly.Global;
  documents: WebAssembly.Global;
  malformed: WebAssembly.Global;
  status: WebAssembly.Global;
  /** Bytes that a document may have at most. */
  largest: WebAssembly.Global;
  setState(crc: bigint, sumLow: bigint, sumHigh: bigint, documents: bigint, malformed: bigint): void;
  /** Walks documents in [from, to), where `from` is BUFFER; returns where it stopped. Overwrites them. */
  scan(from: number, to: number): number;
}

// Values of `status`; the same in assembly/documents.ts. Anything else means a document that cannot be BSON.
const NEEDS_MORE = 0;
const AT_TERMINATOR = 1;

/** Bytes copied into WebAssembly memory at once: small at first, since a block may be short, then doubled. */
const FIRST_PIECE = 64 * 1024;
const LARGEST_PIECE = 1024 * 1024;
/** The module reads names in words of eight bytes, so up to seven beyond the last document. */
const READ_AHEAD = 8;

interface Running {
  largest: number;
  bytes: number;
  crc: bigint;
  sumLow: bigint;
  sumHigh: bigint;
  documents: bigint;
  malformed: bigint;
}

/** Starts summing up. Needs no closing: all digests share one WebAssembly instance, which holds one namespace's state at a time. */
export function createDocumentDigest(): DocumentDigest {
  shared ??= startModule();
  return new WasmDocumentDigest(shared);
}

let shared: DocumentsModule | undefined;
/** Whose state the shared instance holds. */
let loaded: Running | undefined;

function startModule(): DocumentsModule {
  const module = new WebAssembly.Module(Buffer.from(documentsWasm, 'base64'));
  return new WebAssembly.Instance(module, { env: { abort: () => undefined } }).exports as DocumentsModule;
}

function load(module: DocumentsModule, next: Running): void {
  if (next === loaded) return;
  save(module);
  module.largest.value = next.largest;
  module.setState(next.crc, next.sumLow, next.sumHigh, next.documents, next.malformed);
  loaded = next;
}

function save(module: DocumentsModule): void {
  if (!loaded) return;
  loaded.crc = module.crc.value as bigint;
  loaded.sumLow = module.sumLow.value as bigint;
  loaded.sumHigh = module.sumHigh.value as bigint;
  loaded.documents = module.documents.value as bigint;
  loaded.malformed = module.malformed.value as bigint;
}

class WasmDocumentDigest implements DocumentDigest {
  readonly #module: DocumentsModule;
  readonly #base: number;
  readonly #running = new Map<string, Running>();
  #selected: Running | undefined;

  constructor(module: DocumentsModule) {
    this.#module = module;
    this.#base = module.BUFFER.value as number;
  }

  select(name: string, largest: number = MAX_DOCUMENT_BYTES): void {
    let next = this.#running.get(name);
    if (!next) {
      next = { largest, bytes: 0, crc: 0xffff_ffff_ffff_ffffn, sumLow: 0n, sumHigh: 0n, documents: 0n, malformed: 0n };
      this.#running.set(name, next);
    }
    this.#selected = next;
  }

  walk(bytes: Uint8Array, start: number): number {
    const selected = this.#selected;
    if (!selected) throw new Error('walk() before select()');
    load(this.#module, selected);
    let at = start;
    for (let piece = FIRST_PIECE; at < bytes.length; piece = Math.min(piece * 2, LARGEST_PIECE)) {
      const end = Math.min(at + Math.max(piece, claimedLength(bytes, at)), bytes.length);
      const taken = this.#scan(bytes.subarray(at, end));
      at += taken;
      selected.bytes += taken;
      const status = this.#module.status.value as number;
      if (status === AT_TERMINATOR) break;
      if (status !== NEEDS_MORE) documentEnd(bytes, at, selected.largest); // throws, with the reason
      if (taken === 0 && end === bytes.length) break;
    }
    return at;
  }

  finish(name: string): DocumentSums {
    this.select(name);
    if (this.#selected === loaded) {
      save(this.#module);
      loaded = undefined;
    }
    const { bytes, crc, sumLow, sumHigh, documents, malformed } = this.#running.get(name) as Running;
    this.#running.delete(name);
    this.#selected = undefined;
    return {
      documents: Number(documents),
      bytes,
      crc64: BigInt.asUintN(64, ~crc),
      digest: hex64(sumHigh) + hex64(sumLow),
      malformed: Number(malformed),
    };
  }

  #scan(piece: Uint8Array): number {
    const { memory } = this.#module;
    const missing = this.#base + piece.length + READ_AHEAD - memory.buffer.byteLength;
    if (missing > 0) memory.grow(Math.ceil(missing / 65536));
    new Uint8Array(memory.buffer, this.#base, piece.length).set(piece);
    return this.#module.scan(this.#base, this.#base + piece.length) - this.#base;
  }
}

/** The length that the document at `at` claims, when it can be read. */
function claimedLength(bytes: Uint8Array, at: number): number {
  return bytes.length - at < 4 ? 0 : int32(bytes, at);
}

function hex64(value: bigint): string {
  return BigInt.asUintN(64, value).toString(16).padStart(16, '0');
}
