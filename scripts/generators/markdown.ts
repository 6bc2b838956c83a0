// Pieces of Markdown that several generated pages are made of.

export function row(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

/** A page with the lines between one pair of its markers renewed. @throws Error when the markers are gone */
export function section(page: string, marker: string, lines: readonly string[]): string {
  const begin = `<!-- generated: ${marker} -->`;
  const end = '<!-- end generated -->';
  const from = page.indexOf(begin);
  const to = page.indexOf(end, from);
  if (from < 0 || to < 0) throw new Error(`A page lost its markers ${begin} … ${end}`);
  return `${page.slice(0, from)}${[begin, ...lines].join('\n')}\n${page.slice(to)}`;
}
