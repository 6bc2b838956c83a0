// The registry of channels: a new kind is a file, its schema beside it, and one line here. Opens a channel from dr.yml's description.
import type { z } from 'zod';
import { UsageError } from '../step/errors.ts';
import type { Channel } from './channel.ts';

/** Every kind of channel, by the name that dr.yml calls it. Both files are loaded when they are needed. */
export const CHANNELS = {
  webhook: { schema: () => import('./webhook-schema.ts'), channel: () => import('./webhook.ts') },
  slack: { schema: () => import('./slack-schema.ts'), channel: () => import('./slack.ts') },
  teams: { schema: () => import('./teams-schema.ts'), channel: () => import('./teams.ts') },
  rocketchat: { schema: () => import('./rocketchat-schema.ts'), channel: () => import('./rocketchat.ts') },
  email: { schema: () => import('./email-schema.ts'), channel: () => import('./email.ts'), mail: true },
  heartbeat: { schema: () => import('./heartbeat-schema.ts'), channel: () => import('./heartbeat.ts'), beats: true },
};

/** What a kind of channel has that others do not. */
interface Traits {
  /** It goes from someone to someone, through a mail server: its address is no secret in itself. */
  mail?: boolean;
  /** It hears of every run of a backup, and of nothing else. */
  beats?: boolean;
}

export type ChannelKind = keyof typeof CHANNELS;
type SchemaOf<K extends ChannelKind> = Awaited<ReturnType<(typeof CHANNELS)[K]['schema']>>['schema'];
export type ChannelSchema = { [K in ChannelKind]: SchemaOf<K> }[ChannelKind];

/** A channel of dr.yml; references are resolved by DrConfig. The type follows from the schema beside each channel. */
export type ChannelEntry = z.infer<ChannelSchema>;

/** What is special about a kind of channel. */
export function traitsOf(kind: ChannelKind): Traits {
  return CHANNELS[kind] as Traits;
}

/** Every kind of channel. */
export const CHANNEL_KINDS = Object.keys(CHANNELS) as ChannelKind[];

/** Opens a channel; nothing is sent yet. @throws UsageError when the address is none, without showing it */
export async function openChannel(entry: ChannelEntry): Promise<Channel> {
  const schemes = traitsOf(entry.kind).mail ? ['smtp:', 'smtps:'] : ['https:', 'http:'];
  if (!URL.canParse(entry.url) || !schemes.includes(new URL(entry.url).protocol)) {
    throw new UsageError(
      `The address of the ${entry.kind} channel does not begin with ${schemes.map((scheme) => `${scheme}//`).join(' or ')}.`,
      {
        fix: 'Look at the secret behind url: it must hold the whole address and nothing else.',
      },
    );
  }
  const { open } = await CHANNELS[entry.kind].channel();
  return (open as (entry: ChannelEntry) => Channel)(entry);
}
