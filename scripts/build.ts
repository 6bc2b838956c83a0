// Builds dist/ (the actions, the Azure tasks, the command line), and with --vsix the extension for Azure DevOps.
import { createHash } from 'node:crypto';
import { existsSync, globSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { formatBytes } from '../shared/step/format.ts';
import { steps } from '../shared/steps/index.ts';
import { bundle } from './builders/bundle.ts';
import { filesOfEntry, packExtension, stageExtension, type EntryFiles } from './builders/extension.ts';
import { bundledPackages, duplicates, licenceTexts } from './builders/packages.ts';
import { parseScript, scriptCommand } from './command.ts';
import type { Variant } from './generators/azure-tasks.ts';

/** Says what dist/ was built from, so that nothing is built twice. */
const STAMP = '.stamp';

/** A hash of everything a build depends on. */
export function sourceHash(): string {
  const hash = createHash('sha256');
  const files = globSync(['shared/**/*', 'scripts/**/*', 'package.json', 'package-lock.json', 'azure-tasks/guids.json']).sort();
  for (const file of files) if (statSync(file).isFile()) hash.update(`${file}\0`).update(readFileSync(file)).update('\0');
  return hash.digest('hex');
}

/**
 * Builds into `dist` (relative to the project's root), all or nothing.
 * @throws Error when a package is in the bundle twice
 */
export async function buildInto(dist: string): Promise<void> {
  const hash = sourceHash();
  // Beside dist/, so that it can be renamed into place.
  const making = `${dist}.making-${process.pid}`;
  rmSync(making, { recursive: true, force: true });
  try {
    const metafile = await bundle(steps, making);
    const packages = bundledPackages(metafile);
    const twice = duplicates(packages);
    if (twice.length > 0) {
      throw new Error(`Packages that are in the bundle twice; make them one with "overrides" in package.json:\n${twice.join('\n')}`);
    }
    const entryFiles: EntryFiles = {
      azure: Object.fromEntries(steps.map(({ name }) => [name, filesOfEntry(metafile, making, `azure/${name}.mjs`)])),
    };
    writeFileSync(join(making, 'THIRD-PARTY-LICENCES.txt'), licenceTexts(packages));
    writeFileSync(join(making, 'entry-files.json'), `${JSON.stringify(entryFiles, null, 1)}\n`);
    writeFileSync(join(making, STAMP), hash);
    rmSync(dist, { recursive: true, force: true });
    mkdirSync(join(dist, '..'), { recursive: true });
    renameSync(making, dist);
  } finally {
    rmSync(making, { recursive: true, force: true });
  }
}

/** True when dist/ was built from the sources as they are. */
export function isFresh(dist: string): boolean {
  return existsSync(join(dist, STAMP)) && readFileSync(join(dist, STAMP), 'utf8') === sourceHash();
}

/** Packs the extension from a built dist/. Returns the path of the .vsix. */
export function buildExtension(dist: string, variant: Variant, folder = join(dist, 'extension', variant)): string {
  const files = JSON.parse(readFileSync(join(dist, 'entry-files.json'), 'utf8')) as EntryFiles;
  stageExtension(steps, dist, files, join(folder, 'staging'), variant);
  return packExtension(join(folder, 'staging'), join(folder, 'packed'));
}

if (import.meta.main) {
  const command = scriptCommand('build', 'Builds dist/: the actions, the Azure tasks and the command line.', [
    ['./scripts/build', 'what has changed since the last build'],
    ['./scripts/build --vsix', 'also the extension for Azure DevOps'],
    ['./scripts/build --vsix --test', 'its twin for trying it out, with identities of its own'],
  ])
    .option('--force', 'build although nothing has changed')
    .option('--vsix', 'also pack the extension for Azure DevOps')
    .option('--test', 'with --vsix: its test twin');
  const { force, vsix, test } = parseScript(command).opts<{ force?: true; vsix?: true; test?: true }>();
  const started = performance.now();
  if (force || !isFresh('dist')) await buildInto('dist');
  const files = globSync('dist/{chunks/,github/,azure/,}*.mjs');
  const total = files.reduce((sum, file) => sum + statSync(file).size, 0);
  console.log(`dist: ${files.length} files, ${formatBytes(total)}, ${((performance.now() - started) / 1000).toFixed(1)} s`);
  if (vsix) {
    const file = buildExtension('dist', test ? 'test' : 'prod');
    console.log(`${file}: ${formatBytes(statSync(file).size)}`);
  }
}
