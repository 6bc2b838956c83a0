// The step `notify`.
import { traitsOf } from '../../notify/open.ts';
import { defineStep } from '../../step/define.ts';
import { inputs, outputs } from './inputs.ts';

export const notifyStep = defineStep({
  name: 'notify',
  title: 'Lifeboat: notify',
  noun: 'Notification',
  summary: 'Tells people how a pipeline ended: Slack, Teams, Rocket.Chat, e-mail, webhook, heartbeat.',
  description:
    'For the last job of a pipeline, which runs whatever happened (if: always(), condition: always()): backups and restores report by themselves how they ended, ' +
    'but not that they never began. A success after a failure is reported as recovered when the store is known. A channel that does not answer makes the ' +
    'outcome partial, never failed.',
  effects: 'reads',
  inputs,
  outputs,
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
    if (inputs.channel !== undefined && traitsOf(inputs.channel).mail && (inputs.from === undefined || !inputs.to?.length)) {
      problems.push(`${spell('channel')} is ${inputs.channel}: ${spell('from')} and ${spell('to')} say from whom to whom.`);
    }
    return problems;
  },
  run: async (context) => (await import('./run.ts')).runNotify(context),
});
