// The status as metrics for Prometheus: as text, into a file for the textfile collector, to a push gateway.
import { randomUUID } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { errorMessage, UserError } from '../step/errors.ts';
import type { Secret } from '../step/input.ts';
import type { Clock } from '../tools/clock.ts';
import { sendHttp } from '../tools/http.ts';
import type { ComponentStatus, Health, StatusDocument } from './status.ts';

interface Family {
  name: string;
  help: string;
  type: 'gauge' | 'counter';
  samples: { labels: Record<string, string>; value: number }[];
}

const HEALTH: Record<Health, number> = { healthy: 0, warning: 1, critical: 2 };

/** The metrics of a status. Timestamps in seconds since 1970; 0 means never, so that `time() - x` is large and alerts fire. */
export function metricFamilies(status: StatusDocument): Family[] {
  const of = (name: string, type: Family['type'], help: string, value: (component: ComponentStatus) => number | null): Family => ({
    name,
    type,
    help,
    samples: status.components.flatMap((component) => {
      const number = value(component);
      return number === null
        ? []
        : [{ labels: { name: status.name, component: component.component, store: component.store }, value: number }];
    }),
  });
  const seconds = (moment: string | null): number => (moment === null ? 0 : Date.parse(moment) / 1000);
  const ofStores = (name: string, help: string, value: (store: StatusDocument['stores'][number]) => number | null): Family => ({
    name,
    type: 'gauge',
    help,
    samples: status.stores.flatMap((store) => {
      const number = value(store);
      return number === null ? [] : [{ labels: { name: status.name, store: store.store }, value: number }];
    }),
  });
  return [
    of('backup_last_success_timestamp', 'gauge', 'Time of the data of the newest good backup, in seconds since 1970; 0: never.', (one) =>
      seconds(one.last_backup),
    ),
    of('backup_last_verified_timestamp', 'gauge', 'Time of the data of the newest backup that was read back and proved; 0: never.', (one) =>
      seconds(one.last_verified),
    ),
    of('backup_last_attempt_timestamp', 'gauge', 'Time of the newest attempt at a backup, whatever came of it; 0: never.', (one) =>
      seconds(one.last_attempt),
    ),
    of(
      'backup_expected_interval_seconds',
      'gauge',
      'Longest time between two backups that the schedule allows.',
      (one) => one.expected_interval_seconds,
    ),
    of(
      'backup_missing_from_timestamp',
      'gauge',
      'From when on the next backup is missing: after its time and grace; in seconds since 1970.',
      (one) => (one.missing_from === null ? null : seconds(one.missing_from)),
    ),
    of('backup_rpo_seconds', 'gauge', 'Greatest age of the last verified backup that objectives.rpo allows.', (one) => one.rpo_seconds),
    of('backup_duration_seconds', 'gauge', 'Duration of the newest backup, the reading back included.', (one) => one.duration_seconds),
    of('backup_size_bytes', 'gauge', 'Size of the newest backup as stored.', (one) => one.stored_bytes),
    of('backup_plain_size_bytes', 'gauge', 'Size of the newest backup before compression.', (one) => one.plain_bytes),
    of(
      'backup_usual_duration_seconds',
      'gauge',
      'Average duration of up to ten backups before the newest; absent with fewer than three.',
      (one) => one.usual_duration_seconds,
    ),
    of(
      'backup_usual_plain_size_bytes',
      'gauge',
      'Median size before compression of up to ten backups before the newest; absent with fewer than three.',
      (one) => one.usual_plain_bytes,
    ),
    of(
      'backup_doubtful',
      'gauge',
      '1: the newest backup is empty, or much smaller than the one before; or one is dated in the future.',
      (one) => Number(one.doubtful),
    ),
    of(
      'backup_verification_failed',
      'gauge',
      '1: a backup is damaged, or the last check found data that is not what it should be.',
      (one) => Number(one.verification_failed),
    ),
    of(
      'backup_failures_since_success',
      'gauge',
      'Attempts since the last good backup that failed or were never completed.',
      (one) => one.failures_since_success,
    ),
    of('backup_failure_total', 'counter', 'Failed attempts at a backup on record.', (one) => one.failures),
    of('backup_available', 'gauge', 'Backups in the store.', (one) => one.backups),
    of('backup_verified', 'gauge', 'Backups in the store that were read back and proved.', (one) => one.verified_backups),
    of('backup_health', 'gauge', '0: healthy, 1: warning, 2: critical.', (one) => HEALTH[one.status]),
    {
      name: 'backup_replication_lag_seconds',
      type: 'gauge',
      help: 'How long the oldest backup that has no copy in the store has waited for it; 0: none waits.',
      samples: status.components.flatMap(({ component, copies }) =>
        copies.map((copy) => ({ labels: { name: status.name, component, store: copy.store }, value: copy.lag_seconds })),
      ),
    },
    {
      name: 'backup_key_since_timestamp',
      type: 'gauge',
      help: 'Since when a long-lived key is in use, in seconds since 1970.',
      samples: status.components.flatMap(({ component, store, keys }) =>
        keys.map(({ kind, id, since }) => ({ labels: { name: status.name, component, store, kind, key: id }, value: seconds(since) })),
      ),
    },
    ofStores(
      'backup_storage_used_percent',
      'Used part of the file system of the store, in percent.',
      ({ free_bytes: free, total_bytes: total }) => (free === null || !total ? null : (1 - free / total) * 100),
    ),
    ofStores('backup_storage_used_bytes', 'Bytes of all backups in the store.', (one) => one.used_bytes),
    ofStores('backup_store_reachable', '0: the store does not answer, and nothing is known of what it holds.', ({ problem }) =>
      Number(problem === null),
    ),
    {
      name: 'backup_status_timestamp',
      type: 'gauge',
      help: 'When these metrics were worked out, in seconds since 1970.',
      samples: [{ labels: { name: status.name }, value: seconds(status.generated) }],
    },
  ];
}

export type MetricsFormat = 'prometheus' | 'openmetrics';

/**
 * Text in the Prometheus exposition format 0.0.4 (what the textfile collector and the push gateway take) or in OpenMetrics 1.0.
 * They differ in how a counter's family is called and in the end.
 */
export function renderMetrics(families: readonly Family[], format: MetricsFormat = 'prometheus'): string {
  const lines = families
    .filter(({ samples }) => samples.length > 0)
    .flatMap(({ name, help, type, samples }) => {
      const family = format === 'openmetrics' && type === 'counter' ? name.replace(/_total$/, '') : name;
      return [
        `# HELP ${family} ${escaped(help, format === 'openmetrics')}`,
        `# TYPE ${family} ${type}`,
        ...samples.map(({ labels, value }) => `${name}{${labelText(labels)}} ${value}`),
      ];
    });
  return `${[...lines, ...(format === 'openmetrics' ? ['# EOF'] : [])].join('\n')}\n`;
}

function labelText(labels: Record<string, string>): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}="${escaped(value, true)}"`)
    .join(',');
}

function escaped(text: string, quotes: boolean): string {
  const plain = text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
  return quotes ? plain.replaceAll('"', '\\"') : plain;
}

/**
 * Writes the metrics for node_exporter's textfile collector (a name ending in `.prom`): complete or not at all, readable by all.
 * @throws UserError
 */
export async function writeMetricsFile(path: string, text: string): Promise<void> {
  // The collector reads every *.prom: the unfinished one must not end so.
  const temporary = join(dirname(path), `.${basename(path)}.${randomUUID()}`);
  try {
    const handle = await open(temporary, 'wx');
    try {
      // Whatever this user's umask: the exporter runs as another one.
      await handle.chmod(0o644);
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
  } catch (thrown) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw new UserError(`The metrics could not be written to ${path}: ${errorMessage(thrown)}.`, {
      fix: 'The folder must exist, and this user must be allowed to write to it.',
      cause: thrown,
    });
  }
}

export interface PushOptions {
  /** `user:password`, or a bearer token. */
  auth?: Secret | undefined;
  clock?: Clock | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * Replaces the group `job="lifeboat", name=<name>` at a push gateway.
 * @param gateway its address, without `/metrics`
 * @throws HttpError
 */
export async function pushMetrics(gateway: string, name: string, text: string, { auth, ...options }: PushOptions = {}): Promise<void> {
  const target = new URL(gateway);
  // Base64 takes any name, also one with a slash: https://github.com/prometheus/pushgateway#url
  target.pathname = `${target.pathname.replace(/\/$/, '')}/metrics/job/lifeboat/name@base64/${Buffer.from(name).toString('base64url') || '='}`;
  await sendHttp({
    ...options,
    method: 'PUT',
    url: target.href,
    body: text,
    headers: {
      'content-type': 'text/plain; version=0.0.4; charset=utf-8',
      ...(auth === undefined ? {} : { authorization: authorization(auth.reveal()) }),
    },
  });
}

function authorization(secret: string): string {
  return secret.includes(':') ? `Basic ${Buffer.from(secret).toString('base64')}` : `Bearer ${secret}`;
}
