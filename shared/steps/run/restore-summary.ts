// What a restore tells: lines of its plan, the page of its summary, and what a rollback cannot take away.
import type { PassedOver } from '../../catalog/nearest.ts';
import type { Comparison } from '../../mongodb/compare.ts';
import type { RestorePlan } from '../../mongodb/restore.ts';
import { formatCount, formatRate, formatSeconds, plural } from '../../step/format.ts';
import type { DestructionPlan } from '../../step/define.ts';
import { printable, prose } from '../../step/prose.ts';
import { commandBlock, facts, heading, page, table } from './summary.ts';

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

/** The page of a restore that ends with its plan: a dry run, or one that was not confirmed. */
export function planSummary({ title, facts: shown, losses }: DestructionPlan): string {
  return page(`### ${title}`, facts(shown), losses.map((loss) => `- ${prose(loss)}`).join('\n'), 'Nothing was touched.');
}

/** How a restore ended. */
export interface RestoreReport {
  /** Component and timestamp of the backup. */
  label: string;
  timestamp: string;
  location: string;
  /** Stores that were not read, and why. */
  passed: readonly PassedOver[];
  /** The target. */
  fingerprint: string;
  comparison: Comparison;
  /** What is wrong with the target; undefined when it was proved equal. */
  problem: string | undefined;
  /** What is not as it was although all documents are. */
  doubts: readonly string[];
  plainBytes: number;
  seconds: { all: number; writing: number; proving: number };
  /** Where what was replaced is, and the command that puts it back. */
  safety: { label: string; rollback: string } | undefined;
}

/** The page of the job summary. */
export function restoreSummary(report: RestoreReport): string {
  const { label, location, passed, comparison, problem, seconds, safety } = report;
  return page(
    problem === undefined
      ? heading(report.doubts.length > 0 ? 'doubtful' : 'good', `MongoDB restore of ${label}: proved equal`)
      : heading('bad', `MongoDB restore of ${label}: NOT equal`),
    problem === undefined ? undefined : `**${problem}**`,
    report.doubts.map((doubt) => `- **${doubt}**`).join('\n'),
    facts([
      ['Backup', `${label} in ${location}`],
      ...(passed.length === 0 ? [] : [['Not read', passed.map((one) => `${one.label}: ${one.reason}`).join('; ')] as const]),
      ['Target', report.fingerprint],
      [
        'Proved',
        `${plural(comparison.rows.length, 'collection')}, ${plural(comparison.totals.found, 'document')} read back: counts, digests, indexes`,
      ],
      [
        'Time',
        `${formatSeconds(seconds.all)}; writing ${formatSeconds(seconds.writing)} at ${formatRate(report.plainBytes, seconds.writing)}, reading back ${formatSeconds(seconds.proving)}`,
      ],
      ...(safety === undefined ? [] : [['Safety backup', safety.label] as const]),
    ]),
    table(
      ['collection', 'backup', 'target', 'verdict'],
      comparison.rows.map(({ to, expected, found, verdict, differences, notes }) => [
        printable(to),
        formatCount(expected),
        found === undefined ? 'missing' : formatCount(found),
        [verdict === 'different' ? `DIFFERENT: ${differences.join(', ')}` : verdict, ...notes].join('; '),
      ]),
    ),
    safety === undefined ? undefined : `Put back what was replaced with\n\n${commandBlock(safety.rollback)}`,
  );
}

/** What a rollback cannot take away again, with the command that does. */
export function staysText(names: readonly string[]): string {
  const drops = names.map((name) => {
    const dot = name.indexOf('.');
    return `db.getSiblingDB(${JSON.stringify(name.slice(0, dot))}).getCollection(${JSON.stringify(name.slice(dot + 1))}).drop()`;
  });
  return `Made by that restore, and still there: ${names.map(printable).join(', ')}. Through a pod only mongosh can drop them: ${drops.join('; ')}`;
}
