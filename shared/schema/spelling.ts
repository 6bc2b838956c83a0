// Finds what the user probably meant to write.

/** The candidate nearest to a word, when it is near enough to be a slip of the hand; undefined otherwise. */
export function nearestSpelling(word: string, candidates: readonly string[]): string | undefined {
  const wanted = normalised(word);
  const allowed = wanted.length <= 2 ? 0 : wanted.length <= 4 ? 1 : 2;
  let nearest: { candidate: string; distance: number } | undefined;
  for (const candidate of candidates) {
    const distance = editDistance(wanted, normalised(candidate));
    if (distance <= allowed && (nearest === undefined || distance < nearest.distance)) nearest = { candidate, distance };
  }
  return nearest?.candidate;
}

/** `max-shrink`, `max_shrink` and `MaxShrink` are one word. */
function normalised(word: string): string {
  return word.toLowerCase().replace(/[-_ ]/g, '');
}

/** Letters to insert, delete, replace or swap with a neighbour to turn one word into the other (optimal string alignment). */
function editDistance(from: string, to: string): number {
  const rows: number[][] = [Array.from({ length: to.length + 1 }, (_, column) => column)];
  for (let row = 1; row <= from.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= to.length; column += 1) {
      const above = rows[row - 1] as number[];
      const same = from[row - 1] === to[column - 1];
      let best = Math.min(
        (above[column] as number) + 1,
        (current[column - 1] as number) + 1,
        (above[column - 1] as number) + (same ? 0 : 1),
      );
      const swapped = row > 1 && column > 1 && from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1];
      if (swapped) best = Math.min(best, (rows[row - 2]?.[column - 2] as number) + 1);
      current.push(best);
    }
    rows.push(current);
  }
  return rows[from.length]?.[to.length] as number;
}
