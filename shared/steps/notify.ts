// The step `notify`.
import { defineStep } from '../step/define.ts';
import { inGroup, input } from '../step/input.ts';
import { azureInputs, storeInputs, targetInputs } from './inputs.ts';

export const notifyStep = defineStep({
  name: 'notify',
  title: 'Lifeboat: notify',
  summary: 'Tells people how a pipeline ended: Slack, Teams, Rocket.Chat, e-mail, webhook, heartbeat.',
  description:
    'For the last job of a pipeline, which runs whatever happened (if: always(), condition: always()): backups and restores report by themselves how they ended, ' +
    'but not that they never began. A success after a failure is reported as recovered when the store is known. A channel that does not answer makes the ' +
    'outcome partial, never failed.',
  effects: 'reads',
  inputs: {
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
      channel: input.choice(['webhook', 'slack', 'teams', 'rocketchat', 'email', 'heartbeat'], {
        summary: 'One channel to tell, instead of those of dr.yml.',
      }),
      url: input.secret({ summary: "The channel's address: a webhook, a ping address, or smtp://user:password@host:587." }),
      from: input.string({ summary: 'E-mail: the sender.', example: 'backups@example.org' }),
      to: input.list({ summary: 'E-mail: the recipients.', example: 'oncall@example.org' }),
    }),
    store: {
      ...storeInputs.store,
      required: false,
      summary: `${storeInputs.store.summary} With it, the message names the last good backup, and a recovery is noticed.`,
    },
    storeSas: storeInputs.storeSas,
    ...azureInputs,
  },
  outputs: {
    told: { summary: 'Number of channels that took the message.' },
    event: { summary: 'What was told: succeeded, partial, failed, cancelled, refused or recovered.' },
  },
  examples: [
    { what: 'By hand', args: '--outcome failed --message "The nightly backup did not start."' },
    { what: 'With the results of several jobs', args: '--results "backup=success, validate=failure"' },
  ],
  check: (inputs, spell) => {
    const problems: string[] = [];
    if (inputs.outcome === undefined && inputs.results === undefined) {
      problems.push(`${spell('outcome')} or ${spell('results')} is missing: one of them says how it ended.`);
    }
    if ((inputs.channel === undefined) !== (inputs.url === undefined)) {
      problems.push(`${spell('channel')} and ${spell('url')} belong together.`);
    }
    if (inputs.channel === 'email' && (inputs.from === undefined || !inputs.to?.length)) {
      problems.push(`${spell('channel')} is email: ${spell('from')} and ${spell('to')} say from whom to whom.`);
    }
    return problems;
  },
  run: async (context) => (await import('./run/notify.ts')).runNotify(context),
});
