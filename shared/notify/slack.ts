// The channel `slack`: an incoming webhook with Block Kit, and a plain text for notifications on a phone.
import { hostOf } from '../tools/http.ts';
import type { Channel } from './channel.ts';
import type { Message } from './message.ts';
import { postJson } from './post.ts';
import { COLOURS, cut, factsOf, marked } from './text.ts';

// Block Kit's limits: https://docs.slack.dev/reference/block-kit/blocks
const TEXT = 3000;
const HEADER = 150;
const SECTION = 3000;
const FIELD = 2000;
const FIELDS = 10;

/** The payload of an incoming webhook. */
export function slackBody(message: Message): object {
  const { severity, text, next, run } = message;
  // `verbatim`: Slack must not turn an `@here` or a `#name` in an error into a mention or a link.
  const mrkdwn = (written: string): object => ({ type: 'mrkdwn', text: written, verbatim: true });
  const section = (written: string): object => ({ type: 'section', text: mrkdwn(written) });
  const blocks: object[] = [{ type: 'header', text: { type: 'plain_text', text: cut(marked(message), HEADER), emoji: true } }];
  if (text !== '') blocks.push(section(escapedCut(text, SECTION)));
  const fields = factsOf(message).slice(0, FIELDS);
  blocks.push({
    type: 'section',
    fields: fields.map(([label, value]) => mrkdwn(`*${escaped(label)}*\n${escapedCut(value, FIELD - 100)}`)),
  });
  if (next !== undefined) blocks.push(section(`*Run next*\n\`\`\`${escapedCut(next, SECTION - 100)}\`\`\``));
  // A link, not a button: a button wants an app that answers, and shows a warning sign when there is none (slackapi/node-slack-sdk#869).
  if (run.url !== undefined) blocks.push(section(`<${escaped(run.url).replaceAll('|', '%7C')}|Open the run>`));
  return { text: escapedCut(marked(message), TEXT), attachments: [{ color: COLOURS[severity], blocks }] };
}

/** Slack's three control characters; with them gone nothing in a text can mention a person. */
function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/** Cut so that it fits with its escapes, too. */
function escapedCut(text: string, length: number): string {
  let shown = cut(text, length);
  while (escaped(shown).length > length) shown = cut(shown, Math.floor(shown.length * 0.9));
  return escaped(shown);
}

export function open({ url }: { url: string }): Channel {
  return {
    label: `slack ${hostOf(url)}`,
    send: async (message, options) => postJson(url, JSON.stringify(slackBody(message)), options),
  };
}
