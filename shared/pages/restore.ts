// What a restore tells: lines of its plan, the page of its summary, and what a rollback cannot take away.
import type { PassedOver } from '../catalog/nearest.ts';
import type { Row } from '../backup/kind.ts';
import { formatCount, formatRate, formatSeconds, items, plural } from '../step/format.ts';
import type { DestructionPlan } from '../step/define.ts';
import { printable, prose } from '../step/prose.ts';
import { commandBlock, facts, heading, page, table } from './summary.ts';

/** The page of a restore that ends with its plan: a dry run, or one that was not confirmed. */
export function planSummary({ title, facts: shown, losses }: DestructionPlan): string {
  return page(`### ${title}`, facts(shown), losses.map((loss) => `- ${prose(loss)}`).join('\n'), 'No data was touched.');
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
  /** What the kind is called. */
  noun: string;
  unit: string;
  group: string;
  rows: readonly Row[];
  /** Units that were read back. */
  found: number;
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
  const { label, location, passed, rows, found, noun, unit, group, problem, seconds, safety } = report;
  return page(
    problem === undefined
      ? heading(report.doubts.length > 0 ? 'doubtful' : 'good', `${noun} restore of ${label}: proved equal`)
      : heading('bad', `${noun} restore of ${label}: NOT equal`),
    problem === undefined ? undefined : `**${problem}**`,
    report.doubts.map((doubt) => `- **${doubt}**`).join('\n'),
    facts([
      ['Backup', `${label} in ${location}`],
      ...(passed.length === 0 ? [] : [['Not read', passed.map((one) => `${one.label}: ${one.reason}`).join('; ')] as const]),
      ['Target', report.fingerprint],
      ['Proved', `${plural(rows.length, group)}, ${items(found, unit)} read back: counts, digests, indexes`],
      [
        'Time',
        `${formatSeconds(seconds.all)}; writing ${formatSeconds(seconds.writing)} at ${formatRate(report.plainBytes, seconds.writing)}, reading back ${formatSeconds(seconds.proving)}`,
      ],
      ...(safety === undefined ? [] : [['Safety backup', safety.label] as const]),
    ]),
    table(
      [group, 'backup', 'target', 'verdict'],
      rows.map(({ to, expected, found, verdict, differences, notes }) => [
        printable(to),
        formatCount(expected),
        found === undefined ? 'missing' : formatCount(found),
        [verdict === 'different' ? `DIFFERENT: ${differences.join(', ')}` : verdict, ...notes].join('; '),
      ]),
    ),
    safety === undefined ? undefined : `Put back what was replaced with\n\n${commandBlock(safety.rollback)}`,
  );
}
