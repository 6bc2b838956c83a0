// The stored bytes: Azure client-side encryption v2, as Microsoft's .NET, Java and Python SDKs read it.
// Source: backends.md section 6; azure-storage-blob (Python) `_encryption.py`. Python's nonce scheme is used.
import { createCipheriv, createDecipheriv, createHash, type Hash } from 'node:crypto';
import { z } from 'zod';
import { VerificationError } from '../step/errors.ts';
import type { WrappedKey } from '../vaults/vault.ts';
import { damage } from './damage.ts';
import { release } from '../tools/release.ts';

/** Plain bytes of a region. Protocol 2.0 fixes 4 MiB; only the last region may be shorter. */
export const REGION_BYTES = 4 * 1024 * 1024;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** What a region's nonce and tag add to it. */
export const REGION_OVERHEAD = NONCE_BYTES + TAG_BYTES;
const STORED_REGION_BYTES = REGION_BYTES + REGION_OVERHEAD;
/** Cipher calls of this size are twice as fast as whole regions: their output comes from the heap, not from fresh pages. */
const CIPHER_PIECE = 256 * 1024;

/** Number of regions of so many bytes before encryption. */
export function regionCount(compressedBytes: number): number {
  return Math.ceil(compressedBytes / REGION_BYTES);
}

/** Stored bytes of so many bytes before encryption. */
export function storedSize(compressedBytes: number): number {
  return compressedBytes + regionCount(compressedBytes) * REGION_OVERHEAD;
}

/** Where a byte of the compressed stream lies in the stored object. */
export function storedOffset(compressedOffset: number): number {
  return Math.floor(compressedOffset / REGION_BYTES) * STORED_REGION_BYTES + NONCE_BYTES + (compressedOffset % REGION_BYTES);
}

/** Where region `index` lies in the stored object. */
export function storedRegion(index: number, storedBytes: number): { offset: number; length: number } {
  const offset = index * STORED_REGION_BYTES;
  return { offset, length: Math.min(STORED_REGION_BYTES, storedBytes - offset) };
}

/** Python's scheme: the region's index as a 12-byte big-endian number, from 0. */
function nonceOf(region: number): Buffer {
  const nonce = Buffer.alloc(NONCE_BYTES);
  nonce.writeUIntBE(region, NONCE_BYTES - 6, 6);
  return nonce;
}

/** Turns a stream into regions, piece by piece, without gathering a region first. Counts and hashes what it gives out. */
export class RegionEncoder {
  readonly #key: Uint8Array;
  readonly #hash: Hash = createHash('sha256');
  #cipher: ReturnType<typeof createCipheriv> | undefined;
  #filled = 0;
  regions = 0;
  compressedBytes = 0;
  storedBytes = 0;

  constructor(contentKey: Uint8Array) {
    this.#key = contentKey;
  }

  /** Encrypts the next bytes; the input may be reused when it returns. */
  update(bytes: Uint8Array): Uint8Array[] {
    const out: Uint8Array[] = [];
    for (let start = 0; start < bytes.length;) {
      if (!this.#cipher) {
        const nonce = nonceOf(this.regions);
        this.#cipher = createCipheriv('aes-256-gcm', this.#key, nonce);
        this.regions += 1;
        this.#give(out, nonce);
      }
      const length = Math.min(CIPHER_PIECE, bytes.length - start, REGION_BYTES - this.#filled);
      this.#give(out, this.#cipher.update(bytes.subarray(start, start + length)));
      start += length;
      this.#filled += length;
      if (this.#filled === REGION_BYTES) this.#closeRegion(out);
    }
    this.compressedBytes += bytes.length;
    return out;
  }

  /** The end of the stream: closes the last region. */
  end(): Uint8Array[] {
    const out: Uint8Array[] = [];
    if (this.#cipher) this.#closeRegion(out);
    return out;
  }

  /** SHA-256 of all stored bytes, hexadecimal; once, after `end`. */
  sha256(): string {
    return this.#hash.digest('hex');
  }

  #closeRegion(out: Uint8Array[]): void {
    const cipher = this.#cipher as ReturnType<typeof createCipheriv> & { getAuthTag(): Buffer };
    cipher.final();
    this.#give(out, cipher.getAuthTag());
    this.#cipher = undefined;
    this.#filled = 0;
  }

  #give(out: Uint8Array[], bytes: Uint8Array): void {
    this.#hash.update(bytes);
    this.storedBytes += bytes.length;
    out.push(bytes);
  }
}

/** Opens one stored region. Nothing of it is given out before its tag is proved. @param label the object's name, for errors */
export function openRegion(stored: Uint8Array, index: number, contentKey: Uint8Array, label: string): Buffer[] {
  const from = index * STORED_REGION_BYTES;
  const range = `between byte ${from} and byte ${from + stored.length - 1}`;
  if (stored.length <= REGION_OVERHEAD) throw damage(`${label} is cut at byte ${from + stored.length}.`);
  const nonce = stored.subarray(0, NONCE_BYTES);
  if (!nonceOf(index).equals(nonce)) {
    throw damage(`${label} is damaged ${range}: region ${index} does not carry its own number.`);
  }
  const decipher = createDecipheriv('aes-256-gcm', contentKey, nonce);
  decipher.setAuthTag(stored.subarray(stored.length - TAG_BYTES));
  const out: Buffer[] = [];
  const end = stored.length - TAG_BYTES;
  for (let start = NONCE_BYTES; start < end; start += CIPHER_PIECE) {
    out.push(decipher.update(stored.subarray(start, Math.min(end, start + CIPHER_PIECE))));
  }
  try {
    decipher.final();
  } catch (cause) {
    throw damage(`${label} is damaged ${range} (region ${index} fails its AES-GCM tag).`, cause);
  }
  return out;
}

export interface RegionReaderOptions {
  contentKey: Uint8Array;
  /** Backup and object, for errors. */
  label: string;
  /** How long the stored stream is, where that is known; saves memory for short ones. */
  storedBytes?: number;
  /** Each piece given out is valid only until the next one is asked for. */
  reuse?: boolean;
  /** Told about every stored byte, in order, before it is decrypted. */
  onStored?: (bytes: Uint8Array) => void;
}

/**
 * Decrypts a stored stream. A cut that falls on a region's end cannot be seen here: the caller compares lengths with the manifest.
 * @throws VerificationError naming the object and the byte range
 */
export async function* decryptRegions(stored: AsyncIterable<Uint8Array>, options: RegionReaderOptions): AsyncGenerator<Buffer> {
  const capacity = Math.max(1, Math.min(STORED_REGION_BYTES, options.storedBytes ?? STORED_REGION_BYTES));
  const region = Buffer.allocUnsafeSlow(capacity);
  let filled = 0;
  let index = 0;
  const opened = function* (): Generator<Buffer> {
    for (const piece of openRegion(region.subarray(0, filled), index, options.contentKey, options.label)) {
      yield piece;
      if (options.reuse) release(piece);
    }
    index += 1;
    filled = 0;
  };
  for await (const chunk of stored) {
    options.onStored?.(chunk);
    for (let start = 0; start < chunk.length;) {
      const length = Math.min(chunk.length - start, capacity - filled);
      region.set(chunk.subarray(start, start + length), filled);
      filled += length;
      start += length;
      if (filled === capacity) yield* opened();
    }
  }
  if (filled > 0) yield* opened();
}

const encryptionDataSchema = z.object({
  WrappedContentKey: z.object({ KeyId: z.string(), EncryptedKey: z.base64(), Algorithm: z.enum(['A256KW', 'RSA-OAEP-256']) }),
  EncryptionAgent: z.object({ Protocol: z.literal('2.0'), EncryptionAlgorithm: z.literal('AES_GCM_256') }),
  EncryptedRegionInfo: z.object({ DataLength: z.literal(REGION_BYTES), NonceLength: z.literal(NONCE_BYTES) }),
});

/** The text of the blob metadata `encryptiondata`, in Python's key order, for the one key that Azure's format has room for. */
export function encodeEncryptionData(wrapped: WrappedKey): string {
  return asciiJson({
    WrappedContentKey: { KeyId: wrapped.keyId, EncryptedKey: wrapped.encryptedKey, Algorithm: wrapped.algorithm },
    EncryptionAgent: { Protocol: '2.0', EncryptionAlgorithm: 'AES_GCM_256' },
    EncryptedRegionInfo: { DataLength: REGION_BYTES, NonceLength: NONCE_BYTES },
    KeyWrappingMetadata: { EncryptionLibrary: 'Lifeboat' },
    EncryptionMode: 'FullBlob',
  });
}

/** Reads `encryptiondata`. @throws VerificationError when it is not this format's */
export function parseEncryptionData(text: string, label: string): Omit<WrappedKey, 'kind'> {
  const { KeyId, EncryptedKey, Algorithm } = parseWith(
    encryptionDataSchema,
    text,
    `the metadata "encryptiondata" of ${label}`,
  ).WrappedContentKey;
  return { keyId: KeyId, encryptedKey: EncryptedKey, algorithm: Algorithm };
}

/** JSON of a metadata value: ASCII only, since that is all that HTTP headers carry. */
export function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(/[\u007f-\uffff]/g, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** Parses JSON by a schema. @throws VerificationError naming `what` and the first wrong field */
export function parseWith<T>(schema: z.ZodType<T>, text: string, what: string): T {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new VerificationError(`${capital(what)} is not JSON any more.`, { cause });
  }
  const result = schema.safeParse(json);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw new VerificationError(
    `${capital(what)} is wrong at ${issue?.path.join('.') || 'its root'}: ${issue?.message ?? 'not this format'}.`,
  );
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
