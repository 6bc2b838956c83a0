// Drops collections by name: what a rolled-back restore had made.
import type { Secret } from '../step/input.ts';
import { connectMongo, explainMongoError } from './connect.ts';

/** Servers before 7.0 answer this for a collection that is not there. */
const NAMESPACE_NOT_FOUND = 26;

/**
 * Drops collections; one that is not there is fine.
 * @param names `database.collection`; a database's name holds no dot
 * @throws UserError when the server cannot be reached or refuses
 */
export async function dropCollections(uri: Secret, names: readonly string[], signal?: AbortSignal): Promise<void> {
  const server = await connectMongo(uri, signal ? { signal } : {});
  try {
    for (const name of names) {
      const dot = name.indexOf('.');
      const collection = server.client.db(name.slice(0, dot)).collection(name.slice(dot + 1));
      await collection.drop().catch((thrown: unknown) => {
        if ((thrown as { code?: unknown }).code !== NAMESPACE_NOT_FOUND) throw thrown;
      });
    }
  } catch (thrown) {
    throw explainMongoError(thrown, uri, 'Dropping what the restore had made failed');
  } finally {
    await server.close();
  }
}
