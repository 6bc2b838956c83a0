// Debian packages for tests, installed where we may.
import { existsSync } from 'node:fs';
import { findProgram, runProgram } from './support.ts';

/**
 * Installs a package unless `file` is there already. Two processes may try at once: apt-get waits for its lock.
 * @returns undefined when the file is there, else why this machine cannot have it
 */
export async function installPackage(name: string, file: string, why: string): Promise<string | undefined> {
  if (existsSync(file)) return undefined;
  if (findProgram('apt-get') === undefined) return `${name} (no apt-get here to install it)`;
  const root = process.getuid?.() === 0;
  if (!root && !(await mayBecomeRoot())) return `${name} (not root, so it cannot be installed)`;
  const apt = async (...args: string[]): Promise<unknown> => {
    const command = ['apt-get', '-o', 'DPkg::Lock::Timeout=120', '-qq', ...args];
    const env = { DEBIAN_FRONTEND: 'noninteractive' };
    return root ? runProgram('apt-get', command.slice(1), { env }) : runProgram('sudo', ['-n', ...command], { env });
  };
  process.stderr.write(`Installing ${name} (once) ${why}…\n`);
  try {
    await apt('update').catch(() => undefined);
    await apt('install', '-y', '--no-install-recommends', name);
  } catch {
    return `${name} (apt-get could not install it)`;
  }
  return existsSync(file) ? undefined : `${name} in its Debian place`;
}

async function mayBecomeRoot(): Promise<boolean> {
  return runProgram('sudo', ['-n', 'true']).then(
    () => true,
    () => false,
  );
}
