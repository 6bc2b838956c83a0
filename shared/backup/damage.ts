// The error of stored bytes that are not what was written, with the way out that is the same for all of them.
import { VerificationError } from '../step/errors.ts';

/** @param message what is wrong, with the backup, the object and the byte offset */
export function damage(message: string, cause?: unknown): VerificationError {
  return new VerificationError(message, {
    fix: 'Take another backup (list-backups shows them), or a copy of this one in another store.',
    ...(cause === undefined ? {} : { cause }),
  });
}
