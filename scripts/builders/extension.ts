// The extension for Azure DevOps: stages the task folders with their share of the bundle, and packs them with tfx.
import { spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { Metafile } from 'esbuild';
import type { AnyStep } from '../../shared/step/define.ts';
import { taskFolder, taskJson, type Variant } from '../generators/azure-tasks.ts';

/** The files an entry needs, itself included, as paths below the bundle's folder. */
export function filesOfEntry(metafile: Metafile, outdir: string, entry: string): string[] {
  const prefix = `${outdir.replace(/\/$/, '')}/`;
  const wanted = new Set<string>();
  const visit = (output: string): void => {
    if (wanted.has(output)) return;
    wanted.add(output);
    for (const { path, external } of metafile.outputs[output]?.imports ?? []) if (!external) visit(path);
  };
  visit(`${prefix}${entry}`);
  return [...wanted].map((path) => path.slice(prefix.length)).sort();
}

export interface EntryFiles {
  /** By step name: the files of its Azure entry. */
  azure: Record<string, string[]>;
}

/** Lays out what the manifest names, below `staging`. */
export function stageExtension(steps: readonly AnyStep[], dist: string, files: EntryFiles, staging: string, variant: Variant): void {
  rmSync(staging, { recursive: true, force: true });
  for (const step of steps) {
    const folder = join(staging, taskFolder(step));
    cpSync(join('azure-tasks', taskFolder(step)), folder, { recursive: true });
    writeFileSync(join(folder, 'task.json'), taskJson(step, variant));
    for (const file of files.azure[step.name] ?? []) {
      // Inside the task's folder: a task is given only its own, and tfx looks for the handler there.
      const target = join(folder, file);
      mkdirSync(dirname(target), { recursive: true });
      copyFileSync(join(dist, file), target);
    }
  }
  for (const file of ['icon.png', 'overview.md']) copyFileSync(join('azure-tasks', file), join(staging, file));
  copyFileSync('LICENSE', join(staging, 'LICENSE'));
  copyFileSync(join(dist, 'THIRD-PARTY-LICENCES.txt'), join(staging, 'THIRD-PARTY-LICENCES.txt'));
  const manifest = variant === 'test' ? 'vss-extension.test.json' : 'vss-extension.json';
  copyFileSync(join('azure-tasks', manifest), join(staging, 'vss-extension.json'));
}

/**
 * Packs a staged extension.
 * @returns the path of the .vsix
 * @throws Error with tfx's words; a task.json that it finds invalid is only a warning to tfx, but not to us
 */
export function packExtension(staging: string, outputFolder: string): string {
  rmSync(outputFolder, { recursive: true, force: true });
  mkdirSync(outputFolder, { recursive: true });
  const run = spawnSync(
    process.execPath,
    [
      resolve('node_modules/tfx-cli/_build/tfx-cli.js'),
      'extension',
      'create',
      '--root',
      staging,
      '--manifests',
      'vss-extension.json',
      '--output-path',
      `${outputFolder}/`,
      '--no-prompt',
    ],
    { encoding: 'utf8', env: { ...process.env, TFX_DISABLE_TELEMETRY: '1' } },
  );
  const said = `${run.stdout}\n${run.stderr}`;
  const file = readdirSync(outputFolder).find((name) => name.endsWith('.vsix'));
  if (run.status !== 0 || file === undefined || /invalid task json/i.test(said))
    throw new Error(`tfx did not pack the extension:\n${said}`);
  return join(outputFolder, file);
}
