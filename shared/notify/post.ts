// Posts JSON to a channel's address.
import { sendHttp } from '../tools/http.ts';
import type { SendOptions } from './channel.ts';

/** @throws HttpError naming the host and what it answered */
export async function postJson(url: string, body: string, options: SendOptions = {}, headers: Record<string, string> = {}): Promise<void> {
  await sendHttp({
    ...options,
    method: 'POST',
    url,
    body,
    headers: { 'content-type': 'application/json', 'user-agent': 'lifeboat', ...headers },
  });
}
