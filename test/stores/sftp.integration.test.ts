// The sftp store on Debian's OpenSSH server.
import { spawn } from 'node:child_process';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { openStore } from '../../shared/stores/open.ts';
import type { SftpStoreConfig } from '../../shared/stores/sftp/schema.ts';
import type { Store } from '../../shared/stores/store.ts';
import { sshd, startSshd, type Sshd } from '../backends/sshd.ts';
import { describeIf } from '../support/needs.ts';
import { listAll, storeConformance } from './conformance.ts';

const tool = await sshd();
const openModule = fileURLToPath(new URL('../../shared/stores/open.ts', import.meta.url));
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describeIf('program' in tool, 'missing' in tool ? tool.missing : '')('SFTP', () => {
  let server: Sshd;

  beforeAll(async () => {
    server = await startSshd();
  });

  afterAll(async () => {
    await server.stop();
  });

  const config = (folder: string, extra: Partial<SftpStoreConfig> = {}): SftpStoreConfig => {
    const { host, port, user, fingerprint, keyFile } = server;
    return { kind: 'sftp', host, port, user, fingerprint, keyFile, path: join(server.folder, folder), ...extra };
  };
  const openAt = (folder: string): Promise<Store> => openStore(config(folder));

  /** Runs a script in a process of its own that ends by SIGKILL. */
  async function killed(folder: string, script: string): Promise<void> {
    const start = `import { openStore } from ${JSON.stringify(openModule)}; const store = await openStore(${JSON.stringify(config(folder))});`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', `${start}\n${script}`], { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
    const signal = await new Promise((resolve) =>
      child.once('close', (_code, by) => {
        resolve(by);
      }),
    );
    if (signal !== 'SIGKILL') throw new Error(said);
  }

  storeConformance(
    'sftp',
    () => openAt('conformance'),
    () => ({
      reopen: () => openAt('conformance'),
      expiry: {
        shortest: 5000,
        abandonLock: (name, owner) =>
          killed(
            'conformance',
            `await store.lock(${JSON.stringify(name)}, { owner: ${JSON.stringify(owner)}, expiresAfter: 5000 });
            process.kill(process.pid, 'SIGKILL');`,
          ),
      },
    }),
  );

  test('tells how much room the server has, once there is a folder', async () => {
    const store = await openAt('room');
    expect(await store.space?.()).toBeUndefined();
    await store.write('a', bytes('x'));
    const told = await store.space?.();
    const { blocks, bavail, bsize } = await statfs(server.folder);
    expect(told?.total).toBe(blocks * bsize);
    // Others write meanwhile.
    expect(Math.abs((told?.free ?? 0) - bavail * bsize)).toBeLessThan(0.05 * blocks * bsize);
  });

  test('puts objects under their own names, for their owner only', async () => {
    const store = await openAt('plain');
    await store.write('mongodb/20241201_120000/data', bytes('x'));
    const path = join(server.folder, 'plain/mongodb/20241201_120000/data');
    expect(readFileSync(path, 'utf8')).toBe('x');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(join(server.folder, 'plain')).mode & 0o777).toBe(0o700);
  });

  test('keeps old data with old metadata, or new with new, wherever a process is killed while it replaces an object', async () => {
    const store = await openAt('killed');
    await store.write('a/status', bytes('version 0'), { metadata: { version: '0' } });
    for (let wait = 5; wait < 65; wait += 15) {
      await killed(
        'killed',
        `await store.stat('a/status');
        setTimeout(() => process.kill(process.pid, 'SIGKILL'), ${wait});
        for (let version = ${wait * 1000 + 1}; ; version++)
          await store.write('a/status', Buffer.from('version ' + version), { metadata: { version: String(version) } });`,
      );
      const content = Buffer.from((await store.read('a/status')) as Uint8Array).toString();
      expect(content).toBe(`version ${(await store.stat('a/status'))?.metadata['version'] as string}`);
    }
    await store.sweep('', new Date(Date.now() + 600_000));
    expect(await store.sweep('', new Date(Date.now() + 600_000))).toBe(0);
    expect((await store.stat('a/status'))?.metadata['version']).toBeDefined();
  });

  test('connects again after the connection broke', async () => {
    const store = await openAt('again');
    await store.write('a', bytes('1'));
    server.dropConnections();
    await delay(200);
    expect(await store.read('a')).toHaveLength(1);
    const { keyFile, fingerprint, host, port, user } = server;
    const query = new URLSearchParams({ fingerprint, keyFile }).toString();
    const twin = await openStore(`sftp://${user}@${host}:${port}${join(server.folder, 'again')}?${query}`);
    expect(twin.location).toBe(store.location);
    expect(await twin.read('a')).toHaveLength(1);
  });

  test('says that its folder is a file instead of that there is nothing', async () => {
    writeFileSync(join(server.folder, 'a-file'), 'x');
    await expect(listAll((await openAt('a-file')).list(''))).rejects.toThrow(/is a file, and a store is a folder/);
  });

  test('refuses a server with another host key before it says anything to it', async () => {
    const store = await openStore(config('x', { fingerprint: 'SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' }));
    await expect(store.read('a')).rejects.toThrow(/is not the one that was expected: its host key is SHA256:/);
  });

  test('says that it is not let in, and that nobody is there', async () => {
    const stranger = await openStore(config('x', { keyFile: server.strangerKeyFile }));
    await expect(stranger.read('a')).rejects.toThrow(/does not let .* in/);
    const nowhere = await openStore(config('x', { port: 1 }));
    await expect(nowhere.read('a')).rejects.toThrow(/cannot be reached: nothing listens there/);
  });
});
