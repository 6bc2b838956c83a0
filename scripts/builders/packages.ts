// Which packages a bundle holds: none twice, and each with its licence.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Metafile } from 'esbuild';

export interface BundledPackage {
  name: string;
  version: string;
  licence: string;
  folder: string;
}

/** The npm packages of which something is in the bundle, by name. */
export function bundledPackages(metafile: Metafile): BundledPackage[] {
  const used = new Set(Object.values(metafile.outputs).flatMap((output) => Object.keys(output.inputs)));
  const folders = new Set([...used].map(packageFolder).filter((folder) => folder !== undefined));
  return [...folders].map(describePackage).sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.folder < b.folder ? -1 : 1));
}

/** `a/node_modules/@s/n/x.js` → `a/node_modules/@s/n`. */
function packageFolder(input: string): string | undefined {
  return /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0];
}

function describePackage(folder: string): BundledPackage {
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
    name: string;
    version: string;
    license?: string | { type: string };
  };
  const licence = typeof manifest.license === 'string' ? manifest.license : (manifest.license?.type ?? 'see its text');
  return { name: manifest.name, version: manifest.version, licence, folder };
}

/**
 * Packages that are in the bundle twice. Two copies mean two module states (task-lib's vault, @azure/core's pipeline) and
 * `instanceof` that lies, besides the size.
 */
export function duplicates(packages: readonly BundledPackage[]): string[] {
  const byName = Map.groupBy(packages, ({ name }) => name);
  return [...byName.values()]
    .filter((copies) => copies.length > 1)
    .map((copies) => `${copies[0]?.name ?? ''}: ${copies.map(({ version, folder }) => `${version} (${folder})`).join(', ')}`);
}

/**
 * Folder of a copy → folder of the one to use, for packages that npm had to install several times in the same version.
 * From the lockfile, so that the choice does not depend on what is resolved first.
 */
export function sameVersionCopies(lockfile: string): Map<string, string> {
  const { packages } = JSON.parse(lockfile) as { packages: Record<string, { version?: string }> };
  const folders = Object.keys(packages).filter((folder) => folder.includes('node_modules/'));
  const name = (folder: string): string => folder.replace(/^.*node_modules\//, '');
  const copies = Map.groupBy(folders, (folder) => `${name(folder)}@${packages[folder]?.version ?? ''}`);
  const replaced = new Map<string, string>();
  for (const group of copies.values()) {
    const [kept, ...others] = group.sort((a, b) => a.length - b.length || (a < b ? -1 : 1));
    if (kept !== undefined) for (const other of others) replaced.set(other, kept);
  }
  return replaced;
}

/** The text of THIRD-PARTY-LICENCES.txt. */
export function licenceTexts(packages: readonly BundledPackage[]): string {
  const sections = packages.map(({ name, version, licence, folder }) => {
    const text = licenceFile(folder);
    return `${name} ${version} (${licence})\n${'-'.repeat(40)}\n${text ?? 'The package brings no licence text.'}\n`;
  });
  return `Lifeboat includes these packages, each under its own licence.\n\n${sections.join('\n')}`;
}

function licenceFile(folder: string): string | undefined {
  const file = existsSync(folder)
    ? readdirSync(folder)
        .sort()
        .find((name) => /^(licen[cs]e|copying)/i.test(name))
    : undefined;
  return file === undefined ? undefined : readFileSync(join(folder, file), 'utf8').replaceAll('\r\n', '\n').trim();
}
