// What a store can say no to.
import { RefusedError, UserError } from '../step/errors.ts';

/** A store could not do what was asked: unreachable, not permitted, out of space. */
export class StoreError extends UserError {}

/** The object is not there. */
export class ObjectMissingError extends StoreError {}

/** The name is taken and may not be overwritten. */
export class ObjectExistsError extends StoreError {}

/** Another run holds the lock. */
export class LockedError extends RefusedError {}

/** The folder of the store itself is not there: a wrong path, a disk that is not mounted, or a store that never got anything. */
export class RootMissingError extends StoreError {}

/** The error of a folder that should have backups and does not exist. */
export function noRoot(location: string): RootMissingError {
  return new RootMissingError(`There is no folder ${location}.`, {
    fix: 'Correct the path, or mount the disk that it lies on. The folder of a new store is made by its first backup.',
  });
}

/** The error of a store's place that is a file: a listing would otherwise say that there are no backups. */
export function noFolder(location: string): StoreError {
  return new StoreError(`${location} is a file, and a store is a folder.`, { fix: 'Name the folder that holds the backups.' });
}
