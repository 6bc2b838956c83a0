// Holds what is on a server against what a backup says: counts, digests and indexes of every collection, one verdict each.
import { canonicalJson, type JsonValue } from '../backup/json.ts';
import { namespaceName, type Namespace } from './archive.ts';
import type { ArchiveReport, NamespaceReport } from './archive-inspector.ts';
import type { IndexReport, OrderedTexts } from './collection-metadata.ts';
import { FORMER_COLLECTION_OPTIONS } from './create-collection.ts';
import { MEANINGFUL_OPTIONS, modernIndex } from './legacy-index.ts';
import { isAccounts, renamed, type Renaming } from './namespaces.ts';
import type { LiveNamespace } from './read-back.ts';

/**
 * `equal`: proved. `different`: something is missing, extra or changed. `replayed`: the dump's oplog changed it after it was dumped, so
 * there is no digest to hold it against. `expired`: nothing but documents is missing, and an index of its own removes those by their age.
 * `not-compared`: users, roles and the server's version, which servers merge.
 */
export type Verdict = 'equal' | 'different' | 'replayed' | 'expired' | 'not-compared';

export interface ComparisonRow {
  /** Name in the backup and on the server. */
  from: string;
  to: string;
  verdict: Verdict;
  /** Documents in the backup and on the server; the latter absent when the collection is not there. */
  expected: number;
  found: number | undefined;
  /** What differs, one phrase each; empty when equal. */
  differences: string[];
  /** Number or content of documents is all that differs, as in a database that is in use. */
  documentsOnly: boolean;
  /** What the server cannot represent or writes in its own way; no reason to call it different. */
  notes: string[];
}

export interface Comparison {
  /** `equal` only when every row is proved, or is not to be compared. */
  verdict: 'equal' | 'different';
  rows: ComparisonRow[];
  totals: { namespaces: number; equal: number; expected: number; found: number };
}

export interface CompareOptions {
  renames?: readonly Renaming[];
  /** Leaves out namespaces of the backup. */
  only?: (namespace: Namespace) => boolean;
  /** False when the backup's oplog was not replayed: then every collection must be exactly as dumped. Default true. */
  replayed?: boolean;
  /** Collections of the backup that the replayed oplog drops. */
  dropped?: ReadonlySet<string>;
  /** The server took every document just now: what an index removes by age may be missing again. Default false. */
  mayExpire?: boolean;
}

/** Compares a backup's report with what was read back. Names in `live` are those on the server, after renaming. */
export function compare(report: ArchiveReport, live: ReadonlyMap<string, LiveNamespace>, options: CompareOptions = {}): Comparison {
  const touched = new Set(options.replayed === false ? [] : report.oplog?.touched);
  const rows = report.namespaces
    .filter((namespace) => options.only?.(namespace) ?? true)
    .map((namespace) => {
      const to = namespaceName(renamed(namespace, options.renames ?? []));
      const from = namespaceName(namespace);
      const replayed = !touched.has(from) ? 'no' : options.dropped?.has(from) ? 'dropped' : 'changed';
      return compareOne(namespace, to, live.get(to), { replayed, mayExpire: options.mayExpire ?? false });
    });
  return {
    verdict: rows.length > 0 && rows.every(({ verdict }) => verdict !== 'different') ? 'equal' : 'different',
    rows,
    totals: {
      namespaces: rows.length,
      equal: rows.filter(({ verdict }) => verdict === 'equal').length,
      expected: rows.reduce((sum, { expected }) => sum + expected, 0),
      found: rows.reduce((sum, { found }) => sum + (found ?? 0), 0),
    },
  };
}

function compareOne(
  expected: NamespaceReport,
  to: string,
  found: LiveNamespace | undefined,
  { replayed, mayExpire }: { replayed: 'no' | 'changed' | 'dropped'; mayExpire: boolean },
): ComparisonRow {
  const documents = { expected: expected.documents, found: found?.documents };
  const row = { from: namespaceName(expected), to, ...documents, differences: [], documentsOnly: false };
  if (isAccounts(expected))
    return { ...row, verdict: 'not-compared', notes: ['servers keep users, roles and their version in their own way'] };
  if (!found && replayed === 'dropped') return { ...row, verdict: 'replayed', notes: ['dropped during the dump'] };
  if (!found) return { ...row, verdict: 'different', differences: ['missing on the server'], notes: [] };
  const ofDocuments = documentDifferences(expected, found);
  const indexes = compareIndexes(expected, found);
  const others = [...kindDifferences(expected, found), ...indexes.differences];
  const differences = [...ofDocuments, ...others];
  const notes = [...optionNotes(expected, found), ...indexes.notes];
  // What the oplog repeats may well be in the dump already; then digest and indexes prove it after all.
  if (differences.length > 0 && replayed !== 'no' && expected.type === found.type)
    return { ...row, verdict: 'replayed', notes: [...notes, `changed during the dump, as its oplog says: ${differences.join(', ')}`] };
  const remover = expected.indexes.find(({ options }) => 'expireAfterSeconds' in options);
  if (mayExpire && remover && found.documents < expected.documents && others.length === 0)
    return { ...row, verdict: 'expired', notes: [...notes, `${ofDocuments.join()}: the index ${remover.name} removes them by their age`] };
  const verdict = differences.length > 0 ? 'different' : 'equal';
  return { ...row, verdict, differences, documentsOnly: ofDocuments.length > 0 && others.length === 0, notes };
}

function kindDifferences(expected: NamespaceReport, found: LiveNamespace): string[] {
  if (expected.type !== found.type) return [`is a ${found.type}, was a ${expected.type}`];
  if (expected.type !== 'view') return [];
  const parts = ['viewOn', 'pipeline'].map((name) => sameOption(name, expected, found));
  if (parts.includes('no')) return ['the view is defined differently'];
  return parts.includes('in another order') ? ['the fields of the view stand in another order'] : [];
}

/** What has options whose order of fields may have a meaning. */
interface WithOptions {
  readonly options: { readonly [name: string]: JsonValue };
  readonly ordered?: OrderedTexts | undefined;
}

/** A manifest of a version that noted no order is compared without it. */
function sameOption(name: string, expected: WithOptions, found: WithOptions): 'yes' | 'no' | 'in another order' {
  const [before, now] = [expected, found].map(({ options }) => canonicalJson(options[name] ?? null));
  if (before !== now) return 'no';
  const [text, other] = [expected.ordered?.[name], found.ordered?.[name]];
  return text === undefined || other === undefined || text === other ? 'yes' : 'in another order';
}

function documentDifferences(expected: NamespaceReport, found: LiveNamespace): string[] {
  const missing = expected.documents - found.documents;
  if (missing > 0) return [`${missing} document${missing === 1 ? '' : 's'} missing`];
  if (missing < 0) return [`${-missing} document${missing === -1 ? '' : 's'} too many`];
  if (expected.digest === found.digest) return [];
  const bytes = found.bytes - expected.bytes;
  return [
    `as many documents, but their content differs${bytes === 0 ? '' : ` (${Math.abs(bytes)} bytes ${bytes < 0 ? 'fewer' : 'more'})`}`,
  ];
}

function compareIndexes(expected: NamespaceReport, found: LiveNamespace): { differences: string[]; notes: string[] } {
  // A view has none; unreadable metadata leave nothing to compare with.
  if (expected.type === 'view' || expected.metadata !== 'read') return { differences: [], notes: [] };
  const there = new Map(found.indexes.map((index) => [index.name, index]));
  const left = new Set(there.keys());
  const differences: string[] = [];
  const notes: string[] = [];
  for (const index of expected.indexes) {
    const { name } = index;
    const other = there.get(name);
    left.delete(name);
    if (name === '_id_' && other === undefined && found.indexes.length === 0) continue;
    if (!other) {
      // Two that old servers told apart may be one today.
      const twin = expected.indexes.find(
        (one) => one.name !== name && there.has(one.name) && sameIndex(index, one).difference === undefined,
      );
      if (twin && modernIndex(index).changes.length + modernIndex(twin).changes.length > 0)
        notes.push(`index ${name} is ${twin.name} today`);
      else differences.push(`index ${name} missing`);
      continue;
    }
    const { difference, missing } = sameIndex(index, other);
    if (difference !== undefined) {
      differences.push(`index ${name} ${difference}`);
      continue;
    }
    if (missing.length > 0) notes.push(`index ${name} has no ${missing.join(', ')} on this server`);
    const { changes } = modernIndex(index);
    if (changes.length > 0 && canonicalJson([index.keys, index.options]) !== canonicalJson([other.keys, other.options]))
      notes.push(`index ${name} is in today's form (${changes.join('; ')})`);
  }
  for (const name of left) if (name !== '_id_') differences.push(`index ${name} too many`);
  return { differences, notes };
}

/** Defaults that a server may write out or leave away. */
const INDEX_DEFAULTS: Record<string, JsonValue> = {
  default_language: 'english',
  language_override: 'language',
  min: -180,
  max: 180,
  bits: 26,
  // Told since 9.0; also what an index of a collection with a collation needs in order to have none itself.
  collation: { locale: 'simple' },
};

/**
 * Compares two indexes in today's form.
 * @returns what differs; and the options that the second one lacks and that mean nothing to MongoDB itself: another product's, which a server
 * takes or does not
 */
function sameIndex(index: IndexReport, other: IndexReport): { difference: string | undefined; missing: string[] } {
  const [before, now] = [modernIndex(index), modernIndex(other)];
  const missing = Object.keys(before.options).filter((name) => !MEANINGFUL_OPTIONS.has(name) && !(name in now.options));
  const shape = ({ keys, options }: typeof before): string =>
    canonicalJson([
      keys,
      Object.fromEntries(Object.entries(options).filter((option) => isTold(index.name, option) && !missing.includes(option[0]))),
    ]);
  if (shape(before) !== shape(now)) return { difference: 'differs', missing };
  const moved = Object.keys(before.options).filter((name) => sameOption(name, index, other) === 'in another order');
  return { difference: moved.length === 0 ? undefined : `has the fields of ${moved.join(', ')} in another order`, missing };
}

function isTold(index: string, [name, value]: [string, JsonValue]): boolean {
  // The _id index needs no option to be unique.
  if (index === '_id_' && name === 'unique') return false;
  return !(name in INDEX_DEFAULTS && canonicalJson(INDEX_DEFAULTS[name] as JsonValue) === canonicalJson(value));
}

/** Collection options do not decide whether data are back, but a validator or a cap that is lost must be said. */
function optionNotes(expected: NamespaceReport, found: LiveNamespace): string[] {
  if (expected.type === 'view' || expected.metadata !== 'read') return [];
  return Object.keys(expected.options)
    .filter((name) => !FORMER_COLLECTION_OPTIONS.has(name))
    .flatMap((name) => {
      const same = sameOption(name, expected, found);
      if (same === 'yes') return [];
      return [same === 'no' ? `the option ${name} is not the same on this server` : `the option ${name} has its fields in another order`];
    });
}
