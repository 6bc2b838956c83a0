// The private file that tells mongodump and mongorestore where to connect, so that no password is on a command line.
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Secret } from '../step/input.ts';
import { toolUri } from './connection-string.ts';

/** Writes a 0600 file for `--config`. Call `remove` in a finally. */
export async function writeToolConfig(uri: Secret, tempDir: string): Promise<{ file: string; remove(): Promise<void> }> {
  const folder = await mkdtemp(join(tempDir, 'mongo-tools-'));
  const file = join(folder, 'config.yaml');
  // JSON strings are YAML strings; the tools know the keys password, uri and sslPEMKeyPassword only.
  await writeFile(file, `uri: ${JSON.stringify(toolUri(uri))}\n`, { mode: 0o600 });
  await chmod(file, 0o600);
  return { file, remove: () => rm(folder, { recursive: true, force: true }) };
}
