// A cancel while a tool runs that ignores every polite signal, and has a child that does, too: nothing outlives the step, no secret stays.
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { canBuildFerretDb, startFerretDb, type FerretDb } from '../backends/ferretdb.ts';
import { describeIf } from '../support/needs.ts';
import { NODE_20, startOnAzure, startOnGithub, startOnTerminal, type HostProcess } from './host-process.ts';

const SECRET = 'correct-horse-battery';

/** A mongodump that starts a child, says who they are and where its private file lies, and stays. Both ignore what can be ignored. */
const STUBBORN = `#!/bin/sh
case "$*" in *--version*) echo "mongodump version: 100.10.0"; exit 0;; esac
trap '' TERM INT HUP
(trap '' TERM INT HUP; exec </dev/null >/dev/null 2>&1; while :; do sleep 0.2; done) &
echo "$1" | cut -d= -f2- > "$NOTES/config"
echo "$!" > "$NOTES/grandchild"
echo "$$" > "$NOTES/child"
while :; do sleep 0.2; done
`;

const HOSTS = ['github', 'azure', 'azure on Node.js 20', 'terminal'] as const;

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  // A process that has ended but was not waited for is none.
  const status = existsSync(`/proc/${pid}/stat`) ? readFileSync(`/proc/${pid}/stat`, 'utf8') : '';
  return !/\) Z /.test(status);
}

async function until(condition: () => boolean, timeoutMs = 60_000): Promise<number> {
  const started = performance.now();
  while (!condition()) {
    if (performance.now() - started > timeoutMs) throw new Error(`not so after ${timeoutMs} ms: ${condition.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return performance.now() - started;
}

/** Files below a folder that hold the secret. What goes away meanwhile holds none. */
function filesWithSecret(folder: string): string[] {
  const files: string[] = [];
  for (const entry of orElse(() => readdirSync(folder, { withFileTypes: true }), [])) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) files.push(...filesWithSecret(path));
    else if (orElse(() => readFileSync(path, 'utf8'), '').includes(SECRET)) files.push(path);
  }
  return files;
}

function orElse<T>(read: () => T, otherwise: T): T {
  try {
    return read();
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return otherwise;
    throw thrown;
  }
}

describeIf(process.platform !== 'win32' && (await canBuildFerretDb()), 'needs a POSIX system, and Go 1.24 to build FerretDB')(
  'a tool that ignores signals',
  () => {
    let server: FerretDb;
    let folder: string;
    let temp: string;

    beforeAll(async () => {
      server = await startFerretDb();
    });
    afterAll(() => server.stop());
    beforeEach(() => {
      folder = mkdtempSync(join(tmpdir(), 'stubborn-'));
      temp = join(folder, 'temp');
      for (const name of ['bin', 'notes', 'temp']) mkdirSync(join(folder, name));
      writeFileSync(join(folder, 'bin', 'mongodump'), STUBBORN);
      chmodSync(join(folder, 'bin', 'mongodump'), 0o755);
    });
    afterEach(() => {
      for (const name of ['child', 'grandchild']) {
        const file = join(folder, 'notes', name);
        if (existsSync(file) && isAlive(note(name))) process.kill(note(name), 'SIGKILL');
      }
      rmSync(folder, { recursive: true, force: true });
    });

    const note = (name: string): number => Number(readFileSync(join(folder, 'notes', name), 'utf8'));
    const leftRunning = (): string[] => ['child', 'grandchild'].filter((name) => isAlive(note(name)));

    /** Starts a backup and waits until the tool runs, with its private file in place. */
    async function startBackup(kind: (typeof HOSTS)[number], component = 'mongodb'): Promise<HostProcess> {
      const uri = server.uri.replace(/\/?$/, `/?appName=${SECRET}`);
      const given = { name: 'x', component, store: join(folder, 'store'), vault: join(folder, 'vault'), engine: 'tools' };
      const env = { PATH: `${join(folder, 'bin')}${delimiter}${process.env['PATH'] ?? ''}`, NOTES: join(folder, 'notes') };
      const started = ((): HostProcess => {
        switch (kind) {
          case 'github':
            return startOnGithub('dist/github/mongodb-backup.mjs', {
              inputs: { ...given, 'mongodb-uri': uri },
              env: { ...env, RUNNER_TEMP: temp },
            });
          case 'terminal': {
            const args = Object.entries(given).flatMap(([name, value]) => [`--${name}`, value]);
            return startOnTerminal('dist/cli.mjs', {
              args: ['mongodb-backup', '--json', ...args],
              env: { ...env, TMPDIR: temp, LIFEBOAT_MONGODB_URI: uri },
            });
          }
          default:
            return startOnAzure('dist/azure/mongodb-backup.mjs', {
              inputs: { ...given, mongodbUri: uri },
              env: { ...env, AGENT_TEMPDIRECTORY: temp },
              ...(kind === 'azure' ? {} : { node: NODE_20 }),
            });
        }
      })();
      await until(() => existsSync(join(folder, 'notes', 'child')));
      expect(filesWithSecret(temp)).toHaveLength(1);
      return started;
    }

    test.each(HOSTS)('is gone with its child within 5 s of a cancel, its private file at once: %s', async (kind) => {
      const { child, result } = await startBackup(kind);
      const asked = performance.now();
      child.kill('SIGINT');
      expect(await until(() => filesWithSecret(temp).length === 0)).toBeLessThan(1500);
      const { outcome, leftInTemp } = await result;
      expect(performance.now() - asked).toBeLessThan(6000);
      await until(() => leftRunning().length === 0, 5000 - Math.min(4900, performance.now() - asked));
      expect([outcome, leftInTemp]).toEqual(['cancelled', []]);
      expect(existsSync(join(folder, 'store', 'x', 'locks'))).toBe(false);
    });

    test.each(HOSTS)('is gone at once at a second Ctrl-C: %s', async (kind) => {
      const { child, result } = await startBackup(kind);
      child.kill('SIGINT');
      await new Promise((resolve) => setTimeout(resolve, 500));
      child.kill('SIGINT');
      await result;
      await until(() => leftRunning().length === 0, 500);
      expect(filesWithSecret(temp)).toEqual([]);
    });

    test.each(['SIGTERM', 'SIGHUP'] as const)('is gone after %s alone', async (signal) => {
      const { child, result } = await startBackup('terminal');
      child.kill(signal);
      expect((await result).outcome).toBe('cancelled');
      await until(() => leftRunning().length === 0, 500);
      expect(filesWithSecret(temp)).toEqual([]);
    });

    test('is gone at once after SIGQUIT', async () => {
      const { child, result } = await startBackup('terminal');
      child.kill('SIGQUIT');
      await result;
      await until(() => leftRunning().length === 0, 500);
      expect(filesWithSecret(temp)).toEqual([]);
    });

    test('what a kill of one run leaves is swept by the next one, and a running one keeps its own', async () => {
      const killed = await startBackup('github');
      killed.child.kill('SIGKILL');
      await killed.result;
      const left = filesWithSecret(temp);
      expect(left).toHaveLength(1);
      // No signal can tell a tool that its caller was killed.
      for (const name of ['child', 'grandchild']) {
        process.kill(note(name), 'SIGKILL');
        rmSync(join(folder, 'notes', name));
      }
      // The lock of the killed run is still held; that is another story.
      const running = await startBackup('github', 'other');
      const own = filesWithSecret(temp);
      expect(own).not.toEqual(left);
      // A third run, while the second one works.
      const inputs = { name: 'x', store: join(folder, 'store') };
      await startOnGithub('dist/github/list-backups.mjs', { inputs, env: { RUNNER_TEMP: temp } }).result;
      expect(filesWithSecret(temp)).toEqual(own);
      running.child.kill('SIGINT');
      await running.result;
    });
  },
);
