import { spawnSync } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { buildExtension } from '../../scripts/build.ts';
import { bundle } from '../../scripts/builders/bundle.ts';
import { bundledPackages, duplicates } from '../../scripts/builders/packages.ts';
import { taskFolder, taskId } from '../../scripts/generators/azure-tasks.ts';
import { steps } from '../../shared/steps/index.ts';

const folder = mkdtempSync(join(tmpdir(), 'lifeboat-build-'));
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe('the build', () => {
  test('gives equal bytes when it is done again', async () => {
    await bundle(steps, join(folder, 'again'));
    const files = (root: string) =>
      globSync(`${root}/**/*.mjs`)
        .map((file) => relative(root, file))
        .sort();
    const again = join(folder, 'again');
    expect(files(again)).toEqual(files('dist'));
    for (const file of files('dist')) expect(readFileSync(join(again, file)).equals(readFileSync(join('dist', file)))).toBe(true);
  });

  test('has an entry of less than a kilobyte per step and host', () => {
    for (const { name } of steps) {
      expect(statSync(`dist/github/${name}.mjs`).size).toBeLessThan(1024);
      expect(statSync(`dist/azure/${name}.mjs`).size).toBeLessThan(1024);
    }
  });

  test('brings the licence of every package', () => {
    const text = readFileSync('dist/THIRD-PARTY-LICENCES.txt', 'utf8');
    for (const name of ['@actions/core', 'azure-pipelines-task-lib', 'commander', 'mongodb', 'zod', 'yaml']) {
      expect(text).toMatch(new RegExp(`^${name} \\d+\\.\\d+\\.\\d+ \\(`, 'm'));
    }
  });

  test('a package that is there twice is found', () => {
    const packages = [
      { name: 'a', version: '1.0.0', licence: 'MIT', folder: 'node_modules/a' },
      { name: 'a', version: '2.0.0', licence: 'MIT', folder: 'node_modules/b/node_modules/a' },
      { name: 'b', version: '1.0.0', licence: 'MIT', folder: 'node_modules/b' },
    ];
    expect(duplicates(packages)).toEqual(['a: 1.0.0 (node_modules/a), 2.0.0 (node_modules/b/node_modules/a)']);
    const metafile = { inputs: {}, outputs: { 'dist/x.mjs': { inputs: { 'node_modules/commander/index.js': { bytesInOutput: 1 } } } } };
    expect(bundledPackages(metafile as never).map(({ name }) => name)).toEqual(['commander']);
  });
});

describe.each(['prod', 'test'] as const)('the %s extension', (variant) => {
  test('is packed by tfx without complaint, every task with its own bundle', () => {
    const target = join(folder, variant);
    const file = buildExtension('dist', variant, target);
    expect(file).toMatch(/\.vsix$/);
    expect(statSync(file).size).toBeLessThan(50 * 2 ** 20);
    for (const step of steps) {
      const task = join(target, 'staging', taskFolder(step));
      expect(JSON.parse(readFileSync(join(task, 'task.json'), 'utf8'))).toMatchObject({ id: taskId(step, variant) });
      // A task is given only its own folder: it must run from there alone.
      const run = spawnSync(process.execPath, [join(task, 'azure', `${step.name}.mjs`)], {
        encoding: 'utf8',
        cwd: folder,
        env: { AGENT_TEMPDIRECTORY: folder },
      });
      expect(run.stdout).toMatch(
        /##vso\[task\.issue type=error;source=TaskInternal;\].*(is missing|There is no dr\.yml|There is nothing to check)/,
      );
    }
  });
});
