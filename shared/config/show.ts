// dr.yml as it is understood: defaults filled in, secrets as ***, rules written out, next runs computed.
import { stringify } from 'yaml';
import { defaultKeys, type DrConfig } from './dr-config.ts';
import { problemLine, type ConfigProblem } from './problem.ts';
import { retentionRules, rulesText, type Retention, type WrittenRules } from './retention.ts';
import { isUtcCron, utcCrons } from './ci-cron.ts';
import { nextRuns } from './schedule.ts';

/** What `config show --json` prints. */
export interface ShownConfig {
  file: string;
  config: unknown;
  components: {
    name: string;
    kind: string;
    store?: string | undefined;
    retention?: WrittenRules | undefined;
    /** Stores with rules of their own. */
    storeRetention?: Record<string, WrittenRules>;
    schedule?: string | undefined;
    nextRuns?: string[] | undefined;
    /** Cron lines in UTC that come at least as often, for a CI system that runs `backup-all --due`; absent where the schedule is one itself. */
    cron?: string[];
  }[];
  notices: readonly ConfigProblem[];
}

const RUNS_SHOWN = 3;

/** The understood configuration as data. `now`: next runs are those after it. */
export function shownConfig(config: DrConfig, now: Date): ShownConfig {
  const { dr } = config;
  const { components, ...head } = dr;
  const keys = dr.keys ?? defaultKeys(dr);
  const filled = Object.entries(components).map(([name, component]) => {
    const store = config.storeNameOf(name);
    return [name, { ...component, ...(store === undefined ? {} : { store }) }] as const;
  });
  return {
    file: config.label,
    config: hideSecrets(config, { ...head, ...(keys.length > 0 ? { keys } : {}), components: Object.fromEntries(filled) }),
    components: filled.map(([name, { kind, store, retention, schedule }]) => ({
      name,
      kind,
      store,
      ...(retention ? { retention: retentionRules(retention), ...storeRules(retention) } : {}),
      ...(schedule === undefined ? {} : { schedule, nextRuns: nextRuns(schedule, now, RUNS_SHOWN).map((run) => run.toISOString()) }),
      ...(schedule === undefined || isUtcCron(schedule) ? {} : { cron: utcCrons(schedule, now) }),
    })),
    notices: config.notices,
  };
}

/** The same for people: valid YAML, with what was worked out as comments below. */
export function shownText(shown: ShownConfig): string {
  const lines = [`# ${shown.file}: defaults filled in, secrets as ***`, stringify(shown.config, { lineWidth: 0 }).trimEnd()];
  const retained = shown.components.filter(({ retention }) => retention);
  if (retained.length > 0) lines.push('', '# Retention', ...retained.flatMap(retentionLines));
  const scheduled = shown.components.filter(({ nextRuns: runs = [] }) => runs.length > 0);
  if (scheduled.length > 0) {
    const minutes = (iso: string): string => iso.slice(0, 16).replace('T', ' ');
    lines.push(
      '',
      '# Next runs (UTC)',
      ...scheduled.map(({ name, nextRuns: runs = [] }) => `#   ${name}: ${runs.map(minutes).join(', ')}`),
    );
  }
  const guarded = shown.components.filter(({ cron }) => cron);
  if (guarded.length > 0) {
    const quoted = ({ cron = [] }: ShownConfig['components'][number]): string => cron.map((line) => JSON.stringify(line)).join(', ');
    lines.push(
      '',
      '# Cron lines for the CI system (UTC), with backup-all --due',
      ...guarded.map((one) => `#   ${one.name}: ${quoted(one)}`),
    );
  }
  if (shown.notices.length > 0) lines.push('', '# To know', ...shown.notices.map((notice) => `#   ${problemLine(shown.file, notice)}`));
  return lines.join('\n');
}

function storeRules(retention: Retention): Pick<ShownConfig['components'][number], 'storeRetention'> {
  const names = Object.keys(retention.stores ?? {});
  return names.length === 0 ? {} : { storeRetention: Object.fromEntries(names.map((name) => [name, retentionRules(retention, name)])) };
}

function retentionLines({ name, retention = {}, storeRetention = {} }: ShownConfig['components'][number]): string[] {
  return [
    `#   ${name}: ${rulesText(retention)}`,
    ...Object.entries(storeRetention).map(([store, rules]) => `#   ${name} in ${store}: ${rulesText(rules)}`),
  ];
}

/** References of secret fields become ***; where the value comes from stays readable. */
function hideSecrets(config: DrConfig, value: unknown, path: readonly PropertyKey[] = []): unknown {
  if (Array.isArray(value)) return value.map((item, index) => hideSecrets(config, item, [...path, index]));
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, hideSecrets(config, item, [...path, name])]));
  }
  if (typeof value !== 'string' || !config.isSecret(path)) return value;
  const whole = /^\$\{(?:env|vault):([^}]*)\}$/.exec(value);
  return whole ? `*** (from ${value})` : value.replace(/\$\{[^}]*\}/g, '***');
}
