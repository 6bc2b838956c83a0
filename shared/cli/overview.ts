// What `lifeboat` and `lifeboat --help` print: the commands, grouped by what one wants to do, and where to begin.
import { KINDS } from '../kinds/registry.ts';
import type { Command } from 'commander';
import { padded, wrapWords } from '../hosts/text-layout.ts';
import { ALIASES } from '../steps/words.ts';

/** Commands by purpose, in the order in which people meet them; what is not named here comes last. */
const GROUPS: readonly [title: string, commands: readonly string[]][] = [
  ['Begin', ['init', 'config', 'doctor']],
  ['Back up', [...KINDS.all.map(({ steps }) => steps.backup.name), 'backup-all', 'copy-backups', 'import-backup']],
  ['Restore', [...KINDS.all.flatMap(({ steps }) => steps.restore?.name ?? []), 'decrypt']],
  ['Prove', ['verify', 'backup-validation', 'backup-integrity-check', ...KINDS.all.flatMap(({ steps }) => steps.compare?.name ?? [])]],
  ['Manage', ['list-backups', 'status', 'apply-retention', 'hold-backup', 'release-hold', 'notify', 'audit', 'prometheus-rules']],
];
/** With less room beside the names, each text goes below its name. */
const NARROWEST = 30;

/**
 * The overview text, one entry per command.
 * @param columns width of the terminal; without it no line is broken
 */
export function overview(program: Command, columns = Infinity): string {
  const { commands } = program;
  const names = commands.map((command) => command.name());
  const width = Math.max(...names.map((name) => name.length));
  const room = columns - width - 5;
  const entry = (name: string): string[] => {
    const command = commands.find((one) => one.name() === name);
    const text = (command?.summary() || command?.description().split('\n')[0]) ?? '';
    if (room < NARROWEST) return [`  ${name}`, ...wrapWords(text, columns - 5).map((line) => `    ${line}`)];
    return wrapWords(text, room).map((line, at) => `  ${padded(at === 0 ? name : '', width)}  ${line}`);
  };
  const named = new Set(GROUPS.flatMap(([, group]) => group));
  const rest = names.filter((name) => !named.has(name));
  const groups = rest.length === 0 ? GROUPS : [...GROUPS, ['More', rest] as const];
  return [
    ...wrapWords('Lifeboat makes backups, proves that they can be restored, and restores them.', columns),
    ...groups.flatMap(([title, group]) => ['', `${title}:`, ...group.filter((name) => names.includes(name)).flatMap(entry)]),
    '',
    ...wrapWords('New here? Run "lifeboat init", then "lifeboat doctor". Every command has --help.', columns),
    ...wrapWords(`${shortForms()}.`, columns),
    ...wrapWords('Add --dry-run to anything that restores or removes to see the plan first.', columns),
    '',
  ].join('\n');
}

/** `ls and list are short for list-backups`. */
function shortForms(): string {
  const wordsOf = new Map<string, string[]>();
  for (const [word, command] of ALIASES) wordsOf.set(command, [...(wordsOf.get(command) ?? []), `"${word}"`]);
  const parts = [...wordsOf].map(([command, words]) => `${words.join(', ')} ${words.length === 1 ? 'means' : 'mean'} ${command}`);
  return parts.join('; ');
}
