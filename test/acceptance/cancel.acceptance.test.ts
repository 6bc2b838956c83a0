import { globSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startOnAzure, startOnGithub, startOnTerminal, type HostProcess } from './host-process.ts';

/** Accepts connections and never answers: what a backup waits for when a database hangs. */
let silent: Server;
let uri: string;
let folder: string;
let connected: Promise<void>;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'lifeboat-cancel-'));
  silent = createServer();
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  uri = `mongodb://127.0.0.1:${(silent.address() as AddressInfo).port}`;
});
afterAll(() => {
  silent.close();
  rmSync(folder, { recursive: true, force: true });
});

function startBackup(kind: string): HostProcess {
  connected = new Promise((resolve) => {
    silent.once('connection', (socket) => {
      socket.on('error', () => undefined);
      resolve();
    });
  });
  const given = { name: kind, component: 'mongodb', store: join(folder, 'store'), vault: join(folder, 'vault'), engine: 'driver' };
  if (kind === 'github') return startOnGithub('dist/github/mongodb-backup.mjs', { inputs: { ...given, 'mongodb-uri': uri } });
  if (kind === 'azure') return startOnAzure('dist/azure/mongodb-backup.mjs', { inputs: { ...given, mongodbUri: uri } });
  const args = Object.entries(given).flatMap(([name, value]) => [`--${name}`, value]);
  return startOnTerminal('dist/cli.mjs', { args: ['mongodb-backup', '--json', ...args], env: { LIFEBOAT_MONGODB_URI: uri } });
}

describe('a backup that waits for its database', () => {
  test.each(['github', 'azure', 'terminal'])('ends soon after Ctrl-C on %s, and nothing half-done is listed', async (kind) => {
    const { child, result } = startBackup(kind);
    await connected;
    const asked = performance.now();
    child.kill('SIGINT');
    const { outcome, exitCode, leftInTemp, taskResult } = await result;
    expect(performance.now() - asked).toBeLessThan(5000);
    expect(outcome).toBe('cancelled');
    expect(exitCode).toBe(kind === 'azure' ? 0 : 130);
    if (kind === 'azure') expect(taskResult).toBe('Canceled');
    expect(leftInTemp).toEqual([]);
    expect(globSync(`${folder}/**/manifest.json`)).toEqual([]);
  });
});
