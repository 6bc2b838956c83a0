// What the tests of the backup format share: a small backup in memory, streams cut in pieces, a counting inspector.
import { createHash } from 'node:crypto';
import type { Inspector } from '../../shared/backup/inspector.ts';
import { openBackup, verifyBackup, type OpenedBackup } from '../../shared/backup/read.ts';
import { writeBackup, type BackupRequest, type BackupResult } from '../../shared/backup/write.ts';
import { VerificationError } from '../../shared/step/errors.ts';
import { parseTimestamp, type Timestamp } from '../../shared/step/timestamp.ts';
import { MemoryRecipient } from '../support/memory-recipient.ts';
import { MemoryStore } from '../support/memory-store.ts';

export const MIB = 1024 * 1024;
export const TIME = timestamp('20241201_120000');

export function timestamp(text: string): Timestamp {
  const parsed = parseTimestamp(text);
  if (!parsed) throw new Error(`${text} is not a timestamp`);
  return parsed;
}

/** Bytes that do not compress, always the same ones for a seed. */
export function noise(length: number, seed = 'noise'): Buffer {
  const parts: Buffer[] = [];
  for (let made = 0, block = createHash('sha512').update(seed).digest(); made < length; made += block.length) {
    parts.push(block);
    block = createHash('sha512').update(block).digest();
  }
  return Buffer.concat(parts).subarray(0, length);
}

export async function* inPieces(bytes: Uint8Array, pieceBytes = 60_000): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += pieceBytes) yield Buffer.from(bytes.subarray(at, at + pieceBytes));
}

export async function collect(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const chunk of stream) parts.push(chunk);
  return Buffer.concat(parts);
}

/** Counts and hashes; a stream that does not end with `end` (when asked for) ended too early. */
export function countingInspector(end?: string): Inspector {
  const hash = createHash('sha256');
  let bytes = 0;
  let tail = Buffer.alloc(0);
  return {
    write(chunk) {
      hash.update(chunk);
      bytes += chunk.length;
      if (end !== undefined) tail = Buffer.concat([tail, chunk]).subarray(-end.length);
    },
    end() {
      if (end !== undefined && tail.toString() !== end) throw new VerificationError(`The stream ends too early, at byte ${bytes}.`);
      return { bytes, sha256: hash.digest('hex') };
    },
  };
}

export interface World {
  store: MemoryStore;
  vault: MemoryRecipient;
  request(plain: Uint8Array | AsyncIterable<Uint8Array>, overrides?: Partial<BackupRequest>): BackupRequest;
  write(plain: Uint8Array | AsyncIterable<Uint8Array>, overrides?: Partial<BackupRequest>): Promise<BackupResult>;
  open(overrides?: { timestamp?: Timestamp; recipients?: MemoryRecipient[]; onNotice?: (message: string) => void }): Promise<OpenedBackup>;
  verify(): ReturnType<typeof verifyBackup>;
  data: string;
  manifest: string;
}

/** A store, a vault, and the component `mongodb` in them. */
export function world(): World {
  const store = new MemoryStore();
  const vault = new MemoryRecipient();
  const place = { store, prefix: 'prod', component: 'mongodb', timestamp: TIME, recipients: [vault] };
  const request: World['request'] = (plain, overrides = {}) => ({
    ...place,
    kind: 'mongodb',
    source: plain instanceof Uint8Array ? inPieces(plain) : plain,
    newInspector: () => countingInspector(),
    facts: { source: { host: 'db.example.org', version: '8.0.4' }, consistency: 'point-in-time' },
    tools: { lifeboat: '0.1.0' },
    owner: 'run 1',
    ...overrides,
  });
  return {
    store,
    vault,
    request,
    write: (plain, overrides) => writeBackup(request(plain, overrides)),
    open: (overrides = {}) => openBackup({ ...place, ...overrides }),
    verify: () => verifyBackup({ ...place, newInspector: () => countingInspector() }),
    data: `prod/mongodb/${TIME}/data`,
    manifest: `prod/mongodb/${TIME}/manifest.json`,
  };
}
