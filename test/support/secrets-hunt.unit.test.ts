// The hunter finds what was planted, in every form, and says where; it does not pass by looking nowhere.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { describeIf } from './needs.ts';
import { SecretsHunt } from './secrets-hunt.ts';

const PASSWORD = 'hünter2/with "quotes" & spaces+';
const KEY = '-----BEGIN KEY-----\nMIIabcdef0123456789\r\nghijklmnop\n-----END KEY-----\n';

function formsFound(text: string | Uint8Array): string[] {
  const hunt = new SecretsHunt({ password: PASSWORD, key: KEY });
  hunt.search('stdout', text);
  return hunt.finds().map(({ secret, form, where }) => `${secret} ${form} in ${where}`);
}

describe('forms', () => {
  test.each([
    ['plain', `login with ${PASSWORD}!`, 'password plain in stdout'],
    ['URL-encoded', `mongodb://app:${encodeURIComponent(PASSWORD)}@db/`, 'password URL-encoded in stdout'],
    ['form-encoded', new URLSearchParams({ password: PASSWORD }).toString(), 'password form-encoded in stdout'],
    ['JSON', JSON.stringify({ password: PASSWORD }), 'password JSON in stdout'],
    ['hex', Buffer.from(`x${PASSWORD}`).toString('hex'), 'password hex in stdout'],
    ['a line of a key', 'error near "ghijklmnop"', 'key line 3 in stdout'],
    ['the first line', '-----BEGIN KEY-----', 'key line 1 in stdout'],
  ])('%s is found', (_form, text, find) => {
    expect(formsFound(text)).toContain(find);
  });

  test('base64 is found wherever the secret lies within the encoded text', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.constantFrom('base64' as const, 'base64url' as const), (before, after, encoding) => {
        expect(formsFound(Buffer.from(before + PASSWORD + after).toString(encoding)).join()).toMatch(
          /password base64(url)? at offset \d in stdout/,
        );
      }),
    );
  });

  test('bytes that are not text are searched, too', () => {
    expect(formsFound(Buffer.concat([Buffer.from([0xff, 0x00, 0xfe]), Buffer.from(PASSWORD)]))).toContain('password plain in stdout');
  });

  test('what is harmless is not found', () => {
    expect(formsFound('password: ***, key: ***, hunter2, quotes & spaces')).toEqual([]);
  });
});

test('a secret that could occur by chance cannot be planted', () => {
  expect(() => new SecretsHunt({ pin: '12345' })).toThrow('too short');
});

test('a hunt that searched nothing does not pass', () => {
  const hunt = new SecretsHunt({ password: PASSWORD });
  hunt.search('stdout', '');
  expect(() => hunt.finds()).toThrow('searched nothing');
});

test('files are searched by name and content, below every folder, except where the secret belongs', () => {
  const folder = mkdtempSync(join(tmpdir(), 'lifeboat-hunt-'));
  try {
    mkdirSync(join(folder, 'a/b'), { recursive: true });
    mkdirSync(join(folder, 'vault'));
    writeFileSync(join(folder, 'a/b/log.bin'), Buffer.concat([Buffer.alloc(3), Buffer.from('s3cr3t-planted')]));
    writeFileSync(join(folder, 'a/s3cr3t-planted.txt'), 'harmless');
    writeFileSync(join(folder, 'vault/key'), 's3cr3t-planted');
    const hunt = new SecretsHunt({ token: 's3cr3t-planted' });
    hunt.searchFolder(folder, (path) => path === join(folder, 'vault'));
    expect(hunt.finds().map(({ where }) => where)).toEqual([
      join(folder, 'a/b/log.bin'),
      `name of ${join(folder, 'a/s3cr3t-planted.txt')}`,
    ]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

describeIf(process.platform === 'linux', 'needs /proc')('command lines', () => {
  test('of children and their children are searched while they run', async () => {
    const hunt = new SecretsHunt({ password: 's3cr3t-planted', other: 'never-passed' });
    const grandchild = `require('node:child_process').spawnSync(process.execPath, ['-e', 'setTimeout(() => {}, 2000)', '--', '--password=s3cr3t-' + 'planted'])`;
    const child = spawn(process.execPath, ['-e', grandchild], { stdio: 'ignore' });
    const watch = hunt.watchArguments(child.pid as number);
    await new Promise((resolve) => child.once('exit', resolve));
    watch.stop();
    expect(hunt.finds().map(({ secret, form, where }) => [secret, form, where.replace(/\d+ .*/, 'a child')])).toEqual([
      ['password', 'plain', 'argv of a child'],
    ]);
    expect(hunt.searched.commandLines).toBeGreaterThan(1);
  });

  test('of strangers are not', async () => {
    const hunt = new SecretsHunt({ password: 's3cr3t-planted' });
    const stranger = spawn(process.execPath, ['-e', 'setTimeout(() => {}, 2000)', 's3cr3t-planted'], { stdio: 'ignore' });
    const watched = spawn(process.execPath, ['-e', 'setTimeout(() => {}, 2000)'], { stdio: 'ignore' });
    const watch = hunt.watchArguments(watched.pid as number);
    await delay(50);
    watch.stop();
    const gone = [stranger, watched].map((child) => new Promise((resolve) => child.once('exit', resolve)));
    stranger.kill();
    watched.kill();
    await Promise.all(gone);
    expect(hunt.finds()).toEqual([]);
  });
});
