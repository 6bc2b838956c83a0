// What is measured and what it must reach: the rows of the table, and how one is judged.

/** What a row is about, known before anything is measured. */
export interface RowPlan {
  name: string;
  /** For people: what is divided by what. */
  what: string;
  target: number;
  /** `times`: how many times as fast; the others: MiB, milliseconds, per cent. */
  unit: 'times' | 'MiB' | 'ms' | '%';
  /** Whether the value must be at least, or below, the target. */
  comparison: '>=' | '<';
}

/** What was measured; or why not. */
export type Measured = { value: number; figures: string } | { skipped: string };

/** A row as `--json` prints it. */
export interface Row {
  name: string;
  /** Null when it was left out. */
  value: number | null;
  target: number;
  met: boolean | null;
  unit: RowPlan['unit'];
  comparison: RowPlan['comparison'];
  /** The absolute figures behind the value, or why the row was left out. */
  figures: string;
}

/** The table of issue 4, in its order; then what issue 5 asks of retention. */
export const ROWS = [
  faster('backup-vs-seeds', 10, "backup to a folder / the seeds' way, gzip | openssl enc -aes-256-cbc -pbkdf2"),
  faster('backup-vs-zstd', 0.6, 'backup to a folder / zstd -3 -T0, the limit'),
  faster('backup-vs-restic', 2, 'backup to a folder / restic backup --stdin into a fresh repository'),
  faster('restore-vs-zstd', 0.4, 'read, decrypt, decompress, verify / zstd -d > /dev/null'),
  faster('restore-vs-restic', 1, 'read, decrypt, decompress, verify / restic dump'),
  faster('azure-backup-vs-upload', 0.8, 'backup into Azurite / upload of the finished file with the SDK alone'),
  below('backup-memory', 300, 'MiB', 'peak memory of a backup with its read-back'),
  below('backup-memory-8', 300, 'MiB', 'the same for eight times as much'),
  below('backup-memory-growth', 15, '%', 'difference of the two'),
  below('restore-memory', 300, 'MiB', 'peak memory of reading a backup'),
  below('restore-memory-8', 300, 'MiB', 'the same for eight times as much'),
  below('restore-memory-growth', 15, '%', 'difference of the two'),
  faster('dump-vs-mongodump', 1, "built-in engine's dump / mongodump, same server"),
  faster('restore-vs-mongorestore', 1, "built-in engine's restore / mongorestore, same server"),
  faster('tiny-documents', 0.5, 'backup of 2 million documents of 100 bytes / of the chat, per byte'),
  below('cold-start', 300, 'ms', 'slowest built step, from its start to its first input error'),
  below('retention-plan', 1000, 'ms', 'retention rules over 100,000 timestamps'),
  below('retention-azurite', 5000, 'ms', '10,000 backups in Azurite listed and planned'),
] as const satisfies readonly RowPlan[];

export type RowName = (typeof ROWS)[number]['name'];

function faster<N extends string>(name: N, target: number, what: string) {
  return { name, what, target, unit: 'times', comparison: '>=' } as const;
}

function below<N extends string>(name: N, target: number, unit: 'MiB' | 'ms' | '%', what: string) {
  return { name, what, target, unit, comparison: '<' } as const;
}

/** Holds what was measured against the plan. */
export function judge(plan: RowPlan, measured: Measured): Row {
  const { name, target, unit, comparison } = plan;
  if ('skipped' in measured) return { name, value: null, target, met: null, unit, comparison, figures: `left out: ${measured.skipped}` };
  const value = Number(measured.value.toPrecision(3));
  const met = comparison === '>=' ? measured.value >= target : measured.value < target;
  return { name, value, target, met, unit, comparison, figures: measured.figures };
}

/** The table for a terminal. */
export function formatRows(rows: readonly Row[]): string {
  const cells = rows.map((row) => [
    row.met === null ? '-' : row.met ? 'met' : 'MISSED',
    row.name,
    row.value === null ? '-' : withUnit(row.value, row.unit),
    `${row.comparison} ${withUnit(row.target, row.unit)}`,
    row.figures,
  ]);
  const widths = [0, 1, 2, 3].map((column) => Math.max(...cells.map((line) => (line[column] as string).length)));
  return cells.map((line) => line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')).join('\n');
}

function withUnit(value: number, unit: RowPlan['unit']): string {
  return unit === 'times' ? `${value} x` : `${value} ${unit}`;
}
