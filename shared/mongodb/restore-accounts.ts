// Users and roles in the built-in restore engine: written aside, then merged by the server itself, as mongorestore does it.
import { MongoServerError } from 'mongodb';
import type { Namespace } from './archive.ts';
import type { MongoServer } from './connect.ts';
import { dropQuietly } from './create-collection.ts';

/** Where users and roles wait until the server merges them; `system.version` belongs to the server and is not restored. */
export const ACCOUNT_STAGING: Readonly<Record<string, Namespace | undefined>> = {
  'system.users': { db: 'admin', collection: 'tempusers' },
  'system.roles': { db: 'admin', collection: 'temproles' },
};

/** What was written aside. */
export interface StagedAccounts {
  users: boolean;
  roles: boolean;
}

/**
 * Merges them into those of the server: users and roles of the same name are replaced, the others stay.
 * @returns why it could not be done, as a sentence; undefined when it was
 */
export async function mergeAccounts(server: MongoServer, { users, roles }: StagedAccounts): Promise<string | undefined> {
  try {
    if (!users && !roles) return undefined;
    await server.client.db('admin').command({
      _mergeAuthzCollections: 1,
      ...(users ? { tempUsersCollection: 'admin.tempusers' } : {}),
      ...(roles ? { tempRolesCollection: 'admin.temproles' } : {}),
      drop: false,
      db: '',
    });
    return undefined;
  } catch (thrown) {
    if (!(thrown instanceof MongoServerError)) throw thrown;
    return `Users and roles were not restored: ${thrown.message}.`;
  } finally {
    for (const staging of Object.values(ACCOUNT_STAGING)) if (staging) await dropQuietly(server, staging).catch(() => undefined);
  }
}
