// Who is told what happened, as dr.yml says it: one entry per channel.
import { z } from 'zod';
import { about, choice, plainText, secret, secretReference, text } from '../schema/fields.ts';

/** What can be told. `recovered`: a success after a failure; `alert`: the status turned bad without any run, such as a backup that is missing. */
export const NOTIFY_EVENTS = ['succeeded', 'partial', 'failed', 'cancelled', 'refused', 'recovered', 'alert'] as const;
export type NotifyEvent = (typeof NOTIFY_EVENTS)[number];

/** What a channel is told when the file does not say. */
export const DEFAULT_EVENTS: readonly NotifyEvent[] = ['partial', 'failed', 'cancelled', 'recovered', 'alert'];

const on = about(
  z
    .array(
      choice(NOTIFY_EVENTS, {
        description:
          'succeeded, partial, failed, cancelled, refused: how a run ended. recovered: a success after a failure. ' +
          'alert: the status turned bad without any run, such as a backup that is missing.',
        example: 'failed',
      }),
      { error: 'expected a list, such as [failed, partial, recovered]' },
    )
    .min(1, { error: 'expected at least one of ' + NOTIFY_EVENTS.join(', ') }),
  { description: `What this channel is told. Default: ${DEFAULT_EVENTS.join(', ')}.`, example: ['failed', 'partial', 'recovered'] },
).optional();

const components = about(
  z
    .array(
      plainText(
        { description: 'A component, by name.', example: 'mongodb' },
        { expected: 'expected the name of a component, such as mongodb' },
      ),
      { error: 'expected a list, such as [mongodb]' },
    )
    .min(1, { error: 'expected at least one component, such as [mongodb]' }),
  { description: 'Only runs about these components; all when absent.', example: ['mongodb'] },
).optional();

/** Anyone who knows such an address can post to it: it is a secret. */
const secretUrl = (description: string, name: string) =>
  secretReference(`${description} It is a secret: always a reference.`, `\${env:${name}}`);

const literal = <const K extends string>(kind: K, description: string) => about(z.literal(kind), { description, example: kind });

const chat = <const K extends string>(kind: K, description: string, url: string, name: string) =>
  z.strictObject({ kind: literal(kind, description), url: secretUrl(url, name), on, components });

const webhook = z.strictObject({
  kind: literal('webhook', 'A JSON document, posted to any address.'),
  url: secretUrl('Address that is posted to.', 'NOTIFY_WEBHOOK'),
  secret: secretUrl('Signs each message: HMAC-SHA256 in the header x-lifeboat-signature.', 'NOTIFY_WEBHOOK_SECRET').optional(),
  on,
  components,
});

const ADDRESS = String.raw`[^\s<>,;@]+@[^\s<>,;@]+`;

const email = z.strictObject({
  kind: literal('email', 'An e-mail, through an SMTP server.'),
  url: secret(
    text(
      {
        description:
          'SMTP server: smtp://user:password@host:587 (STARTTLS, required as soon as there is a password) or smtps://…:465. With a password, a reference.',
        example: '${env:SMTP_URL}',
      },
      { pattern: String.raw`smtps?://[^\s@/]+(?::\d+)?/?`, expected: 'expected ${env:SMTP_URL} or smtp://host:port' },
    ),
  ),
  from: text(
    { description: 'Sender.', example: 'backups@example.org' },
    { pattern: ADDRESS, expected: 'expected an e-mail address, such as backups@example.org' },
  ),
  to: about(
    z
      .array(
        text(
          { description: 'A recipient.', example: 'oncall@example.org' },
          { pattern: ADDRESS, expected: 'expected an e-mail address, such as oncall@example.org' },
        ),
        { error: 'expected a list, such as [oncall@example.org]' },
      )
      .min(1, { error: 'expected at least one recipient, such as [oncall@example.org]' }),
    { description: 'Recipients.', example: ['oncall@example.org'] },
  ),
  on,
  components,
});

const heartbeat = z.strictObject({
  kind: literal(
    'heartbeat',
    "A dead man's switch in the style of healthchecks.io: it hears of the start and the end of each backup, and raises the alarm when they stay away.",
  ),
  url: secretUrl('Ping address of the check.', 'HEARTBEAT_URL'),
  components,
});

export const channelSchema = z.discriminatedUnion('kind', [
  webhook,
  chat('slack', 'A Slack channel, through an incoming webhook.', "The incoming webhook's address.", 'SLACK_WEBHOOK'),
  chat(
    'teams',
    'A Teams channel, through a workflow ("When a Teams webhook request is received").',
    "The workflow's address.",
    'TEAMS_WEBHOOK',
  ),
  chat('rocketchat', 'A Rocket.Chat channel, through an incoming integration.', "The integration's webhook address.", 'ROCKETCHAT_WEBHOOK'),
  email,
  heartbeat,
]);

export const notifySchema = about(
  z
    .array(channelSchema, { error: 'expected a list of channels, such as [{ kind: slack, url: "${env:SLACK_WEBHOOK}" }]' })
    .min(1, { error: 'expected at least one channel: leave notify out when no one is to be told' }),
  {
    description: 'Who is told how a run ended. A channel that fails is a warning, never a failed backup.',
    example: [{ kind: 'teams', url: '${env:TEAMS_WEBHOOK}', on: ['failed', 'partial', 'recovered'] }],
  },
);

/** A channel of dr.yml; references are resolved by DrConfig. */
export type ChannelEntry = z.infer<typeof channelSchema>;
export type ChannelKind = ChannelEntry['kind'];
