// A path from a `file:` address, as a person may have typed it.
import { fileURLToPath } from 'node:url';
import { UsageError } from '../step/errors.ts';

/** @throws UsageError when it names another machine, or no path that a file can have */
export function pathOfFileUrl(address: string): string {
  try {
    return fileURLToPath(address);
  } catch (cause) {
    throw new UsageError(`"${address}" is not the address of a folder on this machine.`, {
      cause,
      fix: 'Write file:///<path> with three slashes, or just the path.',
    });
  }
}
