// Which collections a dump or a restore is about, and under which names they come back.
import { UsageError } from '../step/errors.ts';
import type { Namespace } from './archive.ts';

/** Include and exclude patterns: `db`, `db.collection`, `*` for any run of characters. */
export interface Selection {
  include?: readonly string[];
  exclude?: readonly string[];
}

/** A compiled Selection. */
export interface Selector {
  /** True when no pattern narrows the whole server. */
  readonly everything: boolean;
  matches(namespace: Namespace): boolean;
  /** Include patterns that matched none of these. */
  unmatched(namespaces: readonly Namespace[]): string[];
  /** Could anything in this database match? */
  mayMatchDatabase(db: string): boolean;
  /** Databases named without a wildcard: what to look at when the server does not let us list databases. */
  readonly literalDatabases: readonly string[];
}

interface Pattern {
  text: string;
  db: RegExp;
  collection: RegExp | undefined;
}

/** @throws UsageError for an empty pattern */
export function compileSelection({ include = [], exclude = [] }: Selection): Selector {
  const included = include.map(compile);
  const excluded = exclude.map(compile);
  const hits = (pattern: Pattern, { db, collection }: Namespace): boolean =>
    pattern.db.test(db) && (pattern.collection === undefined || pattern.collection.test(collection));
  return {
    everything: included.length === 0 && excluded.length === 0,
    matches: (namespace) =>
      (included.length === 0 || included.some((pattern) => hits(pattern, namespace))) &&
      !excluded.some((pattern) => hits(pattern, namespace)),
    unmatched: (namespaces) =>
      included.filter((pattern) => !namespaces.some((namespace) => hits(pattern, namespace))).map(({ text }) => text),
    mayMatchDatabase: (db) =>
      (included.length === 0 || included.some((pattern) => pattern.db.test(db))) &&
      !excluded.some((pattern) => pattern.collection === undefined && pattern.db.test(db)),
    literalDatabases: [...new Set(include.map((text) => splitName(text).db).filter((db) => !db.includes('*')))],
  };
}

function compile(text: string): Pattern {
  const { db, collection } = splitName(text);
  if (db === '' || collection === '') {
    throw new UsageError(`"${text}" is not a name of a database or collection.`, {
      fix: 'Write db or db.collection; * stands for any characters.',
    });
  }
  return { text, db: wildcard(db), collection: collection === undefined ? undefined : wildcard(collection) };
}

/** What a server answers about a collection that is not there; before 7.0 also to a drop. */
export const NAMESPACE_NOT_FOUND = 26;

/** `db.collection` taken apart. */
export function parseNamespace(name: string): Namespace {
  const { db, collection = '' } = splitName(name);
  return { db, collection };
}

/** Database names hold no dot, collection names may. */
function splitName(text: string): { db: string; collection: string | undefined } {
  const dot = text.indexOf('.');
  return dot < 0 ? { db: text, collection: undefined } : { db: text.slice(0, dot), collection: text.slice(dot + 1) };
}

function wildcard(text: string): RegExp {
  const source = text
    .split('*')
    .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
    .join('.*');
  return new RegExp(`^${source}$`, 's');
}

/** One renaming, of a database or of one collection. */
export interface Renaming {
  from: { db: string; collection?: string };
  to: { db: string; collection?: string };
}

/**
 * Reads `--rename` pairs: `shop=shop_check`, `shop.orders=shop.orders_old`.
 * @throws UsageError naming the pair
 */
export function parseRenames(pairs: readonly string[]): Renaming[] {
  const seen = new Set<string>();
  return pairs.map((pair) => {
    const match = /^([^=]+)=([^=]+)$/.exec(pair);
    if (!match) throw new UsageError(`The renaming "${pair}" is not from=to.`, { fix: 'Write it like shop=shop_check.' });
    const from = splitName(match[1] as string);
    const to = splitName(match[2] as string);
    if (from.db === '' || to.db === '' || from.collection === '' || to.collection === '') {
      throw new UsageError(`The renaming "${pair}" has an empty name.`, {
        fix: 'Write it like shop=shop_check or shop.orders=shop.orders_old.',
      });
    }
    if ((from.collection === undefined) !== (to.collection === undefined)) {
      throw new UsageError(`The renaming "${pair}" mixes a database and a collection.`, {
        fix: 'Name a database on both sides, or db.collection on both.',
      });
    }
    if (seen.has(match[1] as string)) {
      throw new UsageError(`${match[1] as string} is given two new names.`, { fix: 'Give each database or collection one.' });
    }
    seen.add(match[1] as string);
    return { from: named(from), to: named(to) };
  });
}

function named({ db, collection }: { db: string; collection: string | undefined }): { db: string; collection?: string } {
  return collection === undefined ? { db } : { db, collection };
}

/** Where a namespace goes. A renaming of the collection wins over one of its database. */
export function renamed(namespace: Namespace, renames: readonly Renaming[]): Namespace {
  const exact = renames.find(({ from }) => from.db === namespace.db && from.collection === namespace.collection);
  if (exact?.to.collection !== undefined) return { db: exact.to.db, collection: exact.to.collection };
  const whole = renames.find(({ from }) => from.db === namespace.db && from.collection === undefined);
  return { db: whole?.to.db ?? namespace.db, collection: namespace.collection };
}

/** System collections of `admin` that mongodump takes on a full dump; a restore treats them apart. */
export const ACCOUNT_COLLECTIONS: ReadonlySet<string> = new Set(['system.users', 'system.roles', 'system.version']);

/** Does this hold users, roles or the server's own version rather than data? */
export function isAccounts({ db, collection }: Namespace): boolean {
  return db === 'admin' && ACCOUNT_COLLECTIONS.has(collection);
}

/**
 * Is this the server's own business, which mongodump leaves out? `local` and `config` as a whole, and system collections other than
 * stored functions, time-series buckets, users and roles. Also what no server takes as a collection: `$admin.system.users` and the like, in
 * which `mongodump --dumpDbUsersAndRoles` puts the users of one database.
 */
export function isInternal({ db, collection }: Namespace): boolean {
  if (db === 'local' || db === 'config') return true;
  if (isAccounts({ db, collection })) return false;
  if (db === 'admin' && (collection === 'tempusers' || collection === 'temproles')) return true;
  if (collection.startsWith('$')) return true;
  return collection.startsWith('system.') && collection !== 'system.js' && !collection.startsWith('system.buckets.');
}
