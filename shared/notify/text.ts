// A message as lines of text: the facts that every channel shows, in one order and one wording.
// Every time is absolute: a message of two in the morning is read at seven.
import type { Message, Severity } from './message.ts';

/** Label and value of each fact, the most important one first. */
export function factsOf(message: Message): [label: string, value: string][] {
  const { severity, name, component, at, since, lastGoodBackup, run } = message;
  const facts: [string, string][] = [['What', component === undefined ? name : `${component} of ${name}`]];
  if (severity !== 'info') facts.push(['How bad', severity]);
  if (since !== undefined) facts.push(['Since', moment(since)]);
  if (lastGoodBackup === null) facts.push(['Last good backup', 'none']);
  else if (lastGoodBackup !== undefined) facts.push(['Last good backup', `${lastGoodBackup.timestamp} (${moment(lastGoodBackup.time)})`]);
  const by = [run.workflow, run.actor === undefined ? undefined : `by ${run.actor}`].filter((part) => part !== undefined);
  if (by.length > 0) facts.push(['Run', by.join(', ')]);
  facts.push(['At', moment(at)]);
  return facts;
}

/** The whole message as plain text. */
export function messageText(message: Message): string {
  const facts = factsOf(message);
  const width = Math.max(...facts.map(([label]) => label.length));
  return [
    message.title,
    '',
    ...(message.text === '' ? [] : [message.text, '']),
    ...facts.map(([label, value]) => `${label.padEnd(width)}  ${value}`),
    ...(message.next === undefined ? [] : ['', 'Run next:', `  ${message.next}`]),
    ...(message.run.url === undefined ? [] : ['', message.run.url]),
    '',
  ].join('\n');
}

/** A mark before a title, so that good and bad differ without colour, too. */
export function marked({ severity, title }: Pick<Message, 'severity' | 'title'>): string {
  return `${MARKS[severity]} ${title}`;
}

const MARKS: Record<Severity, string> = { info: '\u2705', warning: '\u26a0\ufe0f', critical: '\u{1f6a8}' };

/** Colours of chat attachments. */
export const COLOURS: Record<Severity, string> = { info: '#2da44e', warning: '#bf8700', critical: '#cf222e' };

/** `2024-12-01 12:00 UTC`. */
export function moment(date: Date): string {
  return `${date.toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

/** A text cut to what a service takes, never in the middle of an emoji: half of one is no valid text. */
export function cut(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1).replace(/[\ud800-\udbff]$/, '')}…`;
}
