// An old backup file as the source of a new backup: the archive stream and the facts about where it came from.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { UserError, VerificationError } from '../../step/errors.ts';
import type { OldBackup } from '../../backup/kind.ts';
import { formatBytes } from '../../step/format.ts';
import type { ArchiveReport } from '../archive-inspector.ts';
import { archiveOfDumpFolder, surveyDumpFolder, UNKNOWN_VERSION, type DumpFolder } from './dump-folder.ts';
import { openLegacyFile, type LegacyFile, type LegacyOptions } from './unpack.ts';

/**
 * Opens an old backup.
 * @throws UserError when it cannot be read or is of another kind; VerificationError when it is cut off or damaged
 */
export async function openLegacyBackup(path: string, options: LegacyOptions): Promise<OldBackup<ArchiveReport>> {
  const file = await openLegacyFile(path, options);
  const sha256 = await hashOf(path);
  const folder = file.content === 'dump-folder' ? await named(path, () => surveyDumpFolder(() => file.plain())) : undefined;
  const facts = { file: basename(path), bytes: file.bytes, sha256, layers: file.layers };
  return {
    file: facts,
    ignored: folder?.ignored ?? [],
    lost: folder?.lost ?? [],
    origin: ({ serverVersion }) =>
      serverVersion === UNKNOWN_VERSION ? 'of a server whose version was not noted' : `of MongoDB ${serverVersion}`,
    source: {
      bytes: archiveOf(path, file, folder),
      estimate: folder?.bytes,
      said: `Importing ${facts.file} (${formatBytes(file.bytes)}: ${file.layers.join(', ')})`,
      tools: {},
      facts: ({ serverVersion, oplog }) => ({
        source: { version: serverVersion, imported: facts },
        consistency: oplog === undefined ? 'per-collection' : 'point-in-time',
      }),
      what: facts.file,
      consistency: '',
      doubts: [],
      close: async () => undefined,
    },
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
  const options = { cause: thrown, fix: thrown.fix };
  const message = `${path}: ${thrown.message}`;
  return thrown instanceof VerificationError ? new VerificationError(message, options) : new UserError(message, options);
}

async function hashOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) hash.update(chunk as Uint8Array);
  return hash.digest('hex');
}
