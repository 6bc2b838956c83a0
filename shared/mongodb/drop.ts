// Drops collections by name: what a rolled-back restore had made.
import type { Secret } from '../step/input.ts';
import { connectMongo, explainMongoError } from './connect.ts';

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
      await server.client
        .db(name.slice(0, dot))
        .collection(name.slice(dot + 1))
        .drop();
    }
  } catch (thrown) {
    throw explainMongoError(thrown, uri, 'Dropping what the restore had made failed');
  } finally {
    await server.close();
  }
}
