// Compares what a dump holds with the last verified backup: an empty or shrunken dump is kept, but does not count as good news.
import type { ArchiveReport, NamespaceReport } from './archive-inspector.ts';
import { namespaceName, shownName } from './archive.ts';
import { plural } from '../step/format.ts';

export interface DoubtLimits {
  /** Percent of documents that the whole or one collection may lose before it is doubtful. */
  maxShrinkPercent: number;
}

/** Collections with fewer documents than this may come and go without a word. */
const SMALL = 100;
/** More names than this are summed up. */
const NAMED = 5;

/**
 * Reasons why a dump is doubtful; empty when there are none.
 * @param previous the report of the last verified backup with the same selection, if there is one
 */
export function doubtsOf(report: ArchiveReport, previous: ArchiveReport | undefined, limits: DoubtLimits): string[] {
  const doubts: string[] = [];
  const data = dataOf(report);
  const documents = sum(data);
  if (documents === 0) doubts.push('The dump holds no documents at all.');
  const unreadable = report.namespaces.filter(({ metadata }) => metadata === 'invalid');
  if (unreadable.length > 0)
    doubts.push(`Options and indexes of ${names(unreadable)} cannot be read in the dump; a restore would lack them.`);
  if (!previous) return doubts;
  const before = dataOf(previous);
  const beforeDocuments = sum(before);
  if (documents > 0 && shrunk(beforeDocuments, documents, limits)) {
    doubts.push(
      `The dump holds ${plural(documents, 'document')}, the last verified backup held ${beforeDocuments}: a loss of ${percent(beforeDocuments, documents)} %.`,
    );
  }
  const now = new Map(data.map((namespace) => [namespaceName(namespace), namespace]));
  const vanished = before.filter((namespace) => namespace.documents > 0 && !now.has(namespaceName(namespace)));
  if (vanished.length > 0) doubts.push(`Gone since the last verified backup: ${names(vanished)}.`);
  for (const namespace of before) {
    const found = now.get(namespaceName(namespace));
    if (!found || namespace.documents < SMALL || !shrunk(namespace.documents, found.documents, limits)) continue;
    const lost = percent(namespace.documents, found.documents);
    doubts.push(
      `${shownName(namespace)} holds ${plural(found.documents, 'document')}, ${namespace.documents} before: a loss of ${lost} %.`,
    );
  }
  return doubts;
}

/** Users, roles and versions are not data: a dump that holds only them is empty. */
function dataOf(report: ArchiveReport): NamespaceReport[] {
  return report.namespaces.filter(({ db, collection }) => !(db === 'admin' && collection.startsWith('system.')));
}

function sum(namespaces: readonly NamespaceReport[]): number {
  return namespaces.reduce((total, { documents }) => total + documents, 0);
}

function shrunk(before: number, now: number, { maxShrinkPercent }: DoubtLimits): boolean {
  return before > 0 && (before - now) * 100 > before * maxShrinkPercent;
}

function percent(before: number, now: number): number {
  return Math.floor(((before - now) / before) * 100);
}

function names(namespaces: readonly NamespaceReport[]): string {
  const named = namespaces.slice(0, NAMED).map(shownName).join(', ');
  return namespaces.length > NAMED ? `${named} and ${namespaces.length - NAMED} more` : named;
}
