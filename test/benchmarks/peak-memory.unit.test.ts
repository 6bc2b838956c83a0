import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import { peakMemory } from './peak-memory.ts';

const MODULE = new URL('./peak-memory.ts', import.meta.url).href;

test('the peak memory of a process is its own, however large the one that started it is', () => {
  const held = Buffer.alloc(256 << 20, 1);
  const script = `import { peakMemory } from ${JSON.stringify(MODULE)}; console.log(peakMemory());`;
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    encoding: 'utf8',
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
  });
  expect(peakMemory()).toBeGreaterThan(held.length);
  expect(Number(stdout)).toBeGreaterThan(10 << 20);
  expect(Number(stdout)).toBeLessThan(held.length);
});
