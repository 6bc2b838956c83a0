// Renders the little Markdown that job summaries use (headings, tables, lists, code, emphasis) as text for a terminal.
import { displayWidth, padded, wrapMessage, wrapWords } from './text-layout.ts';

/** How to emphasise; plain functions so that colour stays the host's decision. */
export interface TextStyle {
  bold(text: string): string;
  dim(text: string): string;
}

/** Keeps a figure and its unit in one line; a person who searches the output types an ordinary one. */
const NO_BREAK_SPACE = '\u00a0';
/** Lines of prose wider than this are hard to read, however wide the terminal is. */
const PROSE = 120;

/**
 * The Markdown as terminal text. Unknown syntax is left as it is: it was written to be readable.
 * @param width columns of the terminal; without it no line is broken
 */
export function renderMarkdown(markdown: string, style: TextStyle, width = Infinity): string {
  const lines = markdown.replaceAll('\r\n', '\n').split('\n');
  const out: string[] = [];
  for (let at = 0; at < lines.length; at += 1) {
    const line = lines[at] as string;
    if (/^\s*```/.test(line)) {
      for (at += 1; at < lines.length && !/^\s*```/.test(lines[at] as string); at += 1) out.push(`    ${lines[at] as string}`);
    } else if (isTableRow(line) && isTableRule(lines[at + 1])) {
      const rows = [cells(line)];
      const right = cells(lines[at + 1] as string).map((rule) => rule.endsWith(':'));
      for (at += 2; at < lines.length && isTableRow(lines[at]); at += 1) rows.push(cells(lines[at] as string));
      at -= 1;
      out.push(...renderTable(rows, right, style, width));
    } else {
      out.push(...renderProse(line, style, Math.min(width, PROSE)));
    }
  }
  return out
    .join('\n')
    .replace(/\n{3,}/g, '\n\n')
    .replaceAll(NO_BREAK_SPACE, ' ')
    .trim();
}

/** A line of prose, broken where it does not fit. */
function renderProse(line: string, style: TextStyle, width: number): string[] {
  const seen = (text: string): number => displayWidth(plain(text));
  if (width === Infinity || seen(line) <= width) return [renderLine(line, style)];
  // Emphasis that spans a break is given to each word.
  const words = line.replace(/\*\*([^*]+)\*\*/g, (_, strong: string) => strong.replace(/\S+/g, '**$&**'));
  return wrapMessage(words, width, seen)
    .split('\n')
    .map((part) => renderLine(part, style));
}

function renderLine(line: string, style: TextStyle): string {
  const heading = /^#{1,6}\s+(.*)$/.exec(line)?.[1];
  if (heading !== undefined) return style.bold(plain(heading));
  if (/^\s*<\/?(details|summary|br)\b[^>]*>\s*$/i.test(line)) return '';
  return inline(line.replace(/^>\s?(\[!\w+\])?/, ''), style);
}

function isTableRow(line: string | undefined): boolean {
  return line !== undefined && /^\s*\|.*\|\s*$/.test(line);
}

function isTableRule(line: string | undefined): boolean {
  return line !== undefined && /^\s*\|(\s*:?-+:?\s*\|)+\s*$/.test(line);
}

function cells(line: string): string[] {
  return line
    .trim()
    .slice(1, -1)
    .split(/(?<!\\)\|/)
    .map((cell) => plain(cell.trim().replaceAll('\\|', '|')));
}

const GAP = 2;
/** A column is not made narrower than this: what is short, such as a size, stays in one piece. */
const NARROWEST = 16;

function renderTable(rows: string[][], right: readonly boolean[], style: TextStyle, width: number): string[] {
  const [head = [], ...body] = rows;
  const columns = Math.max(...rows.map((row) => row.length));
  const all = Array.from({ length: columns }, (_, column) => rows.map((row) => row[column] ?? ''));
  const headless = head.every((cell) => cell === '');
  const widths = columnWidths(all, width - GAP);
  if (widths === undefined && !headless) return stacked(head, body, style, width);
  const lines = (row: string[]): string[] => {
    const parts = all.map((_, column) => wrapWords(row[column] ?? '', (widths ?? natural(all))[column] as number));
    return Array.from({ length: Math.max(...parts.map((part) => part.length)) }, (_, at) =>
      parts
        .map((part, column) => padded(part[at] ?? '', (widths ?? natural(all))[column] as number, right[column] ? 'right' : 'left'))
        .join(' '.repeat(GAP))
        .trimEnd(),
    );
  };
  const shown = body.flatMap((row) => lines(row).map((line) => `  ${line}`));
  return headless ? shown : [...lines(head).map((line) => `  ${style.dim(line)}`), ...shown];
}

function natural(columns: readonly string[][]): number[] {
  return columns.map((cellsOfColumn) => Math.max(...cellsOfColumn.map(displayWidth)));
}

/**
 * Widths that fit: the widest columns give way, down to their longest word; the last one further, as a word that is
 * too long for it just runs on. Undefined when it cannot be done.
 */
function columnWidths(columns: readonly string[][], width: number): number[] | undefined {
  const widths = natural(columns);
  const least = columns.map((texts, column) => {
    const longestWord = Math.max(...texts.flatMap((text) => text.split(' ').map(displayWidth)));
    const short = Math.min(widths[column] as number, NARROWEST);
    return column === columns.length - 1 ? short : Math.max(longestWord, short);
  });
  let over = widths.reduce((sum, one) => sum + one + GAP, -GAP) - width;
  while (over > 0) {
    const spare = widths.map((one, column) => (one > (least[column] as number) ? one : 0));
    const widest = spare.indexOf(Math.max(...spare));
    if (spare[widest] === 0) return undefined;
    widths[widest] = (widths[widest] as number) - 1;
    over -= 1;
  }
  return widths;
}

/** A table that is too wide for the terminal: each row becomes a little list, its first cell the heading. */
function stacked([, ...head]: string[], body: string[][], style: TextStyle, width: number): string[] {
  const labels = Math.max(...head.map(displayWidth));
  return body.flatMap(([first = '', ...row]) => [
    `  ${style.bold(first)}`,
    ...row.flatMap((cell, column) => {
      if (cell === '') return [];
      const label = padded(head[column] ?? '', labels);
      const lines = wrapWords(cell, Math.max(NARROWEST, width - labels - 4 - GAP));
      return lines.map((line, at) => `    ${at === 0 ? style.dim(label) : ' '.repeat(labels)}${' '.repeat(GAP)}${line}`);
    }),
  ]);
}

/** Text without any emphasis marks; for places where widths are counted. */
function plain(text: string): string {
  return inline(text, { bold: (word) => word, dim: (word) => word });
}

function inline(text: string, style: TextStyle): string {
  return text
    .replace(/<\/?(details|summary|sub|sup|b|code|br)\b[^>]*>/gi, '')
    .replace(/\*\*([^*]+)\*\*/g, (_, word: string) => style.bold(word))
    .replace(/`([^`]+)`/g, '$1')
    .replace(/\[([^\]]+)\]\((https?:[^)]+)\)/g, '$1 ($2)')
    .replaceAll('&lt;', '<')
    .replaceAll('&amp;', '&');
}
