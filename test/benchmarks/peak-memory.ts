// How much memory this process has used at most.
import { readFileSync } from 'node:fs';

/**
 * The largest resident set of this process so far, in bytes. Linux hands `resourceUsage().maxRSS` on from whoever started a program to the
 * program itself (https://man7.org/linux/man-pages/man2/getrusage.2.html says so of `execve`), so there it can be the starter's peak; the
 * figure in /proc is the program's own. Other systems have no /proc and do not need it.
 */
export function peakMemory(): number {
  if (process.platform !== 'linux') return process.resourceUsage().maxRSS * 1024;
  const kilobytes = /^VmHWM:\s*(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  if (kilobytes === undefined) throw new Error('/proc/self/status has no VmHWM');
  return Number(kilobytes) * 1024;
}
