// Creates what an archive names on a server of another version or make: collections and views, with as many of their options as it takes.
// The commands are made of a list of what they take: nothing else of an archive gets into them.
import { randomUUID } from 'node:crypto';
import { MongoServerError, type Document } from 'mongodb';
import { shownName, type Namespace } from './archive.ts';
import type { MongoServer } from './connect.ts';
import { sendable } from './field-order.ts';
import { NAMESPACE_NOT_FOUND } from './namespaces.ts';
import { withoutRefused, type Refused } from './refusals.ts';

const NAMESPACE_EXISTS = 48;

/** Options of a collection that `create` takes. Source: mongodb.com/docs/manual/reference/command/create, 8.0. */
const COLLECTION_OPTIONS: ReadonlySet<string> = new Set([
  'capped',
  'size',
  'max',
  'storageEngine',
  'validator',
  'validationLevel',
  'validationAction',
  'indexOptionDefaults',
  'collation',
  'timeseries',
  'expireAfterSeconds',
  'clusteredIndex',
  'changeStreamPreAndPostImages',
  'encryptedFields',
]);

const VIEW_OPTIONS: ReadonlySet<string> = new Set(['viewOn', 'pipeline', 'collation']);

/** What servers once noted by themselves and take no more (`create`: the name, of 2.x): that it is gone is not worth a word. */
export const FORMER_COLLECTION_OPTIONS: ReadonlySet<string> = new Set(['autoIndexId', 'create', 'flags', 'temp', 'uuid']);

/** The part of a collection's or view's options that `create` takes, and the names of those that no version knows. */
export function creationOptions(options: Document, type?: string): { taken: Document; unknown: string[] } {
  const list = type === 'view' ? VIEW_OPTIONS : COLLECTION_OPTIONS;
  const entries = Object.entries(options);
  return {
    taken: Object.fromEntries(entries.filter(([name]) => list.has(name))),
    unknown: entries.map(([name]) => name).filter((name) => !list.has(name) && !FORMER_COLLECTION_OPTIONS.has(name)),
  };
}

/** The sentence about options that are in the archive and are not for any server. */
export function unknownOptionsText(name: string, unknown: readonly string[]): string | undefined {
  return unknown.length === 0 ? undefined : `${name}: left out what no server takes as an option (${unknown.join(', ')}).`;
}

/**
 * Creates a collection; one that is there is left as it is.
 * @returns a sentence for each reason why some of its options are missing
 */
export async function createCollection(server: MongoServer, namespace: Namespace, options: Document): Promise<string[]> {
  const { taken, unknown } = creationOptions(options);
  const notes = [unknownOptionsText(shownName(namespace), unknown)];
  const names = Object.keys(taken);
  try {
    const refused = await withoutRefused(names, async (without) => {
      try {
        await create(server, namespace, withOnly(taken, without));
      } catch (thrown) {
        if (!(thrown instanceof MongoServerError) || thrown.code !== NAMESPACE_EXISTS) throw thrown;
      }
    });
    if (refused) notes.push(refusedOptionsText(namespace, refused));
  } catch (thrown) {
    // Servers that know no `create` make a collection with its first document.
    if (!(thrown instanceof MongoServerError)) throw thrown;
    if (names.length > 0) notes.push(refusedOptionsText(namespace, { names, reason: thrown.message }));
  }
  return notes.filter((note) => note !== undefined);
}

/** What only a series can be told: without it, it would be another thing. */
const ESSENTIAL = 'timeseries';

/**
 * Tries options on a collection that is made for it and dropped again, for a program that has no second try.
 * @param beside the collection that gets them; the trial is in its database
 * @returns what the server refuses of them; undefined when it takes all, or when that cannot be tried
 */
export async function triedOptions(server: MongoServer, beside: Namespace, options: Document): Promise<Refused | undefined> {
  const trial = { db: beside.db, collection: `lifeboat-trial-${randomUUID()}` };
  const names = Object.keys(options).filter((name) => name !== ESSENTIAL);
  if (names.length === 0) return undefined;
  try {
    return await withoutRefused(names, (without) => create(server, trial, withOnly(options, without)));
  } catch (thrown) {
    // Not even without them, as for a login that may only write: the program that restores has the word.
    if (thrown instanceof MongoServerError) return undefined;
    throw thrown;
  } finally {
    await dropQuietly(server, trial);
  }
}

/** The sentence about options that a server refuses. */
export function refusedOptionsText(namespace: Namespace, { names, reason }: Refused): string {
  return `${shownName(namespace)}: the target does not take its options (${names.join(', ')}): ${reason}.`;
}

/** @returns a sentence when the server refuses the view, or something of it was left out */
export async function createView(server: MongoServer, namespace: Namespace, options: Document): Promise<string[]> {
  const { taken, unknown } = creationOptions(options, 'view');
  try {
    await create(server, namespace, taken);
    return [unknownOptionsText(shownName(namespace), unknown)].filter((note) => note !== undefined);
  } catch (thrown) {
    if (!(thrown instanceof MongoServerError)) throw thrown;
    return [`The view ${shownName(namespace)} could not be created: ${thrown.message}.`];
  }
}

async function create(server: MongoServer, { db, collection }: Namespace, options: Document): Promise<void> {
  const sent = Object.entries(options).map(([name, value]): [string, unknown] => [name, sendable(value)]);
  await server.client.db(db).command({ create: collection, ...Object.fromEntries(sent) });
}

function withOnly(options: Document, without: ReadonlySet<string>): Document {
  return Object.fromEntries(Object.entries(options).filter(([name]) => !without.has(name)));
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
