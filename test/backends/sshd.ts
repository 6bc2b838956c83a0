// Debian's OpenSSH server with its SFTP subsystem, on a free port, with keys of its own.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { installPackage } from './apt.ts';
import { findProgram, freePort, portOpen, runProgram, startProcess, tempFolder } from './support.ts';
import type { Tool } from './pipeline-tools.ts';

const SSHD = '/usr/sbin/sshd';
const STAND_IN = fileURLToPath(new URL('stand-ins/sftp-server.ts', import.meta.url));

export interface Sshd {
  host: string;
  port: number;
  user: string;
  /** Of the host key, as `ssh-keygen -l` shows it. */
  fingerprint: string;
  /** Of each of its host keys, in the order of their types. */
  fingerprints: readonly string[];
  /** Private key that is let in. */
  keyFile: string;
  /** A private key nobody knows. */
  strangerKeyFile: string;
  /** Folder whose files the server may touch. */
  folder: string;
  /** Ends every connection, as a network that breaks does. */
  dropConnections(): void;
  stop(): Promise<void>;
}

/** The server, or why this machine cannot have it. */
export async function sshd(): Promise<Tool> {
  const missing = await installPackage('openssh-server', SSHD, 'to test SFTP against the real server');
  if (missing !== undefined) return { missing: `needs ${missing}` };
  return findProgram('ssh-keygen') === undefined ? { missing: 'needs ssh-keygen' } : { program: SSHD };
}

export interface SshdOptions {
  /** Answers of the SFTP server, as servers other than OpenSSH's give them: see stand-ins/sftp-server.ts. */
  answers?: 'later' | 'full' | 'quota';
  /** Types of host keys, as ssh-keygen takes them. Default: ed25519. */
  hostKeys?: readonly string[];
}

export async function startSshd({ answers, hostKeys = ['ed25519'] }: SshdOptions = {}): Promise<Sshd> {
  const folder = tempFolder('sshd');
  const port = await freePort();
  const key = async (name: string, type = 'ed25519'): Promise<string> => {
    await runProgram('ssh-keygen', ['-q', '-t', type, '-N', '', '-f', join(folder, name)]);
    return join(folder, name);
  };
  const [keyFile, strangerKeyFile] = [await key('user'), await key('stranger')];
  const hostKeyFiles = await Promise.all(hostKeys.map((type) => key(`host-${type}`, type)));
  writeFileSync(join(folder, 'authorized_keys'), readFileSync(`${keyFile}.pub`), { mode: 0o600 });
  const config = join(folder, 'sshd_config');
  writeFileSync(
    config,
    [
      `ListenAddress 127.0.0.1:${port}`,
      ...hostKeyFiles.map((file) => `HostKey ${file}`),
      `PidFile ${join(folder, 'pid')}`,
      `AuthorizedKeysFile ${join(folder, 'authorized_keys')}`,
      'StrictModes no',
      'UsePAM no',
      'PasswordAuthentication no',
      'KbdInteractiveAuthentication no',
      'MaxStartups 100',
      `Subsystem sftp ${answers === undefined ? 'internal-sftp' : `${process.execPath} --disable-warning=ExperimentalWarning ${STAND_IN} ${answers}`}`,
      '',
    ].join('\n'),
  );
  // Where it parks unprivileged children; Debian's service makes it at boot.
  if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true });
  const server = await startProcess(SSHD, ['-D', '-e', '-f', config], { ready: () => portOpen(port) });
  const fingerprints = await Promise.all(
    hostKeyFiles.map(async (file) => /SHA256:\S+/.exec(await runProgram('ssh-keygen', ['-l', '-f', `${file}.pub`]))?.[0] ?? ''),
  );
  const [fingerprint = ''] = fingerprints;
  mkdirSync(join(folder, 'files'));
  return {
    host: '127.0.0.1',
    port,
    user: userInfo().username,
    fingerprint,
    fingerprints,
    keyFile,
    strangerKeyFile,
    folder: join(folder, 'files'),
    dropConnections() {
      endChildren(server.child.pid as number);
    },
    async stop() {
      // Its sessions outlive it, and hold its output open.
      endChildren(server.child.pid as number);
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Ends the processes that a process has started, and theirs. One may end by itself meanwhile: then it is gone, as wanted. */
function endChildren(pid: number): void {
  for (const child of childrenOf(pid)) {
    endChildren(child);
    try {
      process.kill(child, 'SIGKILL');
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code !== 'ESRCH') throw thrown;
    }
  }
}

function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);
  } catch (thrown) {
    // The kernel says ENOENT once the process is gone, ESRCH while it goes.
    if (['ENOENT', 'ESRCH'].includes((thrown as NodeJS.ErrnoException).code ?? '')) return [];
    throw thrown;
  }
}
