// An old backup file as the source of a new backup: the archive stream and the facts about where it came from.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { UserError, VerificationError } from '../../step/errors.ts';
import { formatTimestamp, parseTimestamp, type Timestamp } from '../../step/timestamp.ts';
import { archiveOfDumpFolder, surveyDumpFolder, type DumpFolder } from './dump-folder.ts';
import { openLegacyFile, type LegacyFile, type LegacyOptions } from './unpack.ts';

/** What the manifest's source says of an imported backup. */
export interface ImportFacts {
  file: string;
  bytes: number;
  /** Of the file as it was imported, encryption and all. */
  sha256: string;
  /** From the outside in. */
  layers: string[];
}

/** An old backup, recognised and surveyed: nothing is stored yet. */
export interface LegacyBackup {
  facts: ImportFacts;
  /** Whether an oplog makes all collections one moment's. Known before the content for a dump folder only. */
  hasOplog: boolean | undefined;
  /** Expected bytes of the archive, about; undefined when the file does not tell. */
  estimate: number | undefined;
  /** Files in a tar that are no part of a dump. */
  ignored: string[];
  /** What the old backup has and a restore cannot bring back. One sentence each. */
  lost: string[];
  /** The mongodump archive. */
  source: AsyncIterable<Uint8Array>;
}

/**
 * Opens an old backup.
 * @throws UserError when it cannot be read or is of another kind; VerificationError when it is cut off or damaged
 */
export async function openLegacyBackup(path: string, options: LegacyOptions): Promise<LegacyBackup> {
  const file = await openLegacyFile(path, options);
  const sha256 = await hashOf(path);
  const folder = file.content === 'dump-folder' ? await named(path, () => surveyDumpFolder(() => file.plain())) : undefined;
  return {
    facts: { file: basename(path), bytes: file.bytes, sha256, layers: file.layers },
    hasOplog: folder?.collections.some(({ entry }) => entry.db === ''),
    estimate: folder?.bytes,
    ignored: folder?.ignored ?? [],
    lost: folder?.lost ?? [],
    source: archiveOf(path, file, folder),
  };
}

async function* archiveOf(path: string, file: LegacyFile, folder: DumpFolder | undefined): AsyncGenerator<Uint8Array> {
  const before = await stat(path);
  try {
    yield* folder === undefined ? file.plain() : archiveOfDumpFolder(() => file.plain(), folder);
  } catch (thrown) {
    throw withName(path, thrown);
  }
  const after = await stat(path);
  if (after.size !== before.size || after.mtimeMs !== before.mtimeMs) {
    throw new UserError(`${path} changed while it was imported.`, { fix: 'Make sure that its download has ended, then import it again.' });
  }
}

/** Damage is told with the file's name in front. */
async function named<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    throw withName(path, thrown);
  }
}

function withName(path: string, thrown: unknown): unknown {
  if (!(thrown instanceof UserError) || thrown.message.startsWith(path)) return thrown;
  const options = { cause: thrown, ...(thrown.fix === undefined ? {} : { fix: thrown.fix }) };
  const message = `${path}: ${thrown.message}`;
  return thrown instanceof VerificationError ? new VerificationError(message, options) : new UserError(message, options);
}

async function hashOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) hash.update(chunk as Uint8Array);
  return hash.digest('hex');
}

/** `mongodb_20241201_120000.tar.gz`, `backup-2024-12-01T12-00-00.gz`, `dump-2024-12-01_1200.archive`. */
const IN_NAME = /(?<!\d)(\d{4})-?(\d{2})-?(\d{2})[T_.-]?(\d{2})[-:.]?(\d{2})(?:[-:.]?(\d{2}))?Z?(?!\d)/;

/**
 * The moment in a file's name, read as UTC; undefined when there is none.
 * The seeds' scripts wrote `date +%Y%m%d_%H%M%S` of machines that run in UTC.
 */
export function timestampInName(path: string): Timestamp | undefined {
  const match = IN_NAME.exec(basename(path));
  if (!match) return undefined;
  const [year, month, day, hour, minute, second = '00'] = match.slice(1);
  return parseTimestamp(`${year ?? ''}${month ?? ''}${day ?? ''}_${hour ?? ''}${minute ?? ''}${second}`);
}

/** The moment in a file's name, for messages about one that lies in the future. */
export function isFuture(timestamp: Timestamp, now: Date): boolean {
  return timestamp > formatTimestamp(now);
}
