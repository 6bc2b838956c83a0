// The temporary folder of one run: it may hold secrets, so it says whose it is, and a later run removes what a killed one left.
import { lstatSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, utimesSync, writeFileSync, type Stats } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';

const PREFIX = 'lifeboat-run-';
/** The file in it that says whose it is. */
const MARK = '.lifeboat-run.json';
/** While a run lives, it renews the time of its mark this often. */
const RENEW_MS = 10 * 60_000;
/** A run of which we cannot tell whether it lives is taken for dead when its mark has not been renewed for so long. */
const FOREIGN_AFTER_MS = 24 * 3_600_000;
const MARK_LIMIT_BYTES = 4096;

/** Who owns a folder. */
interface Owner {
  pid: number;
  /** When the process began, in its system's own words: a process id is used again. Empty where the system does not say. */
  began: string;
  /** The machine, its boot and its process ids: only there a process id means anything. */
  machine: string;
}

/** A private temporary folder (0700) of this process. */
export class RunFolder {
  readonly path: string;
  readonly #renewing: NodeJS.Timeout;

  private constructor(path: string) {
    this.path = path;
    const mark = join(path, MARK);
    this.#renewing = setInterval(() => {
      try {
        const now = new Date();
        utimesSync(mark, now, now);
      } catch {
        // The folder was taken away: there is nothing left to keep.
      }
    }, RENEW_MS).unref();
  }

  /** @param root the folder to make it in */
  static make(root: string): RunFolder {
    const path = mkdtempSync(join(root, PREFIX));
    const owner: Owner = { pid: process.pid, began: beganAt(process.pid) ?? '', machine: thisMachine() };
    // Before any secret is in it: a folder without a mark is never touched by others.
    writeFileSync(join(path, MARK), JSON.stringify(owner), { mode: 0o600, flag: 'wx' });
    return new RunFolder(path);
  }

  /** Removes it with all that is in it. @returns false when something could not be removed (an open file on Windows): try again later */
  remove(): boolean {
    try {
      rmSync(this.path, { recursive: true, force: true });
    } catch {
      return false;
    }
    clearInterval(this.#renewing);
    return true;
  }
}

/**
 * Removes the folders of runs that were killed. Touches only real folders of this user with a readable mark, whose process is gone: told by
 * its id and beginning on this machine, and for another machine's (a shared temporary folder, another container) by a mark that is a day old.
 * Never throws: a folder that stays is no reason to fail.
 */
export function sweepRunFolders(root: string, now = Date.now()): void {
  for (const name of namesIn(root)) {
    const path = join(root, name);
    try {
      if (isOwn(lstatSync(path), 'folder') && isDead(path, now)) rmSync(path, { recursive: true, force: true });
    } catch {
      // Gone meanwhile, or not ours.
    }
  }
}

function namesIn(root: string): string[] {
  try {
    return readdirSync(root).filter((name) => name.startsWith(PREFIX));
  } catch {
    return [];
  }
}

function isDead(path: string, now: number): boolean {
  const mark = join(path, MARK);
  const stats = lstatSync(mark);
  if (!isOwn(stats, 'file') || stats.size > MARK_LIMIT_BYTES) return false;
  const owner = readOwner(readFileSync(mark, 'utf8'));
  if (owner === undefined) return false;
  if (owner.machine !== thisMachine()) return now - stats.mtimeMs > FOREIGN_AFTER_MS;
  if (!isAlive(owner.pid)) return true;
  const began = beganAt(owner.pid);
  return began !== undefined && owner.began !== '' && began !== owner.began;
}

function readOwner(text: string): Owner | undefined {
  const { pid, began, machine } = JSON.parse(text) as Partial<Record<keyof Owner, unknown>>;
  if (typeof pid !== 'number' || !Number.isSafeInteger(pid) || pid <= 0) return undefined;
  return typeof began === 'string' && typeof machine === 'string' ? { pid, began, machine } : undefined;
}

/** True for what this user made, a link never. */
function isOwn(stats: Stats, what: 'folder' | 'file'): boolean {
  const user = process.getuid?.();
  return (what === 'folder' ? stats.isDirectory() : stats.isFile()) && (user === undefined || stats.uid === user);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (thrown) {
    // EPERM: it is there, and another user's.
    return (thrown as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

/** When a process began, in clock ticks since the boot (field 22 of /proc/<pid>/stat, proc(5)); undefined where there is no /proc. */
function beganAt(pid: number): string | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name in parentheses may hold anything, so fields are counted behind the last one.
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}

let machine: string | undefined;

function thisMachine(): string {
  return (machine ??= [hostname(), ...linuxIdentity()].join('/'));
}

/** The boot, and the numbering of process ids, which each container has for itself. */
function linuxIdentity(): string[] {
  try {
    return [readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(), readlinkSync('/proc/self/ns/pid')];
  } catch {
    return [];
  }
}
