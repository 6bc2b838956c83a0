// Creates indexes from an archive's metadata on whatever server is there, and says of each one that could not be made why.
import { MongoServerError, type MongoClient } from 'mongodb';
import { canonicalJson } from '../backup/json.ts';
import { BSON } from './bson.ts';
import { shownName, type Namespace } from './archive.ts';
import { indexReports, plain, type CollectionMetadata } from './collection-metadata.ts';
import { fieldsOf, sendable, sendableFields, type OrderedDocument } from './field-order.ts';
import { FORMER_OPTIONS, isModernKind, MEANINGFUL_OPTIONS, modernKind, modernOption } from './legacy-index.ts';
import { withoutRefused } from './refusals.ts';

/** An index as `createIndexes` takes it. */
type CreatableIndex = BSON.Document & { name: string; key: BSON.Document | Map<string, unknown> };

export interface IndexFailure extends Namespace {
  index: string;
  reason: string;
}

/** What became of the indexes of a collection. */
export interface BuiltIndexes {
  failures: IndexFailure[];
  /** What of them the server did not take although they are there. One sentence each. */
  notes: string[];
}

/** The specifications as a server of today takes them, and as `createIndexes` sends them in their order. */
export function creatableIndexes(metadata: Pick<CollectionMetadata, 'indexes' | 'options'>): CreatableIndex[] {
  return modernIndexes(metadata).map(({ key, name, ...options }) => ({
    ...Object.fromEntries(Object.entries(options).map(([option, value]): [string, unknown] => [option, sendable(value)])),
    key: sendableFields(fieldsOf(key as OrderedDocument)),
    name: name as string,
  }));
}

/**
 * The specifications without `v`, `ns`, `background`, other leftovers of old servers and legacy key values (legacy-index.ts); each with its own
 * collation, since one that has none would get the collection's. Of two that have become the same index, the first.
 */
export function modernIndexes({ indexes, options }: Pick<CollectionMetadata, 'indexes' | 'options'>): BSON.Document[] {
  const collation = hasCollation(options) ? { collation: { locale: 'simple' } } : {};
  const made = new Set<string>();
  return indexes
    .filter(({ name, clustered }) => name !== '_id_' && clustered !== true)
    .map((spec) => {
      const kept = Object.entries(spec)
        .filter(([name]) => name !== 'key' && name !== 'name' && !FORMER_OPTIONS.has(name))
        .flatMap(([name, value]: [string, unknown]): [string, unknown][] => {
          const modern = modernOption(name, plain(value));
          if (modern.value === 'left out') return [];
          return [[name, modern.value === 'changed' ? modern.to : value]];
        });
      const key = Object.fromEntries(Object.entries(spec.key).map(([field, kind]): [string, unknown] => [field, todaysKind(kind)]));
      return { ...collation, ...Object.fromEntries(kept), key, name: spec.name };
    })
    .filter((spec) => {
      const [report] = indexReports([spec]);
      const shape = canonicalJson([report?.keys ?? [], report?.options ?? {}]);
      const isNew = !made.has(shape);
      made.add(shape);
      return isNew;
    });
}

function hasCollation(options: BSON.Document): boolean {
  const { locale = 'simple' } = (options['collation'] ?? {}) as { locale?: string };
  return locale !== 'simple';
}

function todaysKind(kind: unknown): unknown {
  const asJson = plain(kind);
  return isModernKind(asJson) ? kind : modernKind(asJson);
}

/**
 * Builds the indexes of one collection. When the server refuses them together, each is tried alone, so that one bad index does not take the
 * others with it; and of an option that means nothing to MongoDB (another product's, an old driver's), only what the server refuses is left out.
 */
export async function buildIndexes(client: MongoClient, target: Namespace, metadata: CollectionMetadata): Promise<BuiltIndexes> {
  const indexes = creatableIndexes(metadata);
  if (indexes.length === 0) return { failures: [], notes: [] };
  const create = (some: CreatableIndex[]): Promise<unknown> =>
    client.db(target.db).command({ createIndexes: target.collection, indexes: some });
  try {
    await create(indexes);
    return { failures: [], notes: [] };
  } catch (thrown) {
    if (!(thrown instanceof MongoServerError)) throw thrown;
  }
  const failures: IndexFailure[] = [];
  const notes: string[] = [];
  for (const index of indexes) {
    const optional = Object.keys(index).filter((name) => name !== 'key' && name !== 'name' && !MEANINGFUL_OPTIONS.has(name));
    try {
      const refused = await withoutRefused(optional, (without) => create([withoutOptions(index, without)]));
      if (refused) {
        const names = refused.names.join(', ');
        notes.push(
          `The index ${index.name} of ${shownName(target)} was made without ${names}, which the target refuses: ${refused.reason}.`,
        );
      }
    } catch (thrown) {
      if (!(thrown instanceof MongoServerError)) throw thrown;
      failures.push({ ...target, index: index.name, reason: thrown.message });
    }
  }
  return { failures, notes };
}

function withoutOptions(index: CreatableIndex, without: ReadonlySet<string>): CreatableIndex {
  return Object.fromEntries(Object.entries(index).filter(([name]) => !without.has(name))) as CreatableIndex;
}
