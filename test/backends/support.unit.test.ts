// What every test server relies on: ports that nobody takes by chance, processes that really end, a lock that is never held for ever.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { describeIf } from '../support/needs.ts';
import { findProgram, freePort, oneAtATime, startProcess, tempFolder } from './support.ts';

const folder = tempFolder('support');
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

const alive = (pid: number): boolean => existsSync(`/proc/${pid}`);

test('a free port is given out once, and lies below those that a system gives out by chance', async () => {
  const ports = await Promise.all(Array.from({ length: 50 }, () => freePort()));
  expect(new Set(ports).size).toBe(50);
  expect(Math.min(...ports)).toBeGreaterThanOrEqual(20_000);
  expect(Math.max(...ports)).toBeLessThan(32_000);
});

describe('a started process', () => {
  const ready = (output: string): boolean => output.includes('ready');

  test('has stopped although a child of its own goes on and holds its output open', async () => {
    const server = await startProcess('sh', ['-c', 'sleep 60 & echo "ready $!"; exec sleep 60'], { ready });
    const left = Number(/ready (\d+)/.exec(server.output())?.[1]);
    try {
      await server.stop();
      expect(server.child.signalCode).toBe('SIGTERM');
      await server.stop();
    } finally {
      process.kill(left);
    }
  });

  test('that does not heed SIGTERM is ended by force', async () => {
    const server = await startProcess('sh', ['-c', 'trap "" TERM; echo ready; while :; do sleep 0.1; done'], { ready });
    await server.stop(200);
    expect(server.child.signalCode).toBe('SIGKILL');
  });

  test('that ends before it is ready, or cannot be started, says so', async () => {
    await expect(startProcess('sh', ['-c', 'echo broken; exit 3'], { ready })).rejects.toThrow(/^sh ended at once:\nbroken/);
    await expect(startProcess('/nowhere/program', [], { ready })).rejects.toThrow(/^\/nowhere\/program (ended at once|did not start)/);
  });

  describeIf(findProgram('setpriv') !== undefined && existsSync('/proc'), 'needs Linux with util-linux')('and its starter', () => {
    test('end together, even when the starter is killed', async () => {
      const script = `import { startProcess } from ${JSON.stringify(resolve('test/backends/support.ts'))};
        const { child } = await startProcess('sh', ['-c', 'echo ready; exec sleep 60'], { ready: (output) => output.includes('ready') });
        console.log(child.pid);
        process.kill(process.pid, 'SIGKILL');`;
      const starter = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
      let said = '';
      starter.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
      await once(starter, 'close');
      const pid = Number(said);
      expect(pid).toBeGreaterThan(0);
      for (let tries = 0; alive(pid) && tries < 200; tries += 1) await delay(50);
      expect(alive(pid)).toBe(false);
    });
  });
});

describe('work that is done by one process at a time', () => {
  const before = process.env['LIFEBOAT_CACHE'];
  const lock = join(folder, 'work.lock');
  const minutesAgo = (minutes: number): void => {
    const then = new Date(Date.now() - minutes * 60_000);
    utimesSync(lock, then, then);
  };
  const holdAs = (pid: number): void => {
    mkdirSync(lock);
    writeFileSync(join(lock, 'pid'), String(pid));
  };
  afterEach(() => {
    rmSync(lock, { recursive: true, force: true });
    if (before === undefined) delete process.env['LIFEBOAT_CACHE'];
    else process.env['LIFEBOAT_CACHE'] = before;
  });
  const work = async (): Promise<boolean> => {
    process.env['LIFEBOAT_CACHE'] = folder;
    return oneAtATime('work', async () => existsSync(lock));
  };

  test('waits for a holder that lives', async () => {
    holdAs(process.pid);
    const waiting = work();
    expect(await Promise.race([waiting, delay(600, 'still waiting')])).toBe('still waiting');
    rmSync(lock, { recursive: true });
    expect(await waiting).toBe(true);
    expect(existsSync(lock)).toBe(false);
  });

  test('goes on when the holder is gone, also when its number belongs to somebody else by now', async () => {
    // Above the highest number that Linux gives.
    holdAs(2 ** 22 + 1);
    expect(await work()).toBe(true);
    holdAs(process.pid);
    minutesAgo(2);
    expect(await work()).toBe(true);
  });

  test('fails where no lock can be made at all, instead of trying for ever', async () => {
    writeFileSync(join(folder, 'file'), '');
    process.env['LIFEBOAT_CACHE'] = join(folder, 'file');
    await expect(oneAtATime('work', async () => true)).rejects.toThrow(/EEXIST|ENOTDIR/);
    mkdirSync(join(folder, 'cache'));
    process.env['LIFEBOAT_CACHE'] = join(folder, 'cache');
    await expect(oneAtATime('no/such/folder', async () => true)).rejects.toThrow(/ENOENT/);
  });
});
