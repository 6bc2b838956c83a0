// dr.yml as the source of a step's inputs below what the host gives: finds the file, picks the component, answers lookups.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { UsageError } from '../step/errors.ts';
import { expandHome } from '../step/home-path.ts';
import type { Host } from '../step/host.ts';
import type { ConfigSource } from '../step/run.ts';
import type { DrConfig, VaultConfig } from './dr-config.ts';

export const DEFAULT_FILE = 'dr.yml';

/** The file to use: the one given, else dr.yml in the working folder when there is one. */
export function findDrFile(given: string | undefined, workingFolder = process.cwd()): string | undefined {
  if (given !== undefined && given !== '') return expandHome(given);
  return existsSync(join(workingFolder, DEFAULT_FILE)) ? DEFAULT_FILE : undefined;
}

/**
 * dr.yml as the source of a step's inputs. Lookups, all as text: `source.uri` below the component; `/name` from the root; `.` the component's
 * name; `store` the store's name (the only store when the component names none); `/vault` its address or folder; `/keys` as the input
 * `recipients` is written. Without a component (a step about all of them) a path below it answers when all components say the same.
 * @throws UsageError as `pickComponent`
 */
export function componentSource(config: DrConfig, given: string | undefined, kind: string | undefined, host: Host): ConfigSource {
  const component = pickComponent(config, given, kind, host);
  return { label: config.label, lookup: (path) => lookup(config, component, path) };
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
