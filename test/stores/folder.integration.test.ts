// The folder store on a real file system.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from '@jest/globals';
import { StoreError } from '../../shared/stores/errors.ts';
import { FolderStore } from '../../shared/stores/folder/index.ts';
import { withWrongClock } from '../campaign/wrong-clock.ts';
import { tempFolder } from '../backends/support.ts';
import { listAll, storeConformance } from './conformance.ts';

const root = tempFolder('folder-store');
const folder = join(root, 'not', 'there', 'yet');
const folderModule = fileURLToPath(new URL('../../shared/stores/folder/index.ts', import.meta.url));
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

afterAll(() => {
  rmSync(root, { recursive: true, force: true });
});

/** Runs a script in a process of its own, which can be killed. Not waited for in one call: locks of this process are renewed meanwhile. */
async function runScript(script: string): Promise<{ status: number | null; stderr: string }> {
  const child = spawn(
    process.execPath,
    ['--input-type=module', '-e', `import { FolderStore } from ${JSON.stringify(folderModule)};\n${script}`],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const [status] = (await once(child, 'close')) as [number | null];
  return { status, stderr };
}

storeConformance(
  'folder',
  async () => new FolderStore(folder),
  () => ({
    reopen: async () => new FolderStore(folder),
    expiry: {
      shortest: 3000,
      async abandonLock(name, owner) {
        const run = await runScript(`
        await new FolderStore(${JSON.stringify(folder)}).lock(${JSON.stringify(name)}, { owner: ${JSON.stringify(owner)}, expiresAfter: 3000 });
        process.kill(process.pid, 'SIGKILL');`);
        if (run.status !== null) throw new Error(run.stderr);
      },
    },
  }),
);

/** Waits for it, however long that takes. */
async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort');
}

describe('folder store', () => {
  test('gives files to their owner only and puts objects under their own names', async () => {
    const path = join(root, 'modes');
    await new FolderStore(path).write('mongodb/20241201_120000/data', bytes('x'));
    expect(statSync(join(path, 'mongodb/20241201_120000/data')).mode & 0o777).toBe(0o600);
    expect(statSync(join(path, 'mongodb')).mode & 0o777).toBe(0o700);
    expect(statSync(path).mode & 0o777).toBe(0o700);
  });

  test('keeps old data with old metadata, or new with new, wherever a process is killed while it replaces an object', async () => {
    const path = join(root, 'killed');
    const store = new FolderStore(path);
    await store.write('a/status', bytes('version 0'), { metadata: { version: '0' } });
    for (let wait = 0; wait < 12; wait += 1) {
      await runScript(`
        const store = new FolderStore(${JSON.stringify(path)});
        await store.stat('a/status');
        setTimeout(() => process.kill(process.pid, 'SIGKILL'), ${wait});
        for (let version = ${wait * 1000 + 1}; ; version++)
          await store.write('a/status', Buffer.from('version ' + version), { metadata: { version: String(version) } });`);
      const content = Buffer.from((await store.read('a/status')) as Uint8Array).toString();
      expect(content).toBe(`version ${(await store.stat('a/status'))?.metadata['version'] as string}`);
    }
    await delay(20);
    await store.sweep('', new Date());
    expect(readdirSync(join(path, '.lifeboat/temporary'))).toEqual([]);
    expect((await store.stat('a/status'))?.metadata).toEqual({
      version: Buffer.from((await store.read('a/status')) as Uint8Array)
        .toString()
        .slice('version '.length),
    });
  });

  test('sweeps temporary files of interrupted writes, but not those in progress', async () => {
    const path = join(root, 'sweep');
    const store = new FolderStore(path);
    await runScript(`
      async function* endless() { yield new Uint8Array(5e6); process.kill(process.pid, 'SIGKILL'); }
      await new FolderStore(${JSON.stringify(path)}).put('a/data', endless());`);
    expect(readdirSync(join(path, '.lifeboat/temporary'))).toHaveLength(1);
    expect(await store.sweep('', new Date(Date.now() - 60_000))).toBe(0);
    expect(await store.sweep('', new Date(Date.now() + 60_000))).toBe(1);
    const listed = await listAll(store.list(''));
    expect(listed).toEqual([]);
  });

  test('does not sweep the write in progress of another machine when its own clock is two days ahead', async () => {
    const store = new FolderStore(join(root, 'clock-ahead'));
    async function* watched(): AsyncGenerator<Uint8Array> {
      yield bytes('begun, ');
      const yesterday = (): Date => new Date(Date.now() - 86_400_000);
      expect(await withWrongClock(2 * 86_400_000, () => store.sweep('', yesterday()))).toBe(0);
      yield bytes('and done');
    }
    await store.put('a/data', watched(), { ifAbsent: true, metadata: { a: '1' } });
    expect(await store.stat('a/data')).toMatchObject({ size: 15, metadata: { a: '1' } });
  });

  test('follows no symbolic link, neither to read nor to write', async () => {
    const path = join(root, 'links');
    const outside = join(root, 'outside');
    const store = new FolderStore(path);
    await store.write('a/data', bytes('x'));
    mkdirSync(outside);
    writeFileSync(join(outside, 'secret'), 'secret');
    symlinkSync(outside, join(path, 'b'));
    symlinkSync(join(outside, 'secret'), join(path, 'a', 'link'));
    await expect(store.write('b/planted', bytes('x'))).rejects.toThrow(/symbolic link/);
    await expect(store.read('b/secret')).rejects.toThrow(/symbolic link/);
    await expect(store.read('a/link')).rejects.toThrow(/symbolic link/);
    await expect(store.delete('a/link')).rejects.toThrow(/symbolic link/);
    expect((await listAll(store.list(''))).map((info) => info.name)).toEqual(['a/data']);
    expect(existsSync(join(outside, 'planted'))).toBe(false);
  });

  test('lets exactly one writer create a name on a file system without hard links, and sweeps what a killed one claimed', async () => {
    const path = join(root, 'share');
    // Stands in for exFAT or an SMB share: no hard links, and no way to make a folder durable.
    const run = spawnSync(
      process.execPath,
      [
        '--input-type=module',
        '-e',
        `import { createRequire, syncBuiltinESMExports } from 'node:module';
         const files = createRequire(import.meta.url)('node:fs/promises');
         const refuse = (code) => async () => { throw Object.assign(new Error(code), { code }); };
         const { open } = files;
         files.link = refuse('EPERM');
         files.open = async (...args) => {
           const handle = await open(...args);
           if ((await handle.stat()).isDirectory()) handle.sync = refuse('EINVAL');
           return handle;
         };
         syncBuiltinESMExports();
         const { FolderStore } = await import(${JSON.stringify(folderModule)});
         const store = new FolderStore(${JSON.stringify(path)});
         const writing = Array.from({ length: 8 }, (_, writer) => store.write('a/manifest.json', Buffer.from(String(writer)), { ifAbsent: true }));
         const results = await Promise.allSettled(writing);
         const winners = results.flatMap(({ status }, writer) => status === 'fulfilled' ? [String(writer)] : []);
         console.log(JSON.stringify({ winners, content: String(await store.read('a/manifest.json')),
           failures: [...new Set(results.flatMap(({ reason }) => reason ? [reason.message] : []))] }));`,
      ],
      { encoding: 'utf8' },
    );
    expect(run.stderr).toBe('');
    const { winners, content, failures } = JSON.parse(run.stdout) as { winners: string[]; content: string; failures: string[] };
    expect(winners).toEqual([content]);
    expect(failures).toEqual([`a/manifest.json already exists in ${path} and is not overwritten.`]);
    expect(readdirSync(join(path, '.lifeboat/temporary'))).toEqual([]);
    writeFileSync(join(path, '.lifeboat/temporary/claim-of-a-killed-process'), '');
    expect(await new FolderStore(path).sweep('', new Date(Date.now() + 60_000))).toBe(1);
  });

  test('keeps metadata when the whole folder is copied by hand', async () => {
    const path = join(root, 'original');
    await new FolderStore(path).write('a/data', bytes('content'), { metadata: { a: '1' } });
    cpSync(path, join(root, 'copy'), { recursive: true });
    const copy = new FolderStore(join(root, 'copy'));
    expect((await copy.stat('a/data'))?.metadata).toEqual({ a: '1' });
    await copy.sweep('', new Date(Date.now() + 60_000));
    expect((await copy.stat('a/data'))?.metadata).toEqual({ a: '1' });
  });

  test('says that it is a file instead of that there is nothing, also through a link', async () => {
    writeFileSync(join(root, 'a-file'), 'x');
    symlinkSync(join(root, 'a-file'), join(root, 'to-a-file'));
    await expect(listAll(new FolderStore(join(root, 'a-file')).list(''))).rejects.toThrow(/a-file is a file, and a store is a folder/);
    await expect(listAll(new FolderStore(join(root, 'to-a-file')).list('prod/'))).rejects.toThrow(/is a file/);
    mkdirSync(join(root, 'a-folder'));
    symlinkSync(join(root, 'a-folder'), join(root, 'to-a-folder'));
    expect(await listAll(new FolderStore(join(root, 'to-a-folder')).list(''))).toEqual([]);
    expect(await listAll(new FolderStore(join(root, 'not-there')).list(''))).toEqual([]);
  });

  test('says what is in the way when a name is both a file and a folder', async () => {
    const store = new FolderStore(join(root, 'conflict'));
    await store.write('a', bytes('x'));
    await expect(store.write('a/b', bytes('x'))).rejects.toThrow(/a file is in the place of a folder/);
    await store.write('c/d', bytes('x'));
    await expect(store.write('c', bytes('x'))).rejects.toThrow(StoreError);
    expect(await store.read('a/b')).toBeUndefined();
  });

  test('says that the disk is full, and keeps nothing of the write', async () => {
    // /dev/full answers every write with ENOSPC; the folder of temporary files leads there through a size limit instead.
    const path = join(root, 'full');
    const run = spawnSync(
      'sh',
      [
        '-c',
        `ulimit -f 2048; trap '' XFSZ; exec ${JSON.stringify(process.execPath)} --input-type=module -e "$0"`,
        `import { FolderStore } from ${JSON.stringify(folderModule)};
         const store = new FolderStore(${JSON.stringify(path)});
         await store.put('a/data', (async function* () { yield new Uint8Array(8e6); })()).catch((error) => console.log(error.name, error.message));`,
      ],
      { encoding: 'utf8' },
    );
    expect(run.stdout).toMatch(/^StoreError Writing a\/data in .* failed: the file would be larger than the file system allows\.\n$/);
    expect(readdirSync(join(path, '.lifeboat/temporary'))).toEqual([]);
    expect(existsSync(join(path, 'a'))).toBe(false);
  });

  test('writes large objects without holding them in memory', async () => {
    const run = await runScript(`
      import { peakMemory } from ${JSON.stringify(new URL('../benchmarks/peak-memory.ts', import.meta.url).href)};
      const store = new FolderStore(${JSON.stringify(join(root, 'large'))});
      async function* large() { const chunk = new Uint8Array(65536).fill(7); for (let i = 0; i < 8192; i++) yield chunk; }
      await store.put('data', large());
      let size = 0;
      for await (const chunk of store.open('data', { reuse: true })) size += chunk.length;
      if (size !== 512 * 2 ** 20) throw new Error('size ' + size);
      if (peakMemory() > 150 * 2 ** 20) throw new Error('peak ' + peakMemory() + ' bytes');`);
    expect(run).toEqual({ status: 0, stderr: '' });
  });

  test('notices when somebody removes or takes the lock, and tells the holder', async () => {
    const path = join(root, 'locks');
    const store = new FolderStore(path);
    const lock = await store.lock('mongodb/lock', { owner: 'a', expiresAfter: 300 });
    const [hash] = readdirSync(join(path, '.lifeboat/locks')) as [string];
    const files = readdirSync(join(path, '.lifeboat/locks', hash));
    expect(files).toEqual(['000000000001']);
    expect(readFileSync(join(path, '.lifeboat/locks', hash, files[0] as string), 'utf8')).toContain('"owner":"a"');
    rmSync(join(path, '.lifeboat/locks', hash), { recursive: true });
    await aborted(lock.lost);
    expect(String(lock.lost.reason)).toMatch(/lock mongodb\/lock in .* was lost/);
    await lock.release();
  });
});
