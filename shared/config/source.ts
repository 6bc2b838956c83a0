// dr.yml as the source of a step's inputs below what the host gives: finds the file, picks the component, answers lookups.
import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { UsageError } from '../step/errors.ts';
import { expandHome } from '../step/home-path.ts';
import type { Host } from '../step/host.ts';
import type { ConfigSource } from '../step/run.ts';
import type { VaultConfig } from '../vaults/open.ts';
import type { DrConfig } from './dr-config.ts';

export const DEFAULT_FILE = 'dr.yml';

/**
 * The file to use: the one given, else dr.yml in the working folder or, as git looks for its own, in a folder above it up to the root of the
 * repository. Outside of a repository no folder above is looked into: what lies there may be another user's.
 * @returns a path to open and to call it by, such as `../dr.yml`
 */
export function findDrFile(given: string | undefined, workingFolder = process.cwd()): string | undefined {
  if (given !== undefined && given !== '') return expandHome(given);
  const folders = foldersUpwards(workingFolder);
  const root = folders.findIndex((folder) => existsSync(join(folder, '.git')));
  const found = folders.slice(0, Math.max(root, 0) + 1).findIndex((folder) => existsSync(join(folder, DEFAULT_FILE)));
  return found < 0 ? undefined : above(found, DEFAULT_FILE);
}

/** That there is no dr.yml to use, and where there is one: `There is no dr.yml here; there is one in ..`, without a full stop. */
export function absentDr(workingFolder = process.cwd()): string {
  const elsewhere = foldersUpwards(workingFolder).findIndex((folder) => existsSync(join(folder, DEFAULT_FILE)));
  return `There is no ${DEFAULT_FILE} here${elsewhere < 0 ? '' : `; there is one in ${above(elsewhere)}`}`;
}

/** The way to a dr.yml, as the end of a sentence: a pipeline has no folder to go to. */
export function wayToDr({ kind }: Pick<Host, 'kind'>): string {
  return kind === 'terminal' ? 'go to the folder of your dr.yml' : 'check out the repository with your dr.yml';
}

function foldersUpwards(start: string): string[] {
  const folders = [resolve(start)];
  for (let folder = dirname(folders[0] as string); folder !== folders.at(-1); folder = dirname(folder)) folders.push(folder);
  return folders;
}

/** `../..`, with a name behind it. */
function above(levels: number, name = ''): string {
  return [...Array<string>(levels).fill('..'), ...(name === '' ? [] : [name])].join('/');
}

/**
 * dr.yml as the source of a step's inputs. Lookups, all as text: `source.uri` below the component; `/name` from the root; `.` the component's
 * name; `store` the store's name (the only store when the component names none); `/vault` its address or folder; `/keys` as the input
 * `recipients` is written. Without a component (a step about all of them) a path below it answers when all components say the same.
 * @throws UsageError as `pickComponent`
 */
export function componentSource(config: DrConfig, given: string | undefined, kind: string | undefined, host: Host): ConfigSource {
  const component = pickComponent(config, given, kind, host);
  const names = config.componentNames(kind);
  return {
    label: config.label,
    lookup: (path) => lookup(config, component, path),
    choices: component === undefined && names.length > 1 ? names : undefined,
  };
}

/** The component a step is about. @throws UsageError when it is not there, of another kind, or cannot be told */
export function pickComponent(config: DrConfig, given: string | undefined, kind: string | undefined, host: Host): string | undefined {
  if (given !== undefined) {
    const found = config.component(given);
    if (kind === undefined || found.kind === kind) return given;
    const names = config.componentNames(kind);
    throw new UsageError(`Component ${given} of ${config.label} is of kind ${found.kind}; this step is for kind ${kind}.`, {
      fix: names.length > 0 ? `Set ${host.spell('component')} to ${names.join(' or ')}.` : `Add a component of kind ${kind}.`,
    });
  }
  const names = config.componentNames(kind);
  if (names.length <= 1 || kind === undefined) return names.length === 1 ? names[0] : undefined;
  throw new UsageError(`${config.label} has ${names.length} components of kind ${kind}: ${names.join(', ')}.`, {
    fix: `Say which one: set ${host.spell('component')}.`,
  });
}

async function lookup(config: DrConfig, component: string | undefined, path: string): Promise<string | undefined> {
  if (path === '/vault') return vaultText(await config.vault());
  if (path === '/keys') return recipientsText(config);
  if (path.startsWith('/')) return config.text(path.slice(1).split('.'));
  if (component !== undefined) return lookupIn(config, component, path);
  if (path === '.') return undefined;
  const answers = await Promise.all(config.componentNames().map((name) => lookupIn(config, name, path)));
  return answers.every((answer) => answer === answers[0]) ? answers[0] : undefined;
}

async function lookupIn(config: DrConfig, component: string, path: string): Promise<string | undefined> {
  if (path === '.') return component;
  if (path === 'store') return config.storeNameOf(component);
  return text(config, component, path);
}

function text(config: DrConfig, component: string, path: string): Promise<string | undefined> {
  return config.text(['components', component, ...path.split('.')]);
}

function vaultText(vault: VaultConfig | undefined): string | undefined {
  return vault?.kind === 'folder' ? vault.path : vault?.url;
}

async function recipientsText(config: DrConfig): Promise<string | undefined> {
  if (config.dr.keys === undefined) return undefined;
  const recipients = await config.recipients();
  return recipients
    .map((recipient) => {
      if (recipient.kind === 'key-vault-key') return `key-vault-key:${recipient.key}`;
      return recipient.kind === 'escrow' ? `escrow:${recipient.publicKey}` : 'vault';
    })
    .join(',');
}
