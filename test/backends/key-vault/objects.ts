// Named, versioned, softly deleted things: what secrets and keys of a vault have in common, with the states between.
import { randomBytes } from 'node:crypto';
import { checkName, VaultRefusal, type SettableAttributes } from './protocol.ts';

export interface Version<T> {
  /** 32 hexadecimal digits. */
  id: string;
  /** Milliseconds since the epoch, as `updated`. */
  created: number;
  updated: number;
  attributes: SettableAttributes;
  tags: Record<string, string>;
  content: T;
}

type State = 'active' | 'deleting' | 'deleted' | 'recovering';

export interface Item<T> {
  /** As it was first written; looked up regardless of case. */
  name: string;
  /** Oldest first. */
  versions: Version<T>[];
  state: State;
  /** When the state began, in milliseconds since the epoch. */
  since: number;
}

export interface SoftDeletion {
  /** 7 to 90; a vault's choice. */
  retentionDays: number;
  purgeProtection: boolean;
  /** How long a delete takes to show up among the deleted. */
  deleteDelayMs: number;
  /** How long a recover takes until the object can be read. */
  recoverDelayMs: number;
  /**
   * How long after that a new version is still refused with ObjectIsBeingRecovered: seen on the real service
   * (azure-sdk-for-net#31581).
   */
  settleDelayMs: number;
}

/** All secrets, or all keys, of one vault. */
export class ObjectCollection<T> {
  readonly #kind: 'secret' | 'key';
  readonly #items = new Map<string, Item<T>>();
  readonly #rules: SoftDeletion;
  readonly #now: () => number;
  readonly #changed: () => void;

  constructor(kind: 'secret' | 'key', rules: SoftDeletion, now: () => number, changed: () => void) {
    this.#kind = kind;
    this.#rules = rules;
    this.#now = now;
    this.#changed = changed;
  }

  /** Adds a version, or says why the name cannot be used now. */
  add(name: string, version: Omit<Version<T>, 'id' | 'created' | 'updated'>): { item: Item<T>; version: Version<T> } {
    checkName(this.#kind, name);
    const existing = this.#find(name);
    if (existing && existing.state !== 'active') throw this.#conflict(existing);
    const item = existing ?? { name, versions: [], state: 'active', since: this.#now() };
    const now = this.#now();
    const added = { ...version, id: randomBytes(16).toString('hex'), created: now, updated: now };
    item.versions.push(added);
    this.#items.set(name.toLowerCase(), item);
    this.#changed();
    return { item, version: added };
  }

  /** The named version, or the latest when `id` is empty. */
  get(name: string, id = ''): { item: Item<T>; version: Version<T> } {
    checkName(this.#kind, name);
    const item = this.#find(name);
    const version = item && this.#readable(item) ? item.versions.find((one) => one.id === id) : undefined;
    const latest = item && this.#readable(item) && id === '' ? item.versions.at(-1) : version;
    if (!item || !latest) throw this.#missing(id === '' ? name : `${name}/${id}`);
    return { item, version: latest };
  }

  active(): Item<T>[] {
    return this.#sorted((item) => this.#readable(item));
  }

  deleted(): Item<T>[] {
    return this.#sorted((item) => item.state === 'deleted');
  }

  versions(name: string): { item: Item<T>; versions: Version<T>[] } {
    const { item } = this.get(name);
    // The service lists versions in no useful order.
    return { item, versions: item.versions.toSorted((a, b) => (a.id < b.id ? -1 : 1)) };
  }

  delete(name: string): Item<T> {
    const { item } = this.get(name);
    if (item.state === 'recovering') throw this.#conflict(item);
    this.#move(item, this.#rules.deleteDelayMs > 0 ? 'deleting' : 'deleted');
    return item;
  }

  getDeleted(name: string): Item<T> {
    checkName(this.#kind, name);
    const item = this.#find(name);
    if (item?.state !== 'deleted') {
      throw new VaultRefusal(404, this.#missingCode(), `Deleted ${this.#title()} not found: ${name}`);
    }
    return item;
  }

  recover(name: string): Item<T> {
    const existing = this.#find(name);
    if (existing?.state === 'recovering' || existing?.state === 'deleting') throw this.#conflict(existing);
    const item = this.getDeleted(name);
    this.#move(item, this.#rules.recoverDelayMs + this.#rules.settleDelayMs > 0 ? 'recovering' : 'active');
    return item;
  }

  purge(name: string, vault: string): void {
    const item = this.getDeleted(name);
    if (this.#rules.purgeProtection) {
      throw new VaultRefusal(
        403,
        'Forbidden',
        `Operation "purge" is not allowed because purge protection is enabled for this vault. Key Vault service will automatically purge it after the retention period has passed.\r\nVault: ${vault}`,
      );
    }
    this.#items.delete(item.name.toLowerCase());
    this.#changed();
  }

  touch(version: Version<T>): void {
    version.updated = this.#now();
    this.#changed();
  }

  /** When a deleted item goes for good, in milliseconds since the epoch. */
  purgeTime(item: Item<T>): number {
    return item.since + this.#rules.retentionDays * 86_400_000;
  }

  dump(): Item<T>[] {
    return [...this.#items.values()];
  }

  load(items: Item<T>[]): void {
    for (const item of items) this.#items.set(item.name.toLowerCase(), item);
  }

  #readable(item: Item<T>): boolean {
    return item.state === 'active' || (item.state === 'recovering' && this.#now() >= item.since + this.#rules.recoverDelayMs);
  }

  #find(name: string): Item<T> | undefined {
    const item = this.#items.get(name.toLowerCase());
    if (!item) return undefined;
    const age = this.#now() - item.since;
    if (item.state === 'deleting' && age >= this.#rules.deleteDelayMs) item.state = 'deleted';
    if (item.state === 'recovering' && age >= this.#rules.recoverDelayMs + this.#rules.settleDelayMs) item.state = 'active';
    if (item.state === 'deleted' && this.#now() >= this.purgeTime(item)) {
      this.#items.delete(name.toLowerCase());
      return undefined;
    }
    return item;
  }

  #sorted(keep: (item: Item<T>) => boolean): Item<T>[] {
    const names = [...this.#items.keys()].sort();
    return names.map((name) => this.#find(name)).filter((item): item is Item<T> => item !== undefined && keep(item));
  }

  #move(item: Item<T>, state: State): void {
    item.state = state;
    item.since = this.#now();
    this.#changed();
  }

  #title(): string {
    return this.#kind === 'secret' ? 'Secret' : 'Key';
  }

  #missingCode(): string {
    return `${this.#title()}NotFound`;
  }

  #missing(shown: string): VaultRefusal {
    return new VaultRefusal(
      404,
      this.#missingCode(),
      `A ${this.#kind} with (name/id) ${shown} was not found in this key vault. If you recently deleted this ${this.#kind} you may be able to recover it using the correct recovery command. For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182`,
    );
  }

  /** The three 409s; wording of the first two as recorded in terraform-provider-azurerm#12285 and azure-rest-api-specs#9222. */
  #conflict(item: Item<T>): VaultRefusal {
    const subject = `${this.#title()} ${item.name}`;
    if (item.state === 'recovering') {
      return new VaultRefusal(
        409,
        'Conflict',
        `${subject} is currently being recovered and cannot be re-created; retry later.`,
        'ObjectIsBeingRecovered',
      );
    }
    if (item.state === 'deleting') {
      return new VaultRefusal(
        409,
        'Conflict',
        `${subject} is currently being deleted and cannot be re-created; retry later.`,
        'ObjectIsBeingDeleted',
      );
    }
    return new VaultRefusal(
      409,
      'Conflict',
      `${subject} is currently in a deleted but recoverable state, and its name cannot be reused; in this state, the ${this.#kind} can only be recovered or purged.`,
      'ObjectIsDeletedButRecoverable',
    );
  }
}
