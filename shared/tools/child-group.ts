// A child process with everything that it starts itself: one process group, ended as one, and never left behind when this process ends.
import { spawnSync, type ChildProcess } from 'node:child_process';

const onWindows = process.platform === 'win32';

/** Pass these to `spawn`: on POSIX the child leads a process group of its own. */
export const GROUP_OPTIONS = { detached: !onWindows, windowsHide: true } as const;

/** Groups that may still have a process in them. */
const running = new Set<ChildGroup>();

/** The processes of one child that was spawned with GROUP_OPTIONS. */
export class ChildGroup {
  readonly #child: ChildProcess;

  constructor(child: ChildProcess) {
    this.#child = child;
    if (child.pid !== undefined) running.add(this);
  }

  /** Asks the child to end; what it has started is its own to end. Windows has no such request: there the whole tree ends at once. */
  terminate(): void {
    if (onWindows) this.kill();
    else this.#child.kill('SIGTERM');
  }

  /** Ends every process of the group. */
  kill(): void {
    const { pid } = this.#child;
    if (pid === undefined) return;
    if (onWindows) {
      // The system's own program, not one of that name in the working folder.
      const taskkill = `${process.env['SystemRoot'] ?? 'C:\\Windows'}\\System32\\taskkill.exe`;
      spawnSync(taskkill, ['/PID', String(pid), '/T', '/F'], { stdio: 'ignore', windowsHide: true, timeout: 2000 });
      return;
    }
    try {
      process.kill(-pid, 'SIGKILL');
    } catch {
      // No process is left in the group.
    }
  }

  /** Nothing of it is to be ended any more: the child has ended by itself. */
  forget(): void {
    running.delete(this);
  }
}

/** Ends every child that still runs, with what it has started, at once and without a last word. For the end of the process. */
export function killChildren(): void {
  for (const group of running) group.kill();
  running.clear();
}
