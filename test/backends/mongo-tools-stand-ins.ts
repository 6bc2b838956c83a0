// Puts misbehaving stand-ins named mongodump and mongorestore into a folder: failures that the real tools show once a year, on demand.
import { chmodSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { datasetArchive } from '../dataset/dataset-archive.ts';
import { tempFolder } from './support.ts';

export type DumpBehaviour =
  /** Writes the archive, exit 0. */
  | 'honest'
  /** Writes 60 % of the archive, says all is done, exit 0. */
  | 'cut-archive'
  /** Writes 20 bytes, exit 0. */
  | 'twenty-bytes'
  /** Writes the whole archive, then exit 1. */
  | 'fails-after-archive'
  /** Prints the connection string with its password, exit 1. */
  | 'secret-on-stderr'
  /** Prints 100 MB on standard error, then the archive, exit 0. */
  | 'noisy'
  /** Writes half of the archive and stays; SIGTERM ends it. */
  | 'hangs'
  /** The same, but only SIGKILL ends it. */
  | 'hangs-hard';

export type RestoreBehaviour =
  /** Reads all, restores nothing, says that all documents are restored, exit 0. */
  | 'says-all-restored'
  /** Exit 0, with three documents failed. */
  | 'failed-documents'
  /** Exit 0, "0 document(s) restored successfully". */
  | 'restores-nothing'
  /** Exit 1 after all documents, for an index. */
  | 'fails-after-reading'
  /** Exit 1 without reading: the writer's pipe breaks. */
  | 'never-reads'
  /** Reads nothing and stays; SIGTERM ends it. */
  | 'hangs';

export interface StandInOptions {
  mongodump?: DumpBehaviour;
  mongorestore?: RestoreBehaviour;
  /** What the mongodump writes. Default: a small archive of the drill's chat. */
  archive?: Uint8Array;
  /** How many documents the mongorestore speaks of. Default 1000. */
  documents?: number;
}

export interface StandInCall {
  program: 'mongodump' | 'mongorestore' | 'mongosh';
  args: string[];
  environment: NodeJS.ProcessEnv;
}

export interface StandIns {
  /** The programs' full paths, whether asked for or not (an unasked one ends with 64). */
  mongodump: string;
  mongorestore: string;
  /** For pods only: it drops collections. */
  mongosh: string;
  /** A value for PATH under which they come first. */
  path: string;
  /** The archive that mongodump was given. */
  archive: Uint8Array;
  /** How they were called so far: for tests that look for secrets. */
  calls(): StandInCall[];
  remove(): void;
}

export function mongoToolsStandIns(options: StandInOptions): StandIns {
  const folder = tempFolder('stand-ins');
  const archive = options.archive ?? Buffer.concat([...datasetArchive({ size: 2 ** 20 })]);
  const archiveFile = join(folder, 'archive');
  const callsFile = join(folder, 'calls');
  writeFileSync(archiveFile, archive);
  const program = (name: string, ...given: string[]): string => {
    const script = fileURLToPath(new URL(`stand-ins/${name}.ts`, import.meta.url));
    const words = [process.execPath, '--disable-warning=ExperimentalWarning', script, ...given, callsFile, '--'].map((word) => `'${word}'`);
    writeFileSync(join(folder, name), `#!/bin/sh\nexec ${words.join(' ')} "$@"\n`);
    chmodSync(join(folder, name), 0o755);
    return join(folder, name);
  };
  return {
    mongodump: program('mongodump', options.mongodump ?? 'none', archiveFile),
    mongorestore: program('mongorestore', options.mongorestore ?? 'none', String(options.documents ?? 1000)),
    mongosh: program('mongosh'),
    path: `${folder}${delimiter}${process.env['PATH'] ?? ''}`,
    archive,
    calls: () => (existsSync(callsFile) ? readCalls(callsFile) : []),
    remove: () => {
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The calls that a stand-in wrote down. */
function readCalls(file: string): StandInCall[] {
  return readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as StandInCall);
}
