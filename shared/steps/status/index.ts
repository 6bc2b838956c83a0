// The step `status`.
import { defineStep } from '../../step/define.ts';
import { inputs, outputs } from './inputs.ts';

export const statusStep = defineStep({
  name: 'status',
  title: 'Lifeboat: status',
  summary: 'Shows whether every backup is there, recent and sound: as a table, as JSON and as metrics.',
  description:
    'Judges by the data in the stores, never by whether a workflow was green: what failed, what is overdue, what never ran, what took far longer or is far ' +
    'larger or smaller than usual, how much space is left, which keys are old. Only reads listings and needs no key. Tells the channels of dr.yml when ' +
    'something turns bad or recovers, and keeps the result as status.json in the store. Run it on a schedule of its own, as a watchdog.',
  effects: 'writes',
  inputs,
  outputs,
  examples: [
    { what: 'Is everything all right', args: '' },
    { what: 'For a script', args: '--json --fail-on warning' },
    { what: 'Metrics for Prometheus', args: '--metrics-file /var/lib/node_exporter/backup.prom --fail-on never' },
  ],
  check: (inputs, spell) => {
    const address = inputs.pushGateway;
    if (address === undefined) return [];
    if (!URL.canParse(address) || !/^https?:$/.test(new URL(address).protocol)) {
      return [`${spell('pushGateway')} is not an address that begins with http:// or https://.`];
    }
    const { username, password } = new URL(address);
    return username + password === '' ? [] : [`${spell('pushGateway')} holds a password: give it as ${spell('pushGatewayAuth')}.`];
  },
  run: async (context) => (await import('./run.ts')).runStatus(context),
});
