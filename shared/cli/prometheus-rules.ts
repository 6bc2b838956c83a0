// `lifeboat prometheus-rules`: alert rules over the metrics of `status`, as a rule file or as the Prometheus Operator's PrometheusRule.
import { writeFileSync } from 'node:fs';
import { InvalidArgumentError, type Command } from 'commander';
import { errorMessage } from '../step/errors.ts';
import { REPOSITORY, TAG } from './project.ts';
import { endWithError } from './step-command.ts';

interface Options {
  output?: string;
  customResource?: boolean;
  name?: string;
  namespace?: string;
  label?: Record<string, string>;
}

const RUNBOOK = `https://github.com/${REPOSITORY}/blob/${TAG}/docs/operations.md#monitoring-and-alerts`;
const RESOURCE_NAME = 'lifeboat-backups';

/** Adds `prometheus-rules` to the CLI. It prints, or writes a file. */
export function register(program: Command): void {
  program
    .command('prometheus-rules')
    .description(
      'Writes Prometheus alert rules for the metrics of "lifeboat status".\n\n' +
        'They fire when a backup failed, is overdue, damaged or odd in size, when copies lag behind, space runs out or keys grow old. The limits ' +
        'are those of "lifeboat status". Check the file with "promtool check rules".',
    )
    .option('--output <file>', 'write to this file instead of standard output')
    .option('--custom-resource', "write the Prometheus Operator's PrometheusRule for kubectl apply")
    .option('--namespace <name>', 'namespace of the custom resource')
    .option('--label <key=value>', 'label of the custom resource, by which the operator finds it; may be repeated', addLabel)
    .option('--name <name>', 'only backups of this name in dr.yml; all that Prometheus knows when absent')
    .addHelpText(
      'after',
      [
        '',
        'Examples:',
        '  A rule file for rule_files in prometheus.yml:',
        '    lifeboat prometheus-rules --output backup-rules.yml',
        '  For the Prometheus Operator (kube-prometheus-stack):',
        '    lifeboat prometheus-rules --custom-resource --label release=prometheus | kubectl apply -n monitoring -f -',
      ].join('\n'),
    )
    .action(async (options: Options) => {
      const text = await rulesText(options);
      if (options.output === undefined) {
        process.stdout.write(text);
        return;
      }
      try {
        writeFileSync(options.output, text);
      } catch (thrown) {
        const message = `The rules could not be written to ${options.output}: ${errorMessage(thrown)}.`;
        await endWithError({ command: 'prometheus-rules' }, { kind: 'failed', message, fix: 'Check the folder and your rights on it.' });
      }
    });
}

async function rulesText({ customResource, name, namespace, label = {} }: Options): Promise<string> {
  const { prometheusRule, ruleFile, yamlText } = await import('../monitor/prometheus-rules.ts');
  const file = ruleFile({ runbook: RUNBOOK, name });
  return yamlText(customResource === true ? prometheusRule(file, { name: RESOURCE_NAME, namespace, labels: label }) : file);
}

function addLabel(text: string, labels: Record<string, string> = {}): Record<string, string> {
  const [, key, value] = /^([^=\s]+)=(.*)$/.exec(text) ?? [];
  if (key === undefined || value === undefined) throw new InvalidArgumentError('Write key=value, such as release=prometheus.');
  return { ...labels, [key]: value };
}
