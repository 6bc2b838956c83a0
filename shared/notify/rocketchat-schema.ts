// The channel `rocketchat`, as dr.yml says it.
import { chat } from './channel-fields.ts';

export const schema = chat(
  'rocketchat',
  'A Rocket.Chat channel, through an incoming integration.',
  "The integration's webhook address.",
  'ROCKETCHAT_WEBHOOK',
);
