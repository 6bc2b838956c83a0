// What `lifeboat` alone prints: what there is and where to begin.
import type { Command } from 'commander';

/** The overview text, one line per command. */
export function overview(program: Command): string {
  const width = Math.max(...program.commands.map((command) => command.name().length));
  const lines = program.commands.map((command) => `  ${command.name().padEnd(width)}  ${command.summary() || command.description()}`);
  return [
    'Lifeboat backs up, proves that the backup restores, and restores.',
    '',
    ...lines,
    '',
    'New here: "lifeboat init", then "lifeboat doctor". Each command has --help. Add --dry-run to anything that restores, to see the plan first.',
    '',
  ].join('\n');
}
