// What the pages of a backup and a restore say of a MongoDB.
import { formatBytes, formatCount, plural } from '../step/format.ts';
import { printable } from '../step/prose.ts';
import type { ArchiveReport } from './archive-inspector.ts';
import type { RestorePlan } from './restore.ts';

/** More collections than this are summed up in a summary. */
const MOST_ROWS = 50;

/** Rows of a report's collections, the largest first. */
export function collectionRows(report: ArchiveReport): string[][] {
  const sorted = report.namespaces.toSorted((a, b) => b.bytes - a.bytes);
  const rows = sorted
    .slice(0, MOST_ROWS)
    .map(({ db, collection, documents, bytes, indexes }) => [
      printable(`${db}.${collection}`),
      formatCount(documents),
      formatBytes(bytes),
      String(indexes.length),
    ]);
  const rest = sorted.slice(MOST_ROWS);
  if (rest.length === 0) return rows;
  const documents = rest.reduce((sum, one) => sum + one.documents, 0);
  const bytes = rest.reduce((sum, one) => sum + one.bytes, 0);
  return [...rows, [`and ${rest.length} more`, formatCount(documents), formatBytes(bytes), '']];
}

/** Lines of a plan that name collections one by one. */
const NAMED_LOSSES = 20;

/** What of the target is replaced or in the way, for the plan: the sum, then the largest. */
export function occupiedLines(occupied: RestorePlan['occupied'], after: string): string[] {
  if (occupied.length === 0) return [];
  const documents = occupied.reduce((sum, { existing }) => sum + (existing ?? 0), 0);
  const sum = `${plural(occupied.length, 'collection')}, ${plural(documents, 'document')} ${after === 'replaced' ? 'will be replaced' : `are ${after}`}`;
  const largest = occupied.toSorted((a, b) => (b.existing ?? 0) - (a.existing ?? 0)).slice(0, NAMED_LOSSES);
  const lines = largest.map(({ to, existing }) => `${printable(to)}: ${documentsAre(existing ?? 0)} ${after}`);
  const more = occupied.length > NAMED_LOSSES ? [`and ${plural(occupied.length - NAMED_LOSSES, 'more collection')}`] : [];
  return occupied.length === 1 ? lines : [sum, ...lines, ...more];
}

function documentsAre(count: number): string {
  return `${plural(count, 'document')} ${count === 1 ? 'is' : 'are'}`;
}

/** `shop → shop_check`, where names change; databases as a whole where they change as a whole. */
export function renamingText({ namespaces }: Pick<RestorePlan, 'namespaces'>): string | undefined {
  const changes = new Set<string>();
  for (const { from, to } of namespaces) {
    if (from === to) continue;
    const [fromDb, toDb] = [databaseOf(from), databaseOf(to)];
    const whole = fromDb !== toDb && from.slice(fromDb.length) === to.slice(toDb.length);
    changes.add(whole ? `${printable(fromDb)} → ${printable(toDb)}` : `${printable(from)} → ${printable(to)}`);
  }
  if (changes.size === 0) return undefined;
  const shown = [...changes].slice(0, NAMED_LOSSES).join(', ');
  return changes.size > NAMED_LOSSES ? `${shown} and ${changes.size - NAMED_LOSSES} more` : shown;
}

/** What of the target stays as it is. */
export function keepsText({ namespaces, untouched }: Pick<RestorePlan, 'namespaces' | 'untouched'>): string {
  const databases = [...new Set(namespaces.map(({ to }) => printable(databaseOf(to))))];
  const within = databases.length > 3 ? `these ${databases.length} databases` : databases.join(', ');
  const others = 'and every other database as it is';
  if (untouched.length === 0)
    return `${others.slice('and '.length)}; ${within} ${databases.length > 1 ? 'have' : 'has'} no other collections`;
  const some = untouched.slice(0, 3).map(printable).join(', ');
  const more = untouched.length > 3 ? ` and ${untouched.length - 3} more` : '';
  return `${plural(untouched.length, 'collection')} of ${within} that the restore does not touch (${some}${more}), ${others}`;
}

function databaseOf(name: string): string {
  return name.slice(0, name.indexOf('.'));
}

export function engineText({ engine }: RestorePlan): string {
  return engine === 'tools' ? 'mongorestore' : 'the built-in engine';
}

/** What a rollback cannot take away again, with the command that does. */
export function staysText(names: readonly string[]): string {
  const drops = names.map((name) => {
    const dot = name.indexOf('.');
    return `db.getSiblingDB(${JSON.stringify(name.slice(0, dot))}).getCollection(${JSON.stringify(name.slice(dot + 1))}).drop()`;
  });
  return `Made by that restore, and still there: ${names.map(printable).join(', ')}. Through a pod only mongosh can drop them: ${drops.join('; ')}`;
}
