// A folder as a vault: one file (mode 0600) per version of a secret, written whole or not at all.
import { randomBytes } from 'node:crypto';
import { chmod, open, readdir, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { errorMessage, throwIfCancelled, UserError } from '../../step/errors.ts';
import { systemClock, type Clock } from '../../tools/clock.ts';
import { fileReason } from '../../tools/file-errors.ts';
import { makeFolder } from '../../tools/make-folder.ts';
import { syncFolder } from '../../tools/sync-folder.ts';
import { DamagedSecretError, VaultError } from '../errors.ts';
import { checkSecretName } from '../secret-name.ts';
import type { Vault, VaultSecret, VaultSecretInfo, VaultSecretVersion } from '../vault.ts';

/** More than any key or Kubernetes Secret needs. */
const MAX_VALUE_BYTES = 4 * 1024 * 1024;
const VERSION_FILE = /^(\d{6}-[0-9a-f]{16})\.json$/;

/** What a version's file holds. */
interface Stored {
  name: string;
  value: string;
  contentType?: string;
  tags: Record<string, string>;
  created: string;
}

/**
 * Layout: `<folder>/<name in lower case>/<number>-<random>.json`; the highest number is the latest version. The random part keeps two
 * writers apart, and an id from before a delete from naming something else afterwards.
 */
export class FolderVault implements Vault {
  readonly kind = 'folder';
  readonly location: string;
  readonly maxValueBytes = MAX_VALUE_BYTES;
  readonly #clock: Clock;
  readonly #mustExist: boolean;

  /** @param options.mustExist everything fails while the folder is not there; without it the first secret makes it */
  constructor(path: string, options: { clock?: Clock | undefined; mustExist?: boolean | undefined } = {}) {
    this.location = resolve(path);
    this.#clock = options.clock ?? systemClock;
    this.#mustExist = options.mustExist ?? false;
  }

  async set(
    name: string,
    value: string,
    options: { contentType?: string; tags?: Record<string, string>; signal?: AbortSignal | undefined } = {},
  ): Promise<VaultSecretVersion> {
    checkSecretName(name, this.location);
    if (Buffer.byteLength(value) > MAX_VALUE_BYTES) {
      throw new VaultError(`The secret ${name} has ${Buffer.byteLength(value)} bytes; a folder vault takes at most ${MAX_VALUE_BYTES}.`);
    }
    return this.#doing(`store the secret ${name}`, options.signal, async () => {
      await this.#prepare();
      const folder = this.#folderOf(name);
      await makeFolder(folder);
      const previous = await this.#latest(name);
      const number = previous === undefined ? 1 : Number(previous.slice(0, 6)) + 1;
      const version = `${String(number).padStart(6, '0')}-${randomBytes(8).toString('hex')}`;
      const stored: Stored = {
        name,
        value,
        ...(options.contentType === undefined ? {} : { contentType: options.contentType }),
        tags: options.tags ?? {},
        created: this.#clock.now().toISOString(),
      };
      await writeWhole(folder, `${version}.json`, JSON.stringify(stored));
      await syncFolder(this.location);
      return this.#describe(stored, version);
    });
  }

  async get(name: string, signal?: AbortSignal, version?: string): Promise<VaultSecret | undefined> {
    checkSecretName(name, this.location);
    return this.#doing(`read the secret ${name}`, signal, async () => {
      await this.#checkRoot();
      const wanted = version ?? (await this.#latest(name));
      if (wanted === undefined || !VERSION_FILE.test(`${wanted}.json`)) return undefined;
      const stored = await this.#load(name, wanted);
      return stored && { ...this.#describe(stored, wanted), value: stored.value };
    });
  }

  async *list(signal?: AbortSignal): AsyncIterable<VaultSecretInfo> {
    const names = await this.#doing('list the secrets', signal, async () => {
      await this.#checkRoot();
      return (await entries(this.location)).filter((name) => !name.startsWith('.')).sort();
    });
    for (const name of names) {
      const latest = await this.get(name, signal);
      if (!latest) continue;
      const { contentType, tags, created, updated } = latest;
      yield { name: latest.name, ...(contentType === undefined ? {} : { contentType }), tags, created, updated };
    }
  }

  async delete(name: string, signal?: AbortSignal): Promise<boolean> {
    checkSecretName(name, this.location);
    return this.#doing(`delete the secret ${name}`, signal, async () => {
      await this.#checkRoot();
      if ((await this.#latest(name)) === undefined) return false;
      // First out of sight in one move, then gone: never a secret with half of its versions.
      const grave = join(this.location, `.deleted-${randomBytes(8).toString('hex')}`);
      try {
        await rename(this.#folderOf(name), grave);
      } catch (thrown) {
        if (isMissing(thrown)) return false;
        throw thrown;
      }
      await syncFolder(this.location);
      await rm(grave, { recursive: true, force: true });
      return true;
    });
  }

  /** A folder keeps nothing that was deleted. */
  async deleted(): Promise<undefined> {
    return undefined;
  }

  async recover(): Promise<boolean> {
    return false;
  }

  parseId(id: string): { name: string; version: string } | undefined {
    const match = /^([0-9a-zA-Z-]{1,127})\/(\d{6}-[0-9a-f]{16})$/.exec(id);
    return match ? { name: match[1] as string, version: match[2] as string } : undefined;
  }

  #folderOf(name: string): string {
    return join(this.location, name.toLowerCase());
  }

  async #latest(name: string): Promise<string | undefined> {
    let latest: string | undefined;
    for (const file of await entries(this.#folderOf(name))) {
      const version = VERSION_FILE.exec(file)?.[1];
      if (version !== undefined && (latest === undefined || version > latest)) latest = version;
    }
    return latest;
  }

  async #load(name: string, version: string): Promise<Stored | undefined> {
    const file = join(this.#folderOf(name), `${version}.json`);
    let handle: FileHandle;
    try {
      handle = await open(file, 'r');
    } catch (thrown) {
      if (isMissing(thrown)) return undefined;
      throw thrown;
    }
    try {
      await this.#checkPrivate(file, '600');
      const stored = parseStored(await handle.readFile('utf8'), name);
      if (stored) return stored;
      throw new DamagedSecretError(`The secret ${name} in ${this.location} is damaged: ${version}.json is not what a vault writes.`, {
        fix: 'Restore the file from a copy of the folder.',
      });
    } finally {
      await handle.close();
    }
  }

  #describe({ name, contentType, tags, created }: Stored, version: string): VaultSecretVersion {
    const date = new Date(created);
    return {
      id: `${name.toLowerCase()}/${version}`,
      name,
      version,
      ...(contentType === undefined ? {} : { contentType }),
      tags,
      created: date,
      updated: date,
    };
  }

  async #prepare(): Promise<void> {
    if (!this.#mustExist) await makeFolder(this.location);
    await this.#checkRoot();
  }

  /** @throws VaultError when others on this machine could read it, or it is not there and must be */
  async #checkRoot(): Promise<void> {
    if (this.#mustExist && !(await isThere(this.location))) {
      throw new VaultError(`There is no folder ${this.location} with keys.`, {
        fix: 'Correct the path, or mount the disk that it lies on. The folder of a new vault is made by the first backup.',
      });
    }
    await this.#checkPrivate(this.location, '700');
  }

  /** @throws VaultError when others on this machine could read it */
  async #checkPrivate(path: string, wanted: '600' | '700'): Promise<void> {
    if (process.platform === 'win32') return; // Mode bits mean nothing there.
    let mode: number;
    try {
      ({ mode } = await stat(path));
    } catch (thrown) {
      if (isMissing(thrown)) return;
      throw thrown;
    }
    if ((mode & 0o077) === 0) return;
    throw new VaultError(`${path} can be read by other users of this machine (mode ${(mode & 0o777).toString(8)}); it holds keys.`, {
      fix: `Run chmod ${wanted} ${path}, and think of the keys in it as seen.`,
    });
  }

  async #doing<T>(action: string, signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    throwIfCancelled(signal);
    try {
      return await work();
    } catch (thrown) {
      if (thrown instanceof UserError || !isSystemError(thrown)) throw thrown;
      const { reason, fix } = fileReason(thrown) ?? { reason: errorMessage(thrown), fix: undefined };
      throw new VaultError(`Could not ${action} in ${this.location}: ${reason}.`, {
        fix: fix ?? 'Check that the folder can be written to by this user and that the disk has room.',
        cause: thrown,
      });
    }
  }
}

/** A version's file; undefined when it does not hold a value. The rest of it is for people, and damage there does not cost the value. */
function parseStored(text: string, name: string): Stored | undefined {
  let json: Partial<Stored> | null;
  try {
    json = JSON.parse(text) as Partial<Stored> | null;
  } catch {
    // The parser's message quotes the text, which holds the value.
    return undefined;
  }
  if (typeof json?.value !== 'string') return undefined;
  return {
    name: typeof json.name === 'string' ? json.name : name,
    value: json.value,
    ...(typeof json.contentType === 'string' ? { contentType: json.contentType } : {}),
    tags: typeof json.tags === 'object' ? json.tags : {},
    created: typeof json.created === 'string' ? json.created : '',
  };
}

async function writeWhole(folder: string, name: string, text: string): Promise<void> {
  const temporary = join(folder, `.new-${randomBytes(8).toString('hex')}`);
  try {
    const handle = await open(temporary, 'wx', 0o600);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    // A narrower umask may have taken the owner's own bits.
    await chmod(temporary, 0o600);
    await rename(temporary, join(folder, name));
  } catch (thrown) {
    await rm(temporary, { force: true });
    throw thrown;
  }
  await syncFolder(folder);
}

async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (thrown) {
    if (isMissing(thrown)) return false;
    throw thrown;
  }
}

async function entries(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (thrown) {
    if (isMissing(thrown)) return [];
    throw thrown;
  }
}

/** Whether the operating system said it; told by shape, since such an error may come from another realm. */
function isSystemError(thrown: unknown): boolean {
  return typeof (thrown as NodeJS.ErrnoException | undefined)?.code === 'string';
}

function isMissing(thrown: unknown): boolean {
  return (thrown as NodeJS.ErrnoException | undefined)?.code === 'ENOENT';
}
