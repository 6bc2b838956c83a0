// The channel `rocketchat`: an incoming integration with one attachment.
import { hostOf } from '../tools/http.ts';
import type { Channel } from './channel.ts';
import type { Message } from './message.ts';
import { postJson } from './post.ts';
import { COLOURS, cut, factsOf, marked } from './text.ts';

// A server refuses a message longer than its Message_MaxAllowedSize, 5000 by default.
const TITLE = 500;
const TEXT = 4000;
const COMMAND = 1000;

/** The payload of an incoming integration. */
export function rocketchatBody(message: Message): object {
  const { severity, text, next, run } = message;
  const command = next === undefined ? '' : `Run next:\n\`\`\`\n${cut(next, COMMAND)}\n\`\`\``;
  // A long text gives way to the command, which is worth most.
  const shown = cut(quiet(text), TEXT - command.length);
  return {
    text: cut(quiet(marked(message)), TITLE),
    attachments: [
      {
        color: COLOURS[severity],
        ...(run.url === undefined ? {} : { title: 'Open the run', title_link: run.url }),
        text: [shown, command].filter((part) => part !== '').join('\n\n'),
        fields: factsOf(message).map(([title, value]) => ({ short: true, title, value: quiet(value) })),
      },
    ],
  };
}

/** `@all` in an error's text must not wake everyone up: a zero-width space takes the mention away. */
function quiet(text: string): string {
  return text.replace(/@(?=\w)/g, '@\u200b');
}

export function open({ url }: { url: string }): Channel {
  return {
    label: `rocketchat ${hostOf(url)}`,
    send: async (message, options) => postJson(url, JSON.stringify(rocketchatBody(message)), options),
  };
}
