// Log lines that carry data (a collection's name, a server's message) must not be taken for commands by the CI system.

/**
 * GitHub's runner obeys a line that starts with `::` and any line with `##[`.
 * (actions/runner ActionCommand.TryParseV2 and TryParse)
 */
export function inertOnGithub(text: string): string {
  return text.replace(/^(\s*):(?=:)/gm, '$1: ').replaceAll('##[', '# #[');
}

/** Azure's agent obeys `##vso[` anywhere in a line and colours `##[`. */
export function inertOnAzure(text: string): string {
  return text.replace(/##(?=vso\[|\[)/gi, '# #');
}
