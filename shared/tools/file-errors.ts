// What the operating system says no with, in plain words: reason and fix for the file errors that a person can do something about.
import { getSystemErrorMap } from 'node:util';

/** The `code` of a Node file error; undefined for anything else. No `instanceof`: jest's realms have an Error of their own. */
export function errorCode(thrown: unknown): string | undefined {
  const code = typeof thrown === 'object' && thrown !== null && 'code' in thrown ? thrown.code : undefined;
  return typeof code === 'string' ? code : undefined;
}

type Explanation = [reason: string, fix: string];

const FULL = 'Free space there, or choose another place. Nothing half-written was kept.';
const MOUNT = 'Check the mount and the machine that it comes from, then run this again.';

const REASONS: Record<string, Explanation> = {
  ENOSPC: ['the disk is full', FULL],
  EDQUOT: ['the disk quota is used up', 'Free space there, or have the quota raised. Nothing half-written was kept.'],
  EFBIG: ['the file would be larger than the file system allows', 'Use another file system, such as ext4 or XFS.'],
  EACCES: ['permission denied', 'Give this user read and write access to the folder.'],
  EPERM: ['the operation is not permitted', 'Give this user ownership of the folder.'],
  EROFS: ['the file system is read-only', 'Mount it writable, or choose another place.'],
  ENOENT: ['the folder cannot be made there', 'Check that the path is right and the file system above it is mounted.'],
  ENOTDIR: ['a file is in the place of a folder', 'One of the two names must go: a folder cannot hold both "a" and "a/b".'],
  EISDIR: ['a folder is in the place of the file', 'One of the two names must go: a folder cannot hold both "a" and "a/b".'],
  ENAMETOOLONG: ['the name is too long for this file system', 'Use a shorter path, prefix or component name.'],
  ELOOP: [
    'its symbolic links lead round in a circle, or there are too many of them',
    'Look where they lead (namei -l <path>), and replace them with the folder itself.',
  ],
  EMLINK: ['the file has too many names', 'Look for a program that links files there.'],
  EXDEV: ['a part of the folder lies on another file system', 'Use a folder that lies on one file system.'],
  EBUSY: ['another program holds it', 'Close what uses it, such as a virus scanner or a mount, then run this again.'],
  ETXTBSY: ['another program runs it', 'End that program, then run this again.'],
  EIO: ['the disk reported an input/output error', 'Check the disk and the system log before trusting what is on it.'],
  EREMOTEIO: ['the disk reported an input/output error', 'Check the disk and the system log before trusting what is on it.'],
  EUCLEAN: ['the file system is damaged', 'Unmount and check it (fsck) before trusting what is on it.'],
  EBADMSG: ['the file system is damaged', 'Unmount and check it (fsck) before trusting what is on it.'],
  ESTALE: ['the network file system lost the file', MOUNT],
  ENOTCONN: ['the mounted file system has lost its server', MOUNT],
  EHOSTDOWN: ['the server of the mounted file system is down', MOUNT],
  ETIMEDOUT: ['the server of the mounted file system does not answer', MOUNT],
  ENODEV: ['the device is gone', MOUNT],
  ENXIO: ['the device is gone', MOUNT],
  EMFILE: ['too many files are open', 'Raise the limit of open files (ulimit -n).'],
  ENFILE: ['too many files are open on this machine', 'Close programs, or raise the limit (sysctl fs.file-max).'],
  ENOMEM: ['this machine has no memory left', 'Close programs, or use a machine with more memory.'],
  EINVAL: ['the file system does not take that name or operation', 'Use another file system, such as ext4 or XFS.'],
  ENOTSUP: ['the file system cannot do that', 'Use another file system, such as ext4 or XFS.'],
  EOPNOTSUPP: ['the file system cannot do that', 'Use another file system, such as ext4 or XFS.'],
};

/** Reason and fix of a file error, for the middle of a sentence; undefined when something else was thrown. */
export function fileReason(thrown: unknown): { reason: string; fix: string | undefined } | undefined {
  const code = errorCode(thrown);
  if (code === undefined) return undefined;
  const known = REASONS[code];
  if (known) return { reason: known[0], fix: known[1] };
  const named = [...getSystemErrorMap().values()].find(([name]) => name === code);
  return { reason: named === undefined ? code : `${named[1]} (${code})`, fix: undefined };
}

/** True when a disk or a quota is used up; also below an error of ours, whose cause it is then. */
export function isDiskFull(thrown: unknown): boolean {
  const cause = typeof thrown === 'object' && thrown !== null && 'cause' in thrown ? thrown.cause : undefined;
  return [thrown, cause].some((one) => ['ENOSPC', 'EDQUOT'].includes(errorCode(one) ?? ''));
}
