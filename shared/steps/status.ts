// The step `status`.
import { defineStep } from '../step/define.ts';
import { input } from '../step/input.ts';
import { azureInputs, storeInputs, targetInputs } from './inputs.ts';

export const statusStep = defineStep({
  name: 'status',
  title: 'Lifeboat: status',
  summary: 'Shows whether every backup is there, recent and sound: as a table, as JSON and as metrics.',
  description:
    'Judges by the data in the stores, never by whether a workflow was green: what failed, what is overdue, what never ran, what took far longer or is far ' +
    'larger or smaller than usual, how much space is left, which keys are old. Only reads listings and needs no key. Tells the channels of dr.yml when ' +
    'something turns bad or recovers, and keeps the result as status.json in the store. Run it on a schedule of its own, as a watchdog.',
  effects: 'writes',
  inputs: {
    config: targetInputs.config,
    component: { ...targetInputs.component, summary: 'Only this component.' },
    name: targetInputs.name,
    store: input.string({
      summary: 'Only this store: the name of a store in dr.yml, or an address. When absent, all stores of dr.yml.',
      example: 'https://stdrprod.blob.core.windows.net/backups',
    }),
    storeSas: storeInputs.storeSas,
    grace: input.duration({
      summary: 'How late a backup may be. When absent, a quarter of its interval: at least 15 minutes, at most 3 hours.',
      example: '2h',
    }),
    failOn: input.choice(['never', 'warning', 'critical'], { summary: 'The severity from which on the step fails.', default: 'critical' }),
    publish: input.flag({ summary: 'Keep the result as status.json in the store. Never for only a part of dr.yml.', default: 'true' }),
    notify: input.flag({
      summary: 'Tell the channels of dr.yml when something turned bad or recovered. Never for only a part of dr.yml.',
      default: 'true',
    }),
    metricsFile: input.path({
      summary: "Write the metrics to this file, for node_exporter's textfile collector.",
      example: '/var/lib/node_exporter/backup.prom',
    }),
    metricsFormat: input.choice(['prometheus', 'openmetrics'], { summary: 'Format of the metrics file.', default: 'prometheus' }),
    pushGateway: input.string({ summary: 'Push the metrics to this Prometheus push gateway.', example: 'http://pushgateway:9091' }),
    pushGatewayAuth: input.secret({ summary: 'user:password or a bearer token for the push gateway.' }),
    ...azureInputs,
  },
  outputs: {
    status: { summary: 'healthy, warning or critical.' },
    lastBackup: { summary: 'The time to which all components can be restored together; empty when one has no backup.' },
    nextBackup: { summary: 'When the next backup is due; empty without a schedule.' },
    problems: { summary: 'Number of findings.' },
    document: { summary: 'The status document as JSON.' },
  },
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
  run: async (context) => (await import('./run/status.ts')).runStatus(context),
});
