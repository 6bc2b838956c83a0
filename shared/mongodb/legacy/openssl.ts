// Reads what `openssl enc -aes-256-cbc` wrote: "Salted__", eight bytes of salt, then CBC with PKCS#7 padding and no checksum.
// Source of the format: openssl apps/enc.c and crypto/evp/evp_key.c; `openssl-enc(1)`, option -md: the default was md5 before 1.1.0.
import { createDecipheriv, createHash, pbkdf2, type Decipheriv } from 'node:crypto';
import { promisify } from 'node:util';
import { UserError, VerificationError } from '../../step/errors.ts';
import type { Secret } from '../../step/input.ts';

const MAGIC = Buffer.from('Salted__');
const BLOCK_BYTES = 16;
const KEY_BYTES = 32;
/** What is decrypted to find out whether a key is right: enough for a tar header, which has its magic at byte 257. */
const PROBE_BYTES = 16 * 1024;

type Digest = 'sha256' | 'md5' | 'sha512' | 'sha1';

/** A way to make a key of a passphrase, as openssl's options name it. */
export interface Derivation {
  /** For people and records: `-pbkdf2 -md sha256 -iter 10000`. */
  name: string;
  derive(passphrase: Buffer, salt: Buffer): Promise<Buffer>;
}

/** Ways to make a key of a passphrase, the likeliest first. */
export function derivations(iterations: number): Derivation[] {
  const digests: Digest[] = ['sha256', 'md5', 'sha512', 'sha1'];
  return [
    ...digests.map((digest) => pbkdf2With(digest, iterations)),
    ...digests.map((digest) => ({ name: `-md ${digest}`, derive: async (pass: Buffer, salt: Buffer) => bytesToKey(digest, pass, salt) })),
  ];
}

function pbkdf2With(digest: Digest, iterations: number): Derivation {
  return {
    name: `-pbkdf2 -md ${digest} -iter ${iterations}`,
    derive: (passphrase, salt) => promisify(pbkdf2)(passphrase, salt, iterations, KEY_BYTES + BLOCK_BYTES, digest),
  };
}

/** EVP_BytesToKey with one round: each digest is taken over the one before, the passphrase and the salt. */
function bytesToKey(digest: Digest, passphrase: Buffer, salt: Buffer): Buffer {
  let last = Buffer.alloc(0);
  let made = Buffer.alloc(0);
  while (made.length < KEY_BYTES + BLOCK_BYTES) {
    last = createHash(digest).update(last).update(passphrase).update(salt).digest();
    made = Buffer.concat([made, last]);
  }
  return made.subarray(0, KEY_BYTES + BLOCK_BYTES);
}

/** True when a file begins as `openssl enc` begins one. */
export function isOpensslEncrypted(head: Uint8Array): boolean {
  return MAGIC.equals(head.subarray(0, MAGIC.length));
}

/** How one file was encrypted, found out by trying. */
export interface OpensslKey {
  derivation: Derivation;
  key: Buffer;
  iv: Buffer;
  /** How the passphrase was read, where it did not open the file as it was given; part of a sentence. */
  passphrase: string | undefined;
}

/**
 * The ways in which a passphrase may have reached openssl. From a file it takes the first line, and of its end only the line feed: what an
 * editor of Windows wrote keeps its carriage return, which may have been taken away on its way here, or kept where openssl never had it.
 */
function readings(given: string): [passphrase: string, how: string | undefined][] {
  const line = given.split('\n')[0] as string;
  const bare = line.replace(/\r$/, '');
  const ways: [string, string | undefined][] = [
    [given, undefined],
    [line, 'the first line of the passphrase'],
    [`${bare}\r`, 'the passphrase with a carriage return at its end'],
    [bare, 'the passphrase without the carriage return at its end'],
  ];
  return ways.filter(([text], index) => text !== '' && ways.findIndex(([other]) => other === text) === index);
}

/**
 * Finds the derivation with which the start of a file turns into something known.
 * @param head the first bytes of the file, 16 KiB or all of it
 * @param isKnown whether decrypted bytes are the start of something this program reads
 * @throws UserError when none does: the passphrase is wrong, or the file is of another kind
 */
export async function findOpensslKey(
  head: Uint8Array,
  passphrase: Secret,
  iterations: number,
  isKnown: (start: Uint8Array) => boolean,
): Promise<OpensslKey> {
  const salt = Buffer.from(head.subarray(MAGIC.length, BLOCK_BYTES));
  const whole = Math.floor((Math.min(head.length, PROBE_BYTES) - BLOCK_BYTES) / BLOCK_BYTES) * BLOCK_BYTES;
  const start = head.subarray(BLOCK_BYTES, BLOCK_BYTES + Math.max(0, whole));
  for (const [pass, how] of readings(passphrase.reveal())) {
    for (const derivation of derivations(iterations)) {
      const made = await derivation.derive(Buffer.from(pass), salt);
      const [key, iv] = [made.subarray(0, KEY_BYTES), made.subarray(KEY_BYTES)];
      if (isKnown(decipherOf(key, iv).setAutoPadding(false).update(start))) return { derivation, key, iv, passphrase: how };
    }
  }
  throw new UserError('The passphrase does not open the file: with no key derivation of openssl does a backup come out.', {
    fix: `Check the passphrase (openssl takes the first line of a -pass file; a carriage return at its end was tried as well). A file made with another -iter than ${iterations} needs that number here; only -aes-256-cbc is read.`,
  });
}

function decipherOf(key: Buffer, iv: Buffer): Decipheriv {
  return createDecipheriv('aes-256-cbc', key, iv);
}

/**
 * Decrypts a whole file.
 * @throws VerificationError when its end is not the end that was written: cut off, or damaged in its last two blocks
 */
export async function* decryptOpenssl(
  file: AsyncIterable<Uint8Array>,
  { key, iv }: Pick<OpensslKey, 'key' | 'iv'>,
): AsyncGenerator<Uint8Array> {
  const decipher = decipherOf(key, iv);
  let skip = BLOCK_BYTES;
  for await (const chunk of file) {
    const body = chunk.subarray(Math.min(skip, chunk.length));
    skip -= chunk.length - body.length;
    if (body.length > 0) yield decipher.update(body);
  }
  let last: Buffer;
  try {
    last = decipher.final();
  } catch (cause) {
    throw new VerificationError('The encrypted file is cut off or damaged at its end: its last block does not decrypt.', {
      cause,
      fix: 'Nothing was stored. Look for another copy of the file, and compare its size with the one in the old store.',
    });
  }
  yield last;
}
