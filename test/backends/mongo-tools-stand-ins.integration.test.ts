// The stand-ins do go wrong in the way they are named after, or the tests that use them would prove nothing.
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { mongoToolsStandIns, type StandInOptions, type StandIns } from './mongo-tools-stand-ins.ts';
import { tempFolder } from './support.ts';

const made: StandIns[] = [];
const standIns = (options: StandInOptions): StandIns => {
  const these = mongoToolsStandIns({ archive: Buffer.from('0123456789'.repeat(100)), ...options });
  made.push(these);
  return these;
};
afterEach(() => {
  for (const these of made.splice(0)) these.remove();
});

interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: Buffer;
  stderr: number;
  text: string;
}

async function run(
  command: string,
  args: string[] = [],
  options: { input?: string; path?: string; kill?: NodeJS.Signals } = {},
): Promise<Ended> {
  const child = spawn(command, args, {
    env: { ...process.env, PATH: options.path ?? process.env['PATH'] },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const stdout: Buffer[] = [];
  let stderr = 0;
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.length;
    text = (text + chunk.toString()).slice(-2000);
    if (options.kill !== undefined) setTimeout(() => child.kill(options.kill), 300);
  });
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.input ?? '');
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      resolve({ code, signal, stdout: Buffer.concat(stdout), stderr, text });
    });
  });
}

describe('a mongodump', () => {
  test.each([
    ['honest', 0, 1000],
    ['cut-archive', 0, 600],
    ['twenty-bytes', 0, 20],
    ['fails-after-archive', 1, 1000],
  ] as const)('that is %s ends with %i after %i of 1000 bytes', async (mongodump, code, bytes) => {
    const ended = await run(standIns({ mongodump }).mongodump, ['--archive']);
    expect(ended.code).toBe(code);
    expect(ended.stdout).toHaveLength(bytes);
  });

  test('that is noisy prints 100 MB on standard error, and a whole archive', async () => {
    const ended = await run(standIns({ mongodump: 'noisy' }).mongodump);
    expect(ended).toMatchObject({ code: 0 });
    expect(ended.stderr).toBeGreaterThan(100_000_000);
    expect(ended.stdout).toHaveLength(1000);
  });

  test('that tells secrets prints the password of its configuration file', async () => {
    const config = join(tempFolder('stand-in-config'), 'config.yml');
    writeFileSync(config, 'uri: "mongodb://root:planted-secret@127.0.0.1/"\n');
    const ended = await run(standIns({ mongodump: 'secret-on-stderr' }).mongodump, [`--config=${config}`, '--archive']);
    expect(ended).toMatchObject({ code: 1 });
    expect(ended.text).toContain('planted-secret');
  });

  test('that hangs ends by SIGTERM, and one that hangs hard only by SIGKILL', async () => {
    expect(await run(standIns({ mongodump: 'hangs' }).mongodump, [], { kill: 'SIGTERM' })).toMatchObject({ code: 1 });
    const hard = await run(standIns({ mongodump: 'hangs-hard' }).mongodump, [], { kill: 'SIGKILL' });
    expect(hard).toMatchObject({ signal: 'SIGKILL' });
    expect(hard.stdout).toHaveLength(500);
  });

  test('is found by name, answers --version and remembers its calls', async () => {
    const these = standIns({ mongodump: 'honest' });
    const ended = await run('mongodump', ['--version'], { path: these.path });
    expect(ended.stdout.toString()).toContain('mongodump version: 100.10.0');
    expect(these.calls()).toMatchObject([{ program: 'mongodump', args: ['--version'] }]);
  });
});

describe('a mongorestore', () => {
  test.each([
    ['says-all-restored', 0, '1000 document(s) restored successfully. 0 document(s) failed to restore.'],
    ['failed-documents', 0, '997 document(s) restored successfully. 3 document(s) failed to restore.'],
    ['restores-nothing', 0, '0 document(s) restored successfully. 0 document(s) failed to restore.'],
    ['fails-after-reading', 1, 'Failed: chat.messages: error restoring from archive on stdin'],
    ['never-reads', 1, 'Failed: stream or file does not appear to be a mongodump archive'],
  ] as const)('that %s ends with %i', async (mongorestore, code, says) => {
    const ended = await run(standIns({ mongorestore }).mongorestore, ['--archive'], { input: 'x'.repeat(1_000_000) });
    expect(ended.code).toBe(code);
    expect(ended.text).toContain(says);
  });
});
