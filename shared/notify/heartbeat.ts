// The channel `heartbeat`: start, success, fail and log pings in the style of healthchecks.io; it raises the alarm when they stay away.
import { randomUUID } from 'node:crypto';
import type { NotifyEvent } from './events.ts';
import { hostOf, sendHttp } from '../tools/http.ts';
import type { Channel, SendOptions } from './channel.ts';
import { messageText } from './text.ts';

/** healthchecks.io keeps the first 100 kB of a ping's body: https://healthchecks.io/docs/http_api/ */
const BODY_BYTES = 100_000;

/** Ends of the address. A doubtful backup is no sign of life; a run that was cancelled or refused says nothing either way. */
const SIGNALS: Record<NotifyEvent, '' | 'fail' | 'log'> = {
  succeeded: '',
  recovered: '',
  partial: 'fail',
  failed: 'fail',
  alert: 'fail',
  cancelled: 'log',
  refused: 'log',
};

/** @param url the check's ping address */
export function open({ url }: { url: string }): Channel {
  // Pairs the start with its end, so that the duration is right with two runs at once.
  const rid = randomUUID();
  const ping = async (signal: string, body: string, options: SendOptions = {}): Promise<void> => {
    await sendHttp({
      ...options,
      method: 'POST',
      url: pingUrl(url, signal, rid),
      body,
      headers: { 'content-type': 'text/plain; charset=utf-8', 'user-agent': 'lifeboat' },
    });
  };
  return {
    label: `heartbeat ${hostOf(url)}`,
    start: async (options) => ping('start', '', options),
    send: async (message, options) => ping(SIGNALS[message.event], firstBytes(messageText(message)), options),
  };
}

function pingUrl(url: string, signal: string, rid: string): string {
  const target = new URL(url);
  if (signal !== '') target.pathname = `${target.pathname.replace(/\/$/, '')}/${signal}`;
  target.searchParams.set('rid', rid);
  return target.href;
}

/** Cut between two letters. */
function firstBytes(text: string): string {
  const bytes = Buffer.from(text);
  return bytes.length <= BODY_BYTES
    ? text
    : bytes
        .subarray(0, BODY_BYTES)
        .toString()
        .replace(/\ufffd$/, '');
}
