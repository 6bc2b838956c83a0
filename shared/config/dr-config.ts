// A valid dr.yml in use: its parts by name, with references resolved when they are asked for and not before.
import { existsSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';
import type { Kinds } from '../kinds/registry.ts';
import { UsageError } from '../step/errors.ts';
import { expandHome } from '../step/home-path.ts';
import type { ComponentEntry } from './components/index.ts';
import type { ChannelEntry } from '../notify/open.ts';
import type { YamlFile } from './document.ts';
import { pathText, problemLine, type ConfigProblem } from './problem.ts';
import { findReferences, resolveReferences } from './references.ts';
import type { StoreConfig } from '../stores/open.ts';
import { fullKeyAddress, perBackupKind, type RecipientEntry, type VaultConfig } from '../vaults/open.ts';
import type { Dr, DrSchema } from './schema.ts';
import { marksAt } from '../schema/marks.ts';
import { nearestSpelling } from '../schema/spelling.ts';

/** Where references of dr.yml are looked up. */
export interface DrSources {
  /** The kinds that components may be of; those of this version when absent. */
  kinds?: Kinds | undefined;
  /** Default: this process's environment. */
  env?: Readonly<Record<string, string | undefined>> | undefined;
  /** Reads a secret of the file's vault. Absent: `${vault:…}` is an error when it is needed. */
  vaultSecret?: ((vault: VaultConfig, name: string) => Promise<string | undefined>) | undefined;
  /** Told every value that must not be seen, before it is used. */
  mask?: ((secret: string) => void) | undefined;
}

/** The part of the loaded file that DrConfig needs beside its content. */
interface Loaded {
  /** How messages call the file. */
  label: string;
  /** The absolute folder of the file: relative paths start there. */
  folder: string;
  dr: Dr;
  /** What the file was checked with. */
  schema: DrSchema;
  yaml: YamlFile;
  notices: readonly ConfigProblem[];
}

export class DrConfig {
  /** How messages call the file. */
  readonly label: string;
  /** The content with defaults filled in, references as they stand in the file. */
  readonly dr: Dr;
  /** Advice: what is valid but does not do (yet) what one may think. */
  readonly notices: readonly ConfigProblem[];
  readonly #folder: string;
  readonly #schema: DrSchema;
  readonly #yaml: YamlFile;
  readonly #sources: DrSources;

  constructor({ label, folder, dr, schema, yaml, notices }: Loaded, sources: DrSources = {}) {
    this.label = label;
    this.dr = dr;
    this.notices = notices;
    this.#folder = folder;
    this.#schema = schema;
    this.#yaml = yaml;
    this.#sources = sources;
  }

  /** Names of the components, of one kind or of all. */
  componentNames(kind?: string): string[] {
    return Object.entries(this.dr.components)
      .filter(([, component]) => kind === undefined || component.kind === kind)
      .map(([name]) => name);
  }

  /** What the file names and this machine does not have: variables, files and folders. Another machine may well have them. */
  missingHere(): ConfigProblem[] {
    const { env = process.env } = this.#sources;
    const found: ConfigProblem[] = [];
    for (const { path, text, position } of this.#yaml.texts) {
      const say = (message: string): void => void found.push({ ...position, path: pathText(path), message });
      const unset = new Set(findReferences(text).flatMap(({ kind, name }) => (kind === 'env' && !env[name] ? [name] : [])));
      for (const name of unset) say(`the variable ${name} is ${env[name] === '' ? 'empty' : 'not set'} here`);
      const key = this.#yaml.locate(path, 'key');
      const isKey = text === path.at(-1) && position.line === key.line && position.column === key.column;
      const what = isKey ? undefined : placeOnDisk(path);
      // The path of an SFTP store is a folder on its server.
      const isRemote = path[0] === 'stores' && path[2] === 'path' && this.dr.stores?.[String(path[1])]?.kind !== 'folder';
      if (what === undefined || isRemote || unset.size > 0 || text.includes('${vault:')) continue;
      const place = this.#onDisk(
        this.#home(
          text.replace(/\$\{env:([^}]*)\}/g, (_reference, name: string) => env[name] ?? ''),
          path,
        ),
      );
      if (!existsSync(place)) say(`there is no ${what} ${place} here`);
    }
    return found;
  }

  /** A component by name. @throws UsageError naming those there are */
  component(name: string): ComponentEntry {
    return this.#named(this.dr.components, 'component', name);
  }

  /** Name of the store a component's backups go to; undefined when the file has no store. */
  storeNameOf(component: string): string | undefined {
    return this.component(component).store ?? Object.keys(this.dr.stores ?? {})[0];
  }

  /** A store by name, resolved. @throws UsageError naming those there are, or the missing variable */
  async store(name: string): Promise<StoreConfig> {
    const entry = this.#named(this.dr.stores ?? {}, 'store', name);
    return this.#resolved(entry, ['stores', name]);
  }

  /** True when the file has a store of that name. */
  hasStore(name: string): boolean {
    return Object.hasOwn(this.dr.stores ?? {}, name);
  }

  /** The vault, resolved; undefined when the file has none. @throws UsageError naming the missing variable */
  async vault(): Promise<VaultConfig | undefined> {
    if (this.dr.vault === undefined) return undefined;
    const vault = await this.#resolved(this.dr.vault, ['vault']);
    return 'url' in vault ? { ...vault, url: withoutSlash(vault.url) } : vault;
  }

  /** Who can open a backup: `keys`, or one key per backup in the vault. Empty when the file has neither. */
  async recipients(): Promise<RecipientEntry[]> {
    const recipients: RecipientEntry[] = [];
    for (const [index, entry] of (this.dr.keys ?? defaultKeys(this.dr)).entries()) {
      const recipient = await this.#resolved(entry, ['keys', index]);
      recipients.push('key' in recipient ? { ...recipient, key: fullKeyAddress(recipient.key, await this.vault()) } : recipient);
    }
    return recipients;
  }

  /** The channels of `notify`, none when the file has none. */
  channels(): readonly ChannelEntry[] {
    return this.dr.notify ?? [];
  }

  /** A channel by its place in the list, resolved. @throws UsageError naming the missing variable */
  async channel(index: number): Promise<ChannelEntry> {
    const entry = this.channels()[index];
    if (entry === undefined) throw new Error(`dr.yml has no channel ${index}`);
    return this.#resolved(entry, ['notify', index]);
  }

  /**
   * What the file says at a path, resolved, as a step's input would be written (lists with commas); undefined when it does not say.
   * Defaults are not filled in. Secrets are masked first.
   * @throws UsageError naming variable, file and line when a reference cannot be resolved
   */
  async text(path: readonly PropertyKey[]): Promise<string | undefined> {
    const value = path.reduce<unknown>(
      (parent, step) =>
        typeof parent === 'object' && parent !== null && Object.hasOwn(parent, step)
          ? (parent as Record<PropertyKey, unknown>)[step]
          : undefined,
      this.#yaml.data,
    );
    if (value === undefined) return undefined;
    if (Array.isArray(value)) return value.map(String).join(',');
    if (typeof value === 'string') return this.#resolve(value, path);
    if (typeof value === 'number' || typeof value === 'boolean') return String(value);
    throw new Error(`${pathText(path)} of dr.yml is not a single value`);
  }

  async #resolve(value: string, path: readonly PropertyKey[]): Promise<string> {
    const where = problemLine(this.label, { ...this.#yaml.locate(path), path: '', message: pathText(path) });
    const { env = process.env, vaultSecret, mask } = this.#sources;
    const { text, values } = await resolveReferences(value, where, {
      env,
      vaultSecret: vaultSecret && (async (name) => vaultSecret((await this.vault()) as VaultConfig, name)),
    });
    const secret = this.isSecret(path) || value.includes('${vault:');
    if (secret) for (const hidden of [...values, ...(values.length > 0 ? [text] : [])]) mask?.(hidden);
    return text;
  }

  /** True for a text whose whole resolved value is a secret: masked before anything can log it. */
  isSecret(path: readonly PropertyKey[]): boolean {
    return marksAt(this.#schema, path, this.dr).secret;
  }

  /** An entry with every text in it resolved; paths are absolute. */
  async #resolved<T>(value: T, path: readonly PropertyKey[]): Promise<T> {
    return (await this.#resolvedValue(value, path)) as T;
  }

  async #resolvedValue(value: unknown, path: readonly PropertyKey[]): Promise<unknown> {
    if (typeof value === 'string') return marksAt(this.#schema, path, this.dr).path ? this.#path(path) : this.#resolve(value, path);
    if (Array.isArray(value)) return Promise.all(value.map((item, index) => this.#resolvedValue(item, [...path, index])));
    if (typeof value !== 'object' || value === null) return value;
    const resolved: Record<string, unknown> = {};
    // One after the other: the first reference that is missing is the one that is told.
    for (const [name, item] of Object.entries(value)) resolved[name] = await this.#resolvedValue(item, [...path, name]);
    return resolved;
  }

  async #required(path: readonly PropertyKey[]): Promise<string> {
    return (await this.text(path)) as string;
  }

  async #path(path: readonly PropertyKey[]): Promise<string> {
    return this.#onDisk(this.#home(await this.#required(path), path));
  }

  #onDisk(value: string): string {
    return isAbsolute(value) ? value : resolve(this.#folder, value);
  }

  /** @throws UsageError naming the line */
  #home(value: string, path: readonly PropertyKey[]): string {
    try {
      return expandHome(value);
    } catch (thrown) {
      if (!(thrown instanceof UsageError)) throw thrown;
      const where = problemLine(this.label, { ...this.#yaml.locate(path), path: pathText(path), message: thrown.message });
      throw new UsageError(where, { fix: thrown.fix, cause: thrown });
    }
  }

  #named<T>(entries: Readonly<Record<string, T>>, what: string, name: string): T {
    const entry = Object.hasOwn(entries, name) ? entries[name] : undefined;
    if (entry !== undefined) return entry;
    const names = Object.keys(entries);
    const near = nearestSpelling(name, names);
    throw new UsageError(`${this.label} has no ${what} ${JSON.stringify(name)}.`, {
      fix: near === undefined ? `It has: ${names.join(', ') || 'none'}.` : `Did you mean ${near}?`,
    });
  }
}

/** What kind of place on this machine a text of dr.yml names; undefined for every other text. */
function placeOnDisk(path: readonly PropertyKey[]): 'file' | 'folder' | undefined {
  const [part, , field] = path;
  if ((part === 'stores' && field === 'path') || (part === 'vault' && path[1] === 'path')) return 'folder';
  return (part === 'stores' && field === 'keyFile') || (part === 'keys' && field === 'publicKey') ? 'file' : undefined;
}

/** What `keys` means when the file does not say: one key per backup in the vault. */
export function defaultKeys(dr: Dr): NonNullable<Dr['keys']> {
  if (dr.vault === undefined) return [];
  return [{ kind: perBackupKind(dr.vault) }];
}

function withoutSlash(url: string): string {
  return url.replace(/\/$/, '');
}
