// The channel `teams`: an adaptive card for a workflow "When a Teams webhook request is received".
import { plural } from '../step/format.ts';
import { hostOf } from '../tools/http.ts';
import type { Channel } from './channel.ts';
import type { Message, Severity } from './message.ts';
import { postJson } from './post.ts';
import { cut, factsOf, marked } from './text.ts';

// A workflow takes 28 KB in all, and Teams counts a message in UTF-16, two bytes a letter:
// https://learn.microsoft.com/connectors/teams/#known-issues-and-limitations-with-actions
const CARD = 14_000;
const TEXT = 3000;
const LINES = 30;
const FACT = 500;

/** Adaptive Cards' own words for good and bad. */
const STYLES: Record<Severity, string> = { info: 'good', warning: 'warning', critical: 'attention' };

/** The payload of a workflow's webhook. Its text is shortened until it fits: letters that JSON must escape take up to six. */
export function teamsBody(message: Message): object {
  for (let letters = TEXT; ; letters = Math.floor(letters / 2)) {
    const body = cardOf(message, { text: letters, other: Math.min(FACT, letters) });
    if (letters <= 1 || JSON.stringify(body).length <= CARD) return body;
  }
}

function cardOf(message: Message, most: { text: number; other: number }): object {
  const { severity, text, next, run } = message;
  const body: object[] = [
    {
      type: 'Container',
      style: STYLES[severity],
      bleed: true,
      items: [plain(cut(marked(message), most.other), { weight: 'Bolder', size: 'Medium' })],
    },
  ];
  const lines = cut(text, most.text)
    .split('\n')
    .filter((line) => line.trim() !== '');
  body.push(...lines.slice(0, LINES).map((line) => plain(line)));
  if (lines.length > LINES) body.push(plain(`and ${plural(lines.length - LINES, 'more line')}`, { isSubtle: true }));
  body.push({ type: 'FactSet', facts: factsOf(message).map(([title, value]) => ({ title, value: literal(cut(value, most.other)) })) });
  if (next !== undefined) {
    body.push(plain('Run next', { weight: 'Bolder' }, { spacing: 'Medium' }));
    body.push(plain(cut(next, most.other), { fontType: 'Monospace' }));
  }
  return {
    type: 'message',
    attachments: [
      {
        contentType: 'application/vnd.microsoft.card.adaptive',
        contentUrl: null,
        content: {
          $schema: 'http://adaptivecards.io/schemas/adaptive-card.json',
          type: 'AdaptiveCard',
          version: '1.4',
          msteams: { width: 'Full' },
          body,
          ...(run.url === undefined ? {} : { actions: [{ type: 'Action.OpenUrl', title: 'Open the run', url: run.url }] }),
        },
      },
    ],
  };
}

/**
 * One line as it stands. A TextBlock would be Markdown, whose escapes Teams on a phone shows as backslashes (microsoft/AdaptiveCards#5590);
 * a TextRun is not.
 */
function plain(text: string, font: object = {}, more: object = {}): object {
  return { type: 'RichTextBlock', inlines: [{ type: 'TextRun', text, ...font }], ...more };
}

/** The value of a fact is always Markdown. An underscore within a word, as in a timestamp, needs no escape. */
function literal(text: string): string {
  return text.replace(/[\\*[\]]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])/g, (letter) => `\\${letter}`);
}

export function open({ url }: { url: string }): Channel {
  return {
    label: `teams ${hostOf(url)}`,
    send: async (message, options) => postJson(url, JSON.stringify(teamsBody(message)), options),
  };
}
