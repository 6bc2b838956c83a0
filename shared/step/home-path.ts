// `~` at the start of a path. Only a shell replaces it, and only at the start of a word: in a file or after "=" it arrives as it was typed.
import { homedir } from 'node:os';
import { join } from 'node:path';
import { UsageError } from './errors.ts';

/**
 * A path with `~` replaced by the user's home folder.
 * @throws UsageError for `~name`: another user's home is known to a shell only
 */
export function expandHome(path: string): string {
  const rest = afterHome(path);
  // As a shell takes it.
  return rest === undefined ? path : join(process.env['HOME'] || homedir(), rest);
}

/**
 * The part of a path below the user's home, '' for the home itself; undefined when it does not start there.
 * @throws UsageError for `~name`
 */
export function afterHome(path: string): string | undefined {
  if (!path.startsWith('~')) return undefined;
  if (path === '~' || path.startsWith('~/')) return path.slice(2);
  if (process.platform === 'win32' && path.startsWith('~\\')) return path.slice(2);
  throw new UsageError(`"${path}" starts with ~ and a name, which only a shell understands.`, {
    fix: `Write the whole path. A file or folder of that very name is ./${path}.`,
  });
}
