// What there is to dump on a server: databases, collections, views and time series with their options and indexes.
import { MongoServerError } from 'mongodb';
import { UserError } from '../step/errors.ts';
import { BSON } from './bson.ts';
import type { CollectionEntry, Namespace } from './archive.ts';
import { formatMetadata } from './collection-metadata.ts';
import type { MongoServer } from './connect.ts';
import { orderedDocument } from './field-order.ts';
import { isInternal, NAMESPACE_NOT_FOUND, type Selector } from './namespaces.ts';
import { listRaw } from './raw-cursor.ts';

/** A collection, view or time series on a server. */
export interface CatalogCollection extends Namespace {
  type: 'collection' | 'view' | 'timeseries';
  /** Where the documents are read from; undefined for a view, which has none of its own. */
  data: Namespace | undefined;
  options: BSON.Document;
  indexes: BSON.Document[];
  uuid?: string;
}

/** What the server would not let us see; each line is a reason for doubt. */
export interface Catalog {
  collections: CatalogCollection[];
  doubts: string[];
}

/**
 * Lists what the selection covers, sorted by name.
 * @throws UserError when an include pattern matches nothing: a dump of a misspelt database must not look like a success
 */
export async function readCatalog(server: MongoServer, selector: Selector): Promise<Catalog> {
  const doubts: string[] = [];
  const collections: CatalogCollection[] = [];
  for (const name of await databaseNames(server, selector)) {
    if (selector.mayMatchDatabase(name)) collections.push(...(await databaseCollections(server, name, selector)));
  }
  const unmatched = selector.unmatched(collections);
  if (unmatched.length > 0) {
    throw new UserError(`There is no database or collection ${unmatched.map((text) => `"${text}"`).join(', ')} on ${server.fingerprint}.`, {
      fix: 'Check the spelling (names are case-sensitive), and that the login may read it.',
    });
  }
  await withoutUnreadableAccounts(server, collections, doubts);
  return { collections, doubts };
}

/** Names of all databases, or of those the selection names when the login may not list them. */
export async function databaseNames(server: MongoServer, selector: Selector): Promise<string[]> {
  try {
    const reply = await server.client.db('admin').command({ listDatabases: 1, nameOnly: true });
    const names = (reply['databases'] as { name: string }[]).map(({ name }) => name);
    return names.sort();
  } catch (thrown) {
    if (thrown instanceof MongoServerError && thrown.code === 13 && selector.literalDatabases.length > 0)
      return [...selector.literalDatabases].sort();
    throw thrown;
  }
}

/** A collection as the server lists it. The fields of its options are in the server's order. */
interface Listed {
  name: string;
  type?: string;
  options?: BSON.Document;
  info?: { uuid?: unknown };
}

/** The collections of one database, sorted by name, without the server's own. */
export async function databaseCollections(server: MongoServer, database: string, selector: Selector): Promise<CatalogCollection[]> {
  const replies = await withPlainCode(listRaw(server, database, { listCollections: 1, filter: {}, cursor: {}, nameOnly: false }));
  const listed = replies.map((reply) => orderedDocument(reply) as Listed);
  const names = new Set(listed.map(({ name }) => name));
  const found: CatalogCollection[] = [];
  for (const info of listed.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const namespace = { db: database, collection: info.name };
    const bucketOf = /^system\.buckets\.(.*)$/s.exec(info.name)?.[1];
    // The buckets of a time series come with the series itself.
    if (isInternal(namespace) || (bucketOf !== undefined && names.has(bucketOf)) || !selector.matches(namespace)) continue;
    const type = info.type === 'view' || info.type === 'timeseries' ? info.type : 'collection';
    const buckets = `system.buckets.${info.name}`;
    const uuid = info.info?.uuid;
    found.push({
      ...namespace,
      type,
      data: type === 'view' ? undefined : type === 'timeseries' && names.has(buckets) ? { db: database, collection: buckets } : namespace,
      options: info.options ?? {},
      indexes: type === 'view' ? [] : await indexesOf(server, namespace),
      ...(uuid instanceof BSON.Binary ? { uuid: Buffer.from(uuid.buffer).toString('hex') } : {}),
    });
  }
  return found;
}

async function indexesOf(server: MongoServer, { db, collection }: Namespace): Promise<BSON.Document[]> {
  try {
    return (await withPlainCode(listRaw(server, db, { listIndexes: collection, cursor: {} }))).map(orderedDocument);
  } catch (thrown) {
    // Dropped meanwhile, or a server that has no indexes for it.
    if (thrown instanceof MongoServerError && thrown.code === NAMESPACE_NOT_FOUND) return [];
    throw thrown;
  }
}

/** A login without the right to read users and roles can still back up the data; that is said, not hidden. */
async function withoutUnreadableAccounts(server: MongoServer, collections: CatalogCollection[], doubts: string[]): Promise<void> {
  for (let at = collections.length - 1; at >= 0; at--) {
    const { db, collection } = collections[at] as CatalogCollection;
    if (db !== 'admin' || !collection.startsWith('system.')) continue;
    try {
      await server.client.db(db).command({ find: collection, limit: 1 });
    } catch (thrown) {
      if (!(thrown instanceof MongoServerError) || thrown.code !== 13) throw thrown;
      collections.splice(at, 1);
      doubts.push(`admin.${collection} was not readable with this login, so it is not in the backup; the role "backup" would allow it.`);
    }
  }
}

/** The prelude's entry of a collection. */
export function catalogEntry(collection: CatalogCollection): CollectionEntry {
  return {
    db: collection.db,
    collection: collection.collection,
    metadata: formatMetadata({
      options: collection.options,
      indexes: collection.indexes,
      ...(collection.uuid === undefined ? {} : { uuid: collection.uuid }),
      collectionName: collection.collection,
      type: collection.type,
    }),
    size: 0,
    type: collection.type === 'collection' ? '' : collection.type,
  };
}

/**
 * Bytes of documents the dump will have, from the servers' statistics; undefined when one of them does not tell.
 * An estimate: for progress and block sizes only.
 */
export async function estimateBytes(server: MongoServer, collections: readonly CatalogCollection[]): Promise<number | undefined> {
  let total = 0;
  for (const { data } of collections) {
    if (!data) continue;
    try {
      const stats = await server.client.db(data.db).command({ collStats: data.collection });
      total += Number(stats['size'] ?? 0);
    } catch {
      return undefined;
    }
  }
  return total;
}

/** `promoteValues: false` reaches the server's errors, too: their code would be an Int32 that equals no number. @throws what was thrown */
async function withPlainCode<T>(asked: Promise<T>): Promise<T> {
  try {
    return await asked;
  } catch (thrown) {
    if (thrown instanceof MongoServerError && thrown.code !== undefined) thrown.code = Number(thrown.code);
    throw thrown;
  }
}
