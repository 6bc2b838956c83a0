// What `status` takes and puts out.
import type { StepContext } from '../../step/define.ts';
import { input } from '../../step/input.ts';
import { azureInputs, storeInputs, targetInputs } from '../../session/inputs.ts';

export const inputs = {
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
};

export const outputs = {
  status: { summary: 'healthy, warning or critical.' },
  lastBackup: { summary: 'The time to which all components can be restored together; empty when one has no backup.' },
  nextBackup: { summary: 'When the next backup is due; empty without a schedule.' },
  problems: { summary: 'Number of findings.' },
  document: { summary: 'The status document as JSON.' },
};

export type Context = StepContext<typeof inputs, keyof typeof outputs>;
