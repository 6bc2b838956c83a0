// Draws phases as a table of plain text that fits the terminal: narrow ones lose the least important columns first.
import { formatBytes, formatCount, formatSeconds } from '../../shared/step/format.ts';
import type { DrillResult, PhaseState } from './phase-facts.ts';

/** Colours a piece of text by its meaning, or leaves it as it is. */
export type Paint = (meaning: 'good' | 'bad' | 'warn' | 'dim' | 'strong', text: string) => string;

export const MARKS: Record<PhaseState['state'], string> = {
  waiting: '·',
  running: '▸',
  passed: '✓',
  late: '!',
  failed: '✗',
  refused: '✗',
  cancelled: '✗',
  skipped: '-',
};

interface Column {
  title: string;
  align: 'left' | 'right';
  cell(phase: PhaseState): string;
  /** Columns with the highest number go first when there is no room; 0 always stays. */
  dropOrder: number;
}

const COLUMNS: Column[] = [
  { title: 'phase', align: 'left', dropOrder: 0, cell: ({ title }) => title },
  {
    title: 'time',
    align: 'right',
    dropOrder: 0,
    cell: ({ state, seconds }) => (state === 'waiting' || state === 'skipped' ? '' : formatSeconds(seconds)),
  },
  { title: 'budget', align: 'right', dropOrder: 1, cell: ({ budgetSeconds }) => formatSeconds(budgetSeconds) },
  { title: 'bytes', align: 'right', dropOrder: 2, cell: ({ bytes }) => (bytes === undefined ? '' : formatBytes(bytes)) },
  { title: 'documents', align: 'right', dropOrder: 3, cell: ({ documents }) => (documents === undefined ? '' : formatCount(documents)) },
  { title: 'verdict', align: 'left', dropOrder: 0, cell: ({ state }) => (state === 'waiting' ? '' : state) },
];
const GAP = 2;
/** The mark before each row, and a blank. */
const MARK_WIDTH = 2;
const LEAST_TITLE = 8;

/** The table's lines, none wider than `width`. Notes of failed phases follow below it. */
export function phaseTable(phases: readonly PhaseState[], width: number, paint: Paint): string[] {
  const { columns, widths } = fit(phases, width);
  const line = (cells: string[]): string =>
    cells
      .map((cell, i) => (columns[i]?.align === 'right' ? cell.padStart(widths[i] ?? 0) : clip(cell, widths[i] ?? 0).padEnd(widths[i] ?? 0)))
      .join(' '.repeat(GAP));
  const header = paint('dim', `${' '.repeat(MARK_WIDTH)}${line(columns.map(({ title }) => title))}`.trimEnd());
  return [
    header,
    ...phases.map((phase) => {
      const text = `${MARKS[phase.state]} ${line(columns.map((column) => column.cell(phase)))}`.trimEnd();
      return paintRow(phase, text, paint);
    }),
  ];
}

/** Notes of phases that did not pass, each below its title, wrapped to `width`. */
export function phaseNotes(phases: readonly PhaseState[], width: number): string[] {
  return phases
    .filter(({ state, note }) => note !== undefined && !['passed', 'waiting', 'running'].includes(state))
    .flatMap(({ title, note }) => wrap(`${title}: ${note ?? ''}`, width));
}

/** The last lines: verdict and the sum of all times. */
export function verdictLine(result: DrillResult, paint: Paint): string {
  const words = { recovered: 'RECOVERED', refused: 'REFUSED', failed: 'FAILED', cancelled: 'CANCELLED' }[result.verdict];
  const total = `in ${formatSeconds(result.seconds)}, with a budget of ${formatSeconds(result.budgetSeconds)}`;
  return `${paint('strong', paint(result.verdict === 'recovered' ? 'good' : 'bad', words))} ${total}`;
}

/** A bar of `width` characters, such as `█████░░░░░`. */
export function bar(share: number, width: number): string {
  const filled = Math.round(Math.min(Math.max(share, 0), 1) * width);
  return '█'.repeat(filled) + '░'.repeat(width - filled);
}

/** Breaks text at blanks; a word longer than a line is cut. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/).flatMap((long) => long.match(new RegExp(`.{1,${Math.max(width, 1)}}`, 'gu')) ?? [])) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return line === '' ? lines : [...lines, line];
}

/** At most `width` characters, with `…` for what is missing. */
export function clip(text: string, width: number): string {
  const characters = Array.from(text);
  return characters.length <= width ? text : `${characters.slice(0, Math.max(width - 1, 0)).join('')}…`;
}

function fit(phases: readonly PhaseState[], width: number): { columns: Column[]; widths: number[] } {
  for (let most = 3; ; most--) {
    const columns = COLUMNS.filter(({ dropOrder }) => dropOrder <= most);
    const widths = columns.map((column) => Math.max(column.title.length, ...phases.map((phase) => Array.from(column.cell(phase)).length)));
    const surplus = MARK_WIDTH + widths.reduce((sum, each) => sum + each, 0) + GAP * (widths.length - 1) - width;
    const title = widths[0] ?? 0;
    // A title may be shortened a little before a column goes, and down to a stump when none is left to drop.
    if (surplus <= 0) return { columns, widths };
    if (most === 0 || surplus <= title / 4) {
      widths[0] = Math.max(title - surplus, LEAST_TITLE);
      return { columns, widths };
    }
  }
}

function paintRow({ state, seconds, budgetSeconds }: PhaseState, text: string, paint: Paint): string {
  if (state === 'running') return paint('strong', seconds > budgetSeconds ? paint('warn', text) : text);
  if (state === 'passed') return paint('good', text);
  if (state === 'late') return paint('warn', text);
  if (state === 'waiting' || state === 'skipped') return paint('dim', text);
  return paint('bad', text);
}
