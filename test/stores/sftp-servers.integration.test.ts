// The sftp store on servers as they are: statuses of later versions, full disks, keys of every type; and private keys as people paste them.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openStore } from '../../shared/stores/open.ts';
import type { SftpStoreConfig } from '../../shared/stores/sftp/schema.ts';
import { sshd, startSshd, type Sshd } from '../backends/sshd.ts';
import { runProgram } from '../backends/support.ts';
import { describeIf } from '../support/needs.ts';
import { listAll, storeConformance } from './conformance.ts';

const tool = await sshd();
const missing = 'missing' in tool ? tool.missing : '';
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

function configOf(server: Sshd, folder: string, extra: Partial<SftpStoreConfig> = {}): SftpStoreConfig {
  const { host, port, user, fingerprint, keyFile } = server;
  return { kind: 'sftp', host, port, user, fingerprint, keyFile, path: join(server.folder, folder), ...extra };
}

describeIf(missing === '', missing)('an SFTP server with statuses of later versions', () => {
  let server: Sshd;
  beforeAll(async () => {
    server = await startSshd({ answers: 'later' });
  });
  afterAll(async () => {
    await server.stop();
  });

  storeConformance(
    'sftp',
    () => openStore(configOf(server, 'conformance')),
    () => ({ reopen: () => openStore(configOf(server, 'conformance')) }),
  );
});

describeIf(missing === '', missing)('an SFTP server', () => {
  test.each([
    ['full', /Writing a in .* failed: the disk of the server is full\./],
    ['quota', /Writing a in .* failed: the quota on the server is used up\./],
  ] as const)('whose disk is %s says so', async (answers, says) => {
    const server = await startSshd({ answers });
    try {
      await expect((await openStore(configOf(server, 'x'))).write('a', bytes('x'))).rejects.toThrow(says);
    } finally {
      await server.stop();
    }
  });

  describe('with host keys of several types', () => {
    let server: Sshd;
    beforeAll(async () => {
      server = await startSshd({ hostKeys: ['ed25519', 'rsa', 'ecdsa'] });
    });
    afterAll(async () => {
      await server.stop();
    });

    test('is known by the fingerprint of each, again after the connection broke', async () => {
      for (const fingerprint of server.fingerprints) {
        const store = await openStore(configOf(server, 'types', { fingerprint }));
        await store.write('a', bytes('x'));
        server.dropConnections();
        expect(Buffer.from((await store.read('a')) ?? []).toString()).toBe('x');
      }
    });

    test('is refused with a fingerprint that none has; the sentence names them all', async () => {
      const store = await openStore(configOf(server, 'x', { fingerprint: `SHA256:${'A'.repeat(43)}` }));
      const refused = store.read('a');
      for (const fingerprint of server.fingerprints) await expect(refused).rejects.toThrow(fingerprint);
      await expect(refused).rejects.toThrow(/is not the one that was expected: its host key is .*\(ssh-ed25519\).*\(ssh-rsa\)/);
    });

    describe('and a private key', () => {
      const opens = async (extra: Partial<SftpStoreConfig>): Promise<unknown> => {
        return (await openStore({ ...configOf(server, 'keys'), keyFile: undefined, ...extra })).stat('a');
      };
      const key = (): string => readFileSync(server.keyFile, 'utf8');

      test.each([
        ['\\n in two characters', (text: string) => text.replaceAll('\n', '\\n')],
        ['blanks for line breaks', (text: string) => text.replaceAll('\n', ' ')],
        ['line ends of Windows', (text: string) => text.replaceAll('\n', '\r\n')],
        ['no line end at its end', (text: string) => text.trimEnd()],
      ])('with %s opens', async (_what, change) => {
        expect(await opens({ privateKey: change(key()) })).toBeUndefined();
      });

      test.each([
        ['cut in the middle', () => key().slice(0, 200), /privateKey cannot be used: it is (damaged|no private key)/],
        ['that is the public one', () => readFileSync(`${server.keyFile}.pub`, 'utf8'), /it is a public key/],
        ['that is none', () => 'hello', /it is no private key/],
      ])('%s is told at once', async (_what, make, says) => {
        const started = performance.now();
        const refused = opens({ privateKey: make() });
        await expect(refused).rejects.toThrow(says);
        expect(performance.now() - started).toBeLessThan(4000);
      });

      test('that is encrypted wants its passphrase, and the right one', async () => {
        const file = join(server.folder, 'encrypted');
        writeFileSync(file, key(), { mode: 0o600 });
        await runProgram('ssh-keygen', ['-q', '-p', '-P', '', '-N', 'right', '-f', file]);
        await expect(opens({ keyFile: file })).rejects.toThrow(/it is encrypted, and no passphrase is set/);
        await expect(opens({ keyFile: file, passphrase: 'wrong' })).rejects.toThrow(/its passphrase is wrong/);
        expect(await opens({ keyFile: file, passphrase: 'right' })).toBeUndefined();
      });

      test('that is not there is told with its path', async () => {
        await expect(opens({ keyFile: '/nowhere/id' })).rejects.toThrow(
          'The private key file /nowhere/id cannot be read: it is not there.',
        );
      });
    });

    test('a folder that must be there and is not is not made', async () => {
      const config = configOf(server, 'not-there');
      const store = await openStore(config, { mustExist: true });
      const says = /There is no folder sftp:.*not-there/;
      await expect(store.stat('a')).rejects.toThrow(says);
      await expect(store.write('a', bytes('x'))).rejects.toThrow(says);
      await expect(store.lock('a', { owner: 'o', expiresAfter: 1000 })).rejects.toThrow(says);
      await expect(listAll(store.list(''))).rejects.toThrow(says);
      await (await openStore(config)).write('a', bytes('x'));
      expect((await store.stat('a'))?.size).toBe(1);
    });
  });
});
