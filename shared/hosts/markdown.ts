// Renders the little Markdown that job summaries use (headings, tables, lists, code, emphasis) as text for a terminal.

/** How to emphasise; plain functions so that colour stays the host's decision. */
export interface TextStyle {
  bold(text: string): string;
  dim(text: string): string;
}

/** The Markdown as terminal text. Unknown syntax is left as it is: it was written to be readable. */
export function renderMarkdown(markdown: string, style: TextStyle): string {
  const lines = markdown.replaceAll('\r\n', '\n').split('\n');
  const out: string[] = [];
  for (let at = 0; at < lines.length; at += 1) {
    const line = lines[at] as string;
    if (/^\s*```/.test(line)) {
      for (at += 1; at < lines.length && !/^\s*```/.test(lines[at] as string); at += 1) out.push(`    ${lines[at] as string}`);
    } else if (isTableRow(line) && isTableRule(lines[at + 1])) {
      const rows = [cells(line)];
      for (at += 2; at < lines.length && isTableRow(lines[at]); at += 1) rows.push(cells(lines[at] as string));
      at -= 1;
      out.push(...renderTable(rows, style));
    } else {
      out.push(renderLine(line, style));
    }
  }
  return out
    .join('\n')
    .replace(/\n{3,}/g, '\n\n')
    .trim();
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

function renderTable(rows: string[][], style: TextStyle): string[] {
  const columns = Math.max(...rows.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  const [head = [], ...body] = rows;
  const text = (row: string[]): string => widths.map((width, column) => (row[column] ?? '').padEnd(width)).join('  ');
  const shown = body.map((row) => `  ${text(row)}`.trimEnd());
  return head.every((cell) => cell === '') ? shown : [`  ${style.dim(text(head).trimEnd())}`, ...shown];
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
    .replace(/\[([^\]]+)\]\((https?:[^)]+)\)/g, '$1 ($2)');
}
