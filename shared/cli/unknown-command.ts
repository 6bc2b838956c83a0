// What is said about a word that is no command: the commands that do what it probably means, ready to be typed.
import type { Command } from 'commander';
import { nearestSpelling } from '../schema/spelling.ts';
import { cutToWidth, padded } from '../hosts/text-layout.ts';
import { UsageError } from '../step/errors.ts';
import { ALIASES, meaningsOf, type Suggestion } from '../steps/words.ts';

/** What a terminal usually has. */
const COLUMNS = 80;

/** @param words what was typed after `lifeboat`, the word that is no command first */
export function unknownCommand(program: Command, words: readonly string[]): UsageError {
  const [word = '', next = ''] = words;
  const all = 'All commands: lifeboat --help';
  const suggestions = suggestionsFor(program, word, next);
  if (suggestions.length === 0) return new UsageError(`There is no command ${JSON.stringify(word)}.`, { fix: all });
  const width = Math.max(...suggestions.map(({ line }) => line.length));
  const lines = suggestions.map(({ line, what }) => cutToWidth(`  lifeboat ${padded(line, width)}  ${what}`, COLUMNS));
  return new UsageError(`There is no command ${JSON.stringify(word)}.`, { fix: ['Did you mean:', ...lines, all].join('\n') });
}

function suggestionsFor(program: Command, word: string, next: string): readonly Suggestion[] {
  const summaries = new Map(program.commands.map((command) => [command.name(), command.summary() || command.description()]));
  const near = (text: string): Suggestion[] => {
    const spelling = nearestSpelling(text, [...summaries.keys(), ...ALIASES.keys()]);
    const name = spelling === undefined ? undefined : (ALIASES.get(spelling) ?? spelling);
    return name === undefined ? [] : [{ line: name, what: lowerFirst(summaries.get(name) ?? '') }];
  };
  // `lifeboat backup mongodb`, `lifeboat list backups`: two words of one name.
  const joined = /^[a-z]/i.test(next) ? [`${word}-${next}`, `${next}-${word}`].filter((name) => summaries.has(name)) : [];
  if (joined[0] !== undefined) return [{ line: joined[0], what: lowerFirst(summaries.get(joined[0]) ?? '') }];
  const meant = meaningsOf(word);
  return meant.length > 0 ? meant : near(word);
}

/** The first sentence of a summary, as it follows a command. */
function lowerFirst(summary: string): string {
  const [sentence = ''] = summary.split(/(?<=[a-z])[.;:]/);
  return sentence.charAt(0).toLowerCase() + sentence.slice(1);
}
