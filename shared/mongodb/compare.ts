// Holds what is on a server against what a backup says: counts, digests and indexes of every collection, one verdict each.
import { canonicalJson, type JsonValue } from '../backup/json.ts';
import { namespaceName, type Namespace } from './archive.ts';
import type { ArchiveReport, NamespaceReport } from './archive-inspector.ts';
import type { IndexReport } from './collection-metadata.ts';
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
  const others = [...kindDifferences(expected, found), ...indexDifferences(expected, found)];
  const differences = [...ofDocuments, ...others];
  const notes = optionNotes(expected, found);
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
  const definition = (options: NamespaceReport['options']): string =>
    canonicalJson([options['viewOn'] ?? null, options['pipeline'] ?? null]);
  return definition(expected.options) === definition(found.options) ? [] : ['the view is defined differently'];
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

function indexDifferences(expected: NamespaceReport, found: LiveNamespace): string[] {
  // A view has none; unreadable metadata leave nothing to compare with.
  if (expected.type === 'view' || expected.metadata !== 'read') return [];
  const there = new Map(found.indexes.map((index) => [index.name, index]));
  const differences: string[] = [];
  for (const index of expected.indexes) {
    const other = there.get(index.name);
    if (index.name === '_id_' && other === undefined && found.indexes.length === 0) continue;
    if (!other) differences.push(`index ${index.name} missing`);
    else if (shape(index) !== shape(other)) differences.push(`index ${index.name} differs`);
    there.delete(index.name);
  }
  for (const name of there.keys()) if (name !== '_id_') differences.push(`index ${name} too many`);
  return differences;
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

function shape(index: IndexReport): string {
  const options = Object.entries(index.options).filter(
    ([name, value]) => !(name in INDEX_DEFAULTS && canonicalJson(INDEX_DEFAULTS[name] as JsonValue) === canonicalJson(value)),
  );
  // The _id index needs no option to be unique.
  return canonicalJson([index.keys, Object.fromEntries(index.name === '_id_' ? options.filter(([name]) => name !== 'unique') : options)]);
}

/** Collection options do not decide whether data are back, but a validator or a cap that is lost must be said. */
function optionNotes(expected: NamespaceReport, found: LiveNamespace): string[] {
  if (expected.type === 'view' || expected.metadata !== 'read') return [];
  return Object.entries(expected.options)
    .filter(
      ([name, value]) =>
        !['autoIndexId', 'flags', 'temp', 'uuid'].includes(name) && canonicalJson(found.options[name] ?? null) !== canonicalJson(value),
    )
    .map(([name]) => `the option ${name} is not the same on this server`);
}
