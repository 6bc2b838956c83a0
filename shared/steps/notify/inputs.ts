// What `notify` takes and puts out.
import { CHANNEL_KINDS } from '../../notify/open.ts';
import type { StepContext } from '../../step/define.ts';
import { inGroup, input, optional } from '../../step/input.ts';
import { azureInputs, storeInputs, targetInputs } from '../../session/inputs.ts';

export const inputs = {
  config: targetInputs.config,
  component: targetInputs.component,
  name: targetInputs.name,
  outcome: input.string({
    summary:
      'How it ended: succeeded, partial, failed, cancelled or refused. GitHub and Azure have their own words for it, which work, too.',
    example: 'failure',
  }),
  results: input.string({
    summary: 'How each job ended; the worst one counts. JSON, such as toJSON(needs) on GitHub, or job=result, job=result.',
    example: 'backup=Succeeded, validate=Failed',
  }),
  message: input.string({ summary: 'Text to add to the message.', example: 'Nightly backup' }),
  next: input.string({ summary: 'The command to run next.', example: 'lifeboat status' }),
  ...inGroup('Channel', {
    channel: input.choice(CHANNEL_KINDS, {
      summary: 'One channel to tell, instead of those of dr.yml.',
    }),
    url: input.secret({ summary: "The channel's address: a webhook, a ping address, or smtp://user:password@host:587." }),
    from: input.string({ summary: 'E-mail: the sender.', example: 'backups@example.org' }),
    to: input.list({ summary: 'E-mail: the recipients.', example: 'oncall@example.org' }),
  }),
  store: optional(storeInputs.store, {
    summary: `${storeInputs.store.summary} With it, the message names the last good backup, and a recovery is noticed.`,
  }),
  storeSas: storeInputs.storeSas,
  ...azureInputs,
};

export const outputs = {
  told: { summary: 'Number of channels that took the message.' },
  event: { summary: 'What was told: succeeded, partial, failed, cancelled, refused or recovered.' },
};

export type Context = StepContext<typeof inputs, keyof typeof outputs>;
