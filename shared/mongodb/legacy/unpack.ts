// Finds out what an old backup file is, layer by layer (openssl, gzip, tar or archive), and streams what is inside.
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { errorMessage, UserError, VerificationError } from '../../step/errors.ts';
import type { Secret } from '../../step/input.ts';
import { ARCHIVE_MAGIC } from '../archive.ts';
import { plainArchive } from '../plain-archive.ts';
import { decryptOpenssl, findOpensslKey, isOpensslEncrypted, type OpensslKey } from './openssl.ts';

/** Two tar blocks would do; more of it comes at the same price. */
const HEAD_BYTES = 64 * 1024;
const READ_BYTES = 1024 * 1024;

/** What lies below encryption and gzip. */
export type LegacyContent = 'archive' | 'dump-folder';

/** An old backup that was recognised. */
export interface LegacyFile {
  content: LegacyContent;
  /** The layers from the outside in, for people and records: `openssl enc -aes-256-cbc -pbkdf2 …`, `gzip`, `tar of a dump folder`. */
  layers: string[];
  /** Bytes of the file as it lies there. */
  bytes: number;
  /** The bytes below encryption and gzip: an archive or a tar. A fresh pass with every call. @throws VerificationError */
  plain(): AsyncGenerator<Uint8Array>;
}

export interface LegacyOptions {
  passphrase?: Secret | undefined;
  /** Of pbkdf2, as `openssl enc -iter` has it. */
  iterations: number;
}

/**
 * Looks at a file's first bytes.
 * @throws UserError when it cannot be read, is of an unknown kind, or the passphrase is missing or wrong
 */
export async function openLegacyFile(path: string, options: LegacyOptions): Promise<LegacyFile> {
  const { head, bytes } = await headOf(path);
  const layers: string[] = [];
  let stream: () => AsyncGenerator<Uint8Array> = () => readFile(path);
  let start: Uint8Array = head;
  if (isOpensslEncrypted(head)) {
    const { passphrase, iterations } = options;
    if (!passphrase) throw new UserError(`${path} is encrypted with openssl.`, { fix: 'Give its passphrase.' });
    const key: OpensslKey = await findOpensslKey(head, passphrase, iterations, (bytesOf) => kindOf(bytesOf) !== undefined);
    const encrypted = stream;
    stream = () => decryptOpenssl(encrypted(), key);
    const { derivation, passphrase: how } = key;
    layers.push(`openssl enc -aes-256-cbc ${derivation.name}${how === undefined ? '' : ` (${how})`}`);
    start = await startOf(stream());
  }
  if (kindOf(start) === 'gzip') {
    const packed = stream;
    stream = () => gunzipped(packed());
    layers.push('gzip');
    start = await startOf(stream());
  }
  const kind = kindOf(start);
  if (kind !== 'archive' && kind !== 'dump-folder') throw unknownKind(path, start);
  layers.push(kind === 'archive' ? 'mongodump archive' : 'tar of a dump folder');
  return { content: kind, layers, bytes, plain: stream };
}

async function headOf(path: string): Promise<{ head: Uint8Array; bytes: number }> {
  try {
    const file = await open(path, 'r');
    try {
      const { size } = await file.stat();
      const { bytesRead, buffer } = await file.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
      if (bytesRead === 0) throw new UserError(`${path} is empty: the old backup never worked.`, { fix: 'Import another one.' });
      return { head: buffer.subarray(0, bytesRead), bytes: size };
    } finally {
      await file.close();
    }
  } catch (thrown) {
    if (thrown instanceof UserError) throw thrown;
    throw new UserError(`${path} cannot be read: ${errorMessage(thrown)}.`, {
      fix: 'Give the path of a downloaded backup file.',
      cause: thrown,
    });
  }
}

function readFile(path: string): AsyncGenerator<Uint8Array> {
  return createReadStream(path, { highWaterMark: READ_BYTES })[Symbol.asyncIterator]() as AsyncGenerator<Uint8Array>;
}

async function* gunzipped(packed: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* plainArchive(packed);
  } catch (thrown) {
    const { code } = thrown as { code?: unknown };
    if (typeof code !== 'string' || !code.startsWith('Z_')) throw thrown;
    const cut = code === 'Z_BUF_ERROR';
    throw new VerificationError(cut ? 'The gzip stream is cut off.' : `The gzip stream is damaged: ${errorMessage(thrown)}.`, {
      cause: thrown,
      fix: 'Nothing was stored. Look for another copy of the file.',
    });
  }
}

/** The first bytes of a stream, as far as one tar header goes; the stream is given up then. */
async function startOf(stream: AsyncGenerator<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let have = 0;
  for await (const chunk of stream) {
    parts.push(Uint8Array.from(chunk.subarray(0, TAR_HEADER_BYTES)));
    have += chunk.length;
    if (have >= TAR_HEADER_BYTES) break;
  }
  return Buffer.concat(parts);
}

const TAR_HEADER_BYTES = 512;
const CHECKSUM_AT = 148;
const CHECKSUM_BYTES = 8;

function kindOf(start: Uint8Array): 'gzip' | LegacyContent | undefined {
  if (start[0] === 0x1f && start[1] === 0x8b && start[2] === 8) return 'gzip';
  if (ARCHIVE_MAGIC.every((byte, index) => start[index] === byte)) return 'archive';
  return isTarHeader(start) ? 'dump-folder' : undefined;
}

/** Every tar, old or new, has the sum of its header's bytes in it, the sum's own place counted as blanks. */
function isTarHeader(start: Uint8Array): boolean {
  if (start.length < TAR_HEADER_BYTES || start[0] === 0) return false;
  const noted = Number.parseInt(
    Buffer.from(start.subarray(CHECKSUM_AT, CHECKSUM_AT + CHECKSUM_BYTES))
      .toString('latin1')
      .trim(),
    8,
  );
  let sum = 0;
  for (let at = 0; at < TAR_HEADER_BYTES; at += 1) {
    sum += at >= CHECKSUM_AT && at < CHECKSUM_AT + CHECKSUM_BYTES ? 0x20 : (start[at] as number);
  }
  return sum === noted;
}

/** What people may have instead, by its first bytes, and what to do about it. */
const OTHERS: [name: string, test: (start: Uint8Array) => boolean, fix: string][] = [
  [
    'encrypted with openssl and base64',
    (start) => Buffer.from(start.subarray(0, 10)).toString('latin1') === 'U2FsdGVkX1',
    'Decode it first: openssl base64 -d -in FILE -out FILE.enc.',
  ],
  [
    'encrypted with gpg',
    (start) => start[0] === 0x8c || start[0] === 0xc3 || start[0] === 0x85,
    'Decrypt it first: gpg --output FILE.plain --decrypt FILE.',
  ],
  [
    'an armoured gpg message',
    (start) => Buffer.from(start.subarray(0, 27)).toString('latin1') === '-----BEGIN PGP MESSAGE-----',
    'Decrypt it first: gpg --output FILE.plain --decrypt FILE.',
  ],
  ['zstd', (start) => Buffer.from(start.subarray(0, 4)).toString('hex') === '28b52ffd', 'Unpack it first: zstd -d FILE.'],
  ['a zip', (start) => start[0] === 0x50 && start[1] === 0x4b, 'Unpack it, then pack the dump folder with tar.'],
  ['bzip2', (start) => Buffer.from(start.subarray(0, 3)).toString('latin1') === 'BZh', 'Unpack it first: bunzip2 FILE.'],
  ['xz', (start) => Buffer.from(start.subarray(0, 6)).toString('hex') === 'fd377a585a00', 'Unpack it first: unxz FILE.'],
];

function unknownKind(path: string, start: Uint8Array): UserError {
  const other = OTHERS.find(([, test]) => test(start));
  const known =
    'What is read: mongodump --archive files, and tar files of a mongodump folder; plain, gzip, or openssl enc -aes-256-cbc around it.';
  if (start.length === 0)
    return new UserError(`${path} holds nothing once it is unpacked.`, { fix: 'The old backup never worked. Import another one.' });
  return new UserError(`${path} is not a backup that can be imported${other ? `: it is ${other[0]}` : ''}.`, {
    fix: other ? other[2] : known,
  });
}
