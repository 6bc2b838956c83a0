// The job summary's Markdown: the same small set of shapes for every step.
import { prose } from '../step/prose.ts';

/** `| a | b |` rows; cells are escaped. Columns of figures are aligned to the right; one that says nothing at all is left out. */
export function table(allHeads: readonly string[], allRows: readonly (readonly string[])[]): string {
  const used = allHeads.map((title, column) => title !== '' || allRows.some((cells) => (cells[column] ?? '') !== ''));
  const head = allHeads.filter((_, column) => used[column]);
  const rows = allRows.map((cells) => cells.filter((_, column) => used[column]));
  const figures = head.map((_, column) => isFigures(rows.map((cells) => cells[column] ?? '')));
  const line = (cells: readonly string[]): string => `| ${cells.map(cell).join(' | ')} |`;
  const rule = figures.map((right) => (right ? ' ---: |' : ' --- |')).join('');
  // A figure and its unit stay together on a narrow page.
  const whole = (cells: readonly string[]): string[] =>
    cells.map((text, column) => (figures[column] ? text.replaceAll(' ', NO_BREAK_SPACE) : text));
  return [line(head), `|${rule}`, ...rows.map((cells) => line(whole(cells)))].join('\n');
}

const NO_BREAK_SPACE = '\u00a0';

/** `1,234`, `1.5 KiB`, `3m 02s`, `+3 %`; `-` and `?` stand for a figure that is not known. */
const FIGURE = /^(?:[-?]|[-+±]?\d[\d,.]*(?: ?(?:%|s|B|[KMGTP]iB|times as much)|[hms](?: \d\d[ms])?)?)$/;

function isFigures(texts: readonly string[]): boolean {
  return texts.some((text) => /\d/.test(text)) && texts.every((text) => text === '' || FIGURE.test(text));
}

/** The heading of a page, with a mark that says how it ended also without colour. */
export function heading(state: 'good' | 'doubtful' | 'bad', text: string): string {
  return `### ${{ good: '\u2705', doubtful: '\u26a0\ufe0f', bad: '\u274c' }[state]} ${prose(text)}`;
}

/** A two-column table without a head. */
export function facts(rows: readonly (readonly [label: string, value: string])[]): string {
  return table(['', ''], rows);
}

/** Something to copy. */
export function commandBlock(command: string): string {
  return `\`\`\`\n${command}\n\`\`\``;
}

/** A part that is folded away. */
export function details(title: string, body: string): string {
  return `<details><summary>${title}</summary>\n\n${body}\n\n</details>`;
}

/** Parts with a blank line between. */
export function page(...parts: (string | undefined)[]): string {
  return `${parts.filter((part) => part !== undefined && part !== '').join('\n\n')}\n`;
}

/** Names come from databases: a pipe, a line break or a tag in one must not break the table. */
function cell(text: string): string {
  return prose(text)
    .replaceAll('|', '\\|')
    .replace(/\s*[\r\n]+\s*/g, ' ');
}
