// Creates what an archive names on a server of another version or make: collections and views, with as many of their options as it takes.
import { MongoServerError, type Document } from 'mongodb';
import { namespaceName, type Namespace } from './archive.ts';
import type { MongoServer } from './connect.ts';
import { NAMESPACE_NOT_FOUND } from './namespaces.ts';

const NAMESPACE_EXISTS = 48;

/**
 * Creates a collection; one that is there is left as it is.
 * @returns a sentence when the server does not take its options, and the collection is there without them
 */
export async function createCollection(server: MongoServer, { db, collection }: Namespace, options: Document): Promise<string | undefined> {
  const database = server.client.db(db);
  const wanted = creationOptions(options);
  try {
    await database.command({ create: collection, ...wanted });
    return undefined;
  } catch (thrown) {
    if (!(thrown instanceof MongoServerError)) throw thrown;
    const names = Object.keys(wanted);
    if (thrown.code === NAMESPACE_EXISTS || names.length === 0) return undefined;
    await database.command({ create: collection }).catch((again: unknown) => {
      if (!(again instanceof MongoServerError)) throw again;
    });
    return `${namespaceName({ db, collection })}: the target does not take its options (${names.join(', ')}): ${thrown.message}.`;
  }
}

/** @returns a sentence when the server refuses the view */
export async function createView(server: MongoServer, { db, collection }: Namespace, options: Document): Promise<string | undefined> {
  try {
    await server.client.db(db).command({ create: collection, ...options });
    return undefined;
  } catch (thrown) {
    if (!(thrown instanceof MongoServerError)) throw thrown;
    return `The view ${namespaceName({ db, collection })} could not be created: ${thrown.message}.`;
  }
}

/** Options as `create` takes them: without what the server adds by itself. */
function creationOptions(options: Document): Document {
  return Object.fromEntries(Object.entries(options).filter(([name]) => !['autoIndexId', 'flags', 'temp'].includes(name)));
}

/** Drops a collection or view; one that is not there is fine. */
export async function dropQuietly(server: MongoServer, { db, collection }: Namespace): Promise<void> {
  try {
    await server.client.db(db).command({ drop: collection });
  } catch (thrown) {
    // The text is that of other products.
    if (!(thrown instanceof MongoServerError) || (thrown.code !== NAMESPACE_NOT_FOUND && !/ns not found/i.test(thrown.message)))
      throw thrown;
  }
}
