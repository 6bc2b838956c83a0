// The channel `webhook`: the message as JSON, signed where a secret is set.
import { createHmac } from 'node:crypto';
import { hostOf } from '../tools/http.ts';
import type { Channel, SendOptions } from './channel.ts';
import type { Message } from './message.ts';
import { postJson } from './post.ts';

/** The document that is posted; fields are only ever added. Times in ISO 8601, UTC. */
export function webhookBody(message: Message): object {
  const { event, severity, title, text, name, component, step, at, since, lastGoodBackup, next, run } = message;
  return {
    version: 1,
    event,
    severity,
    title,
    text,
    name,
    component: component ?? null,
    step: step ?? null,
    at: at.toISOString(),
    since: since?.toISOString() ?? null,
    lastGoodBackup: lastGoodBackup ? { timestamp: lastGoodBackup.timestamp, time: lastGoodBackup.time.toISOString() } : null,
    next: next ?? null,
    run: { id: run.id, url: run.url ?? null, actor: run.actor ?? null, workflow: run.workflow ?? null },
  };
}

/** HMAC-SHA256 over `<timestamp>.<body>`: a receiver refuses what is old or not signed with the shared secret. */
export function signature(secret: string, timestamp: string, body: string): string {
  return `sha256=${createHmac('sha256', secret).update(`${timestamp}.${body}`).digest('hex')}`;
}

export function open({ url, secret }: { url: string; secret?: string | undefined }): Channel {
  return {
    label: `webhook ${hostOf(url)}`,
    async send(message: Message, options?: SendOptions) {
      const body = JSON.stringify(webhookBody(message));
      const timestamp = String(Math.floor(message.at.getTime() / 1000));
      const signed =
        secret === undefined ? {} : { 'x-lifeboat-timestamp': timestamp, 'x-lifeboat-signature': signature(secret, timestamp, body) };
      await postJson(url, body, options, signed);
    },
  };
}
