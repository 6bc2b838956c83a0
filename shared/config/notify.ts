// Who is told what happened, as dr.yml says it: one entry per channel, described beside the channel itself.
import { z } from 'zod';
import { CHANNELS, type ChannelSchema } from '../notify/open.ts';
import { about } from '../schema/fields.ts';

const channelSchema = z.discriminatedUnion(
  'kind',
  (await Promise.all(Object.values(CHANNELS).map(async (kind): Promise<ChannelSchema> => (await kind.schema()).schema))) as [
    ChannelSchema,
    ...ChannelSchema[],
  ],
);

export const notifySchema = about(
  z
    .array(channelSchema, { error: 'expected a list of channels, such as [{ kind: slack, url: "${env:SLACK_WEBHOOK}" }]' })
    .min(1, { error: 'expected at least one channel: leave notify out when no one is to be told' }),
  {
    description: 'Who is told how a run ended. A channel that fails is a warning, never a failed backup.',
    example: [{ kind: 'teams', url: '${env:TEAMS_WEBHOOK}', on: ['failed', 'partial', 'recovered'] }],
  },
);
