// The channel `teams`: an adaptive card for a workflow "When a Teams webhook request is received".
import { plural } from '../step/format.ts';
import { hostOf } from '../tools/http.ts';
import type { Channel } from './channel.ts';
import type { Message, Severity } from './message.ts';
import { postJson } from './post.ts';
import { cut, factsOf, marked } from './text.ts';

// A workflow takes 28 KB in all: https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/add-incoming-webhook
const TEXT = 3000;
const LINES = 30;
const FACT = 500;

/** Adaptive Cards' own words for good and bad. */
const STYLES: Record<Severity, string> = { info: 'good', warning: 'warning', critical: 'attention' };

/** The payload of a workflow's webhook. */
export function teamsBody(message: Message): object {
  const { severity, text, next, run } = message;
  const block = (text: string, more: object = {}): object => ({ type: 'TextBlock', text, wrap: true, ...more });
  const body: object[] = [
    {
      type: 'Container',
      style: STYLES[severity],
      bleed: true,
      items: [block(literal(cut(marked(message), FACT)), { weight: 'Bolder', size: 'Medium' })],
    },
  ];
  // One block per line: within a block a single line break is no line break.
  const lines = cut(text, TEXT)
    .split('\n')
    .filter((line) => line.trim() !== '');
  body.push(...lines.slice(0, LINES).map((line) => block(literal(line))));
  if (lines.length > LINES) body.push(block(`and ${plural(lines.length - LINES, 'more line')}`, { isSubtle: true }));
  body.push({ type: 'FactSet', facts: factsOf(message).map(([title, value]) => ({ title, value: literal(cut(value, FACT)) })) });
  if (next !== undefined) {
    body.push(block('Run next', { weight: 'Bolder', spacing: 'Medium' }));
    body.push(block(literal(cut(next, FACT)), { fontType: 'Monospace' }));
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

/** Cards render a part of Markdown: names with underscores or brackets must stay what they are. */
function literal(text: string): string {
  return text.replace(/[\\_*[\]]/g, (letter) => `\\${letter}`);
}

export function openTeams({ url }: { url: string }): Channel {
  return {
    label: `teams ${hostOf(url)}`,
    send: async (message, options) => postJson(url, JSON.stringify(teamsBody(message)), options),
  };
}
