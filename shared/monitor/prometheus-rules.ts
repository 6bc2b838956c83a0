// Alert rules for Prometheus over the metrics of `status`: the same limits as the step's own rules, judged by Prometheus at all times.
import { stringify } from 'yaml';
import { CRITICAL_SPACE, DEFAULT_LIMITS, DURATION_NOISE_MS, SIZE_NOISE_BYTES, UNUSUAL, type FindingSeverity } from './rules.ts';

/** One alert. */
interface AlertRule {
  alert: string;
  expr: string;
  /** How long it must hold; absent: at once. */
  for?: string;
  labels: { severity: FindingSeverity };
  annotations: { summary: string; description: string; runbook_url?: string };
}

/** What a rule file for Prometheus holds. */
export interface RuleFile {
  groups: { name: string; rules: AlertRule[] }[];
}

/** The custom resource of the Prometheus Operator: the same groups under `spec`. */
export interface PrometheusRule {
  apiVersion: 'monitoring.coreos.com/v1';
  kind: 'PrometheusRule';
  metadata: { name: string; namespace?: string; labels: Record<string, string> };
  spec: RuleFile;
}

export interface RuleOptions {
  /** Where the operations page is published. */
  runbook?: string | undefined;
  /** Only metrics of this name (dr.yml's); all when absent. */
  name?: string | undefined;
}

const ONE = '{{ $labels.component }} of {{ $labels.name }}';
const THERE = `${ONE} in {{ $labels.store }}`;
const { minFreePercent, maxReplicationLagMs, maxKeyAgeMs } = DEFAULT_LIMITS;
/** The watchdog runs every hour or so; after so long it does not run at all. */
const STALE_SECONDS = 3 * 3600;

const seconds = (ms: number): number => ms / 1000;

/** The rules. Every alert has the labels `name`, and `component` and `store` where it is about one. */
export function ruleFile({ runbook, name }: RuleOptions = {}): RuleFile {
  const selector = name === undefined ? '' : `{name=${JSON.stringify(name)}}`;
  const metric = (text: string): string => text.replaceAll(/\bbackup_[a-z_]+/g, (found) => `${found}${selector}`);
  const rule = (
    alert: string,
    severity: FindingSeverity,
    expr: string,
    summary: string,
    description: string,
    wait?: string,
  ): AlertRule => ({
    alert,
    expr: metric(expr),
    ...(wait === undefined ? {} : { for: wait }),
    labels: { severity },
    annotations: { summary, description, ...(runbook === undefined ? {} : { runbook_url: runbook }) },
  });
  return {
    groups: [
      { name: 'lifeboat-backups', rules: backupRules(rule) },
      { name: 'lifeboat-stores', rules: storeRules(rule) },
      { name: 'lifeboat-watchdog', rules: watchdogRules(rule) },
    ],
  };
}

type MakeRule = (alert: string, severity: FindingSeverity, expr: string, summary: string, description: string, wait?: string) => AlertRule;

function backupRules(rule: MakeRule): AlertRule[] {
  const again = 'Run next: lifeboat backup-all';
  const validate = 'Run next: lifeboat backup-validation --component {{ $labels.component }}';
  return [
    rule(
      'BackupFailed',
      'critical',
      'backup_failures_since_success > 0',
      `The last backup of ${ONE} failed`,
      `{{ $value }} attempts since the last good backup of ${THERE} failed or were never completed. ${again}`,
    ),
    rule(
      'BackupMissing',
      'critical',
      'time() - backup_missing_from_timestamp > 0',
      `The backup of ${ONE} is missing`,
      `The time and grace of the backup of ${THERE} ended {{ $value | humanizeDuration }} ago, and there is no good one. ${again}`,
    ),
    rule(
      'BackupNeverRan',
      'critical',
      'backup_last_success_timestamp == 0',
      `There is no backup of ${ONE}`,
      `${THERE} has no good backup at all. ${again}`,
    ),
    rule(
      'BackupObjectiveMissed',
      'critical',
      // Where none was ever verified, the last good one must do; where there is none, BackupNeverRan fires.
      'time() - (backup_last_verified_timestamp > 0 or backup_last_success_timestamp > 0) > backup_rpo_seconds',
      `The last backup of ${ONE} is older than its objective`,
      `The last verified backup of ${THERE} is {{ $value | humanizeDuration }} old, more than objectives.rpo allows. ${again}`,
    ),
    rule(
      'BackupVerificationFailed',
      'critical',
      'backup_verification_failed == 1',
      `Data of ${ONE} failed verification`,
      `A backup of ${THERE} is damaged, or the last validation, restore or comparison found data that is not what it should be. ${validate}`,
    ),
    rule(
      'BackupDoubtful',
      'warning',
      'backup_doubtful == 1',
      `The newest backup of ${ONE} is doubtful`,
      `The newest backup of ${THERE} is empty, or much smaller than the one before; or one is dated in the future. ${validate}`,
    ),
    rule(
      'BackupSlow',
      'warning',
      `backup_duration_seconds > ${UNUSUAL} * backup_usual_duration_seconds` +
        ` and backup_duration_seconds - backup_usual_duration_seconds >= ${seconds(DURATION_NOISE_MS)}`,
      `The newest backup of ${ONE} took unusually long`,
      `The newest backup of ${THERE} took {{ $value | humanizeDuration }}, more than twice the average of those before.`,
    ),
    rule(
      'BackupSizeUnusual',
      'warning',
      `(backup_plain_size_bytes > ${UNUSUAL} * backup_usual_plain_size_bytes or backup_plain_size_bytes < backup_usual_plain_size_bytes / ${UNUSUAL})` +
        ` and abs(backup_plain_size_bytes - backup_usual_plain_size_bytes) >= ${SIZE_NOISE_BYTES}`,
      `The newest backup of ${ONE} has an unusual size`,
      `The newest backup of ${THERE} is {{ $value | humanize1024 }}B before compression, more than twice or less than half of what is usual. ${validate}`,
    ),
    rule(
      'BackupCopyLate',
      'warning',
      `backup_replication_lag_seconds > ${seconds(maxReplicationLagMs)}`,
      `A copy of ${ONE} is late`,
      `A backup of ${ONE} has had no copy in {{ $labels.store }} for {{ $value | humanizeDuration }}. Run next: lifeboat copy-backups --component {{ $labels.component }}`,
    ),
    rule(
      'BackupKeyOld',
      'warning',
      `time() - backup_key_since_timestamp > ${seconds(maxKeyAgeMs)}`,
      `A key of ${ONE} is old`,
      `The {{ $labels.kind }} {{ $labels.key }} of ${THERE} has been in use for {{ $value | humanizeDuration }}. Change it, and keep the old one for the old backups.`,
    ),
  ];
}

function storeRules(rule: MakeRule): AlertRule[] {
  const limit = 100 - minFreePercent;
  const critical = 100 - minFreePercent * CRITICAL_SPACE;
  const description = 'The file system of the store {{ $labels.store }} of {{ $labels.name }} is {{ $value | printf "%.1f" }} % full.';
  return [
    rule(
      'BackupStoreUnreachable',
      'warning',
      'backup_store_reachable == 0',
      `The store {{ $labels.store }} does not answer`,
      `Nothing is known of the copies in {{ $labels.store }} of {{ $labels.name }}. Run next: lifeboat doctor --only store-access`,
    ),
    rule(
      'BackupStorageLow',
      'warning',
      `backup_storage_used_percent > ${limit} and backup_storage_used_percent <= ${critical}`,
      `The store {{ $labels.store }} has less than ${minFreePercent} % free`,
      `${description} Run next: lifeboat apply-retention --dry-run`,
    ),
    rule(
      'BackupStorageVeryLow',
      'critical',
      `backup_storage_used_percent > ${critical}`,
      `The store {{ $labels.store }} has less than ${minFreePercent * CRITICAL_SPACE} % free`,
      `${description} Run next: lifeboat apply-retention --dry-run`,
    ),
  ];
}

function watchdogRules(rule: MakeRule): AlertRule[] {
  const next = 'No one is watching the backups. Look at the schedule of "lifeboat status", which writes these metrics.';
  return [
    rule(
      'BackupStatusStale',
      'critical',
      `time() - backup_status_timestamp > ${STALE_SECONDS}`,
      'The status of {{ $labels.name }} is old',
      `It was worked out {{ $value | humanizeDuration }} ago. ${next}`,
    ),
    rule('BackupStatusAbsent', 'critical', 'absent(backup_status_timestamp)', 'There is no status of any backup', next, '1h'),
  ];
}

export interface ResourceOptions {
  /** The resource's name. */
  name: string;
  namespace?: string | undefined;
  /** The operator picks rules by these: `release: prometheus` and the like. */
  labels: Record<string, string>;
}

/** The rule file as the Prometheus Operator's custom resource. */
export function prometheusRule(file: RuleFile, { name, namespace, labels }: ResourceOptions): PrometheusRule {
  return {
    apiVersion: 'monitoring.coreos.com/v1',
    kind: 'PrometheusRule',
    metadata: { name, ...(namespace === undefined ? {} : { namespace }), labels: { 'app.kubernetes.io/name': 'lifeboat', ...labels } },
    spec: file,
  };
}

/** The text of the file; every expression and sentence in one line. */
export function yamlText(document: RuleFile | PrometheusRule): string {
  return `# Written by "lifeboat prometheus-rules". Do not edit: write it anew.\n${stringify(document, { lineWidth: 0 })}`;
}
