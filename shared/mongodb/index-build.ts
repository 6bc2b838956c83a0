// Creates indexes from an archive's metadata on whatever server is there, and says of each one that could not be made why.
import { MongoServerError, type MongoClient } from 'mongodb';
import { BSON } from './bson.ts';
import type { Namespace } from './archive.ts';
import type { CollectionMetadata } from './collection-metadata.ts';
import { keyFields, sendableKey } from './index-key.ts';

/** What `createIndexes` takes since 4.2; anything else is a leftover of an old server and would be refused (Rocket.Chat #8935). */
const INDEX_OPTIONS = new Set([
  'name',
  'key',
  'unique',
  'sparse',
  'expireAfterSeconds',
  'partialFilterExpression',
  'hidden',
  'storageEngine',
  'weights',
  'default_language',
  'language_override',
  'textIndexVersion',
  '2dsphereIndexVersion',
  'bits',
  'min',
  'max',
  'bucketSize',
  'collation',
  'wildcardProjection',
  'prepareUnique',
  'clustered',
]);

/** An index as `createIndexes` takes it. */
type CreatableIndex = BSON.Document & { name: string; key: ReturnType<typeof sendableKey> };

export interface IndexFailure extends Namespace {
  index: string;
  reason: string;
}

/**
 * The specifications as a server of today takes them: without `v`, `ns`, `background`, unknown options and legacy key values; each with its
 * own collation, since one that has none would get the collection's.
 */
export function creatableIndexes({ indexes, options }: Pick<CollectionMetadata, 'indexes' | 'options'>): CreatableIndex[] {
  const collation = hasCollation(options) ? { collation: { locale: 'simple' } } : {};
  return indexes
    .filter(({ name, clustered }) => name !== '_id_' && clustered !== true)
    .map((spec) => {
      const kept = Object.entries(spec).filter(([name]) => INDEX_OPTIONS.has(name));
      const key = sendableKey(keyFields(spec.key).map(([field, kind]) => [field, modernKind(kind)]));
      return { ...collation, ...Object.fromEntries(kept), key, name: spec.name };
    });
}

function hasCollation(options: BSON.Document): boolean {
  const { locale = 'simple' } = (options['collation'] ?? {}) as { locale?: string };
  return locale !== 'simple';
}

/** Old servers took any value as a direction: true, "", 0. Today only numbers other than zero and names of kinds are. */
function modernKind(kind: unknown): unknown {
  if (typeof kind === 'string') return kind === '' ? 1 : kind;
  const number = Number(kind instanceof BSON.Long ? kind.toNumber() : kind);
  return kind === true || kind === null || Number.isNaN(number) || number === 0 ? 1 : kind;
}

/**
 * Builds the indexes of one collection. When the server refuses them together, each is tried alone, so that one bad index does not
 * take the others with it.
 */
export async function buildIndexes(client: MongoClient, target: Namespace, metadata: CollectionMetadata): Promise<IndexFailure[]> {
  const indexes = creatableIndexes(metadata);
  if (indexes.length === 0) return [];
  const create = (some: CreatableIndex[]): Promise<unknown> =>
    client.db(target.db).command({ createIndexes: target.collection, indexes: some });
  try {
    await create(indexes);
    return [];
  } catch (thrown) {
    if (!(thrown instanceof MongoServerError)) throw thrown;
  }
  const failures: IndexFailure[] = [];
  for (const index of indexes) {
    try {
      await create([index]);
    } catch (thrown) {
      if (!(thrown instanceof MongoServerError)) throw thrown;
      failures.push({ ...target, index: index.name, reason: thrown.message });
    }
  }
  return failures;
}
