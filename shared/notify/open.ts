// Opens a channel from dr.yml's description. A new kind of channel is one file and one line here.
import type { ChannelEntry, ChannelKind } from '../config/notify.ts';
import { UsageError } from '../step/errors.ts';
import type { Channel } from './channel.ts';

type Open<K extends ChannelKind> = (entry: Extract<ChannelEntry, { kind: K }>) => Promise<Channel>;

const KINDS: { [K in ChannelKind]: Open<K> } = {
  webhook: async (entry) => (await import('./webhook.ts')).openWebhook(entry),
  slack: async (entry) => (await import('./slack.ts')).openSlack(entry),
  teams: async (entry) => (await import('./teams.ts')).openTeams(entry),
  rocketchat: async (entry) => (await import('./rocketchat.ts')).openRocketchat(entry),
  email: async (entry) => (await import('./email.ts')).openEmail(entry),
  heartbeat: async (entry) => (await import('./heartbeat.ts')).openHeartbeat(entry),
};

/** Every kind of channel. */
export const CHANNEL_KINDS = Object.keys(KINDS) as ChannelKind[];

/** Opens a channel; nothing is sent yet. @throws UsageError when the address is none, without showing it */
export async function openChannel(entry: ChannelEntry): Promise<Channel> {
  const schemes = entry.kind === 'email' ? ['smtp:', 'smtps:'] : ['https:', 'http:'];
  if (!URL.canParse(entry.url) || !schemes.includes(new URL(entry.url).protocol)) {
    throw new UsageError(
      `The address of the ${entry.kind} channel does not begin with ${schemes.map((scheme) => `${scheme}//`).join(' or ')}.`,
      {
        fix: 'Look at the secret behind url: it must hold the whole address and nothing else.',
      },
    );
  }
  return (KINDS[entry.kind] as Open<ChannelKind>)(entry);
}
