// Facts for tests: a component with a row of daily backups, changed as a case needs it.
import type { ListedBackup } from '../../shared/catalog/list.ts';
import type { ListedRun } from '../../shared/catalog/runs.ts';
import type { Facts } from '../../shared/monitor/facts.ts';
import type { ComponentFacts } from '../../shared/monitor/component-facts.ts';
import { formatTimestamp } from '../../shared/step/timestamp.ts';

export const HOUR = 3_600_000;
export const DAY = 24 * HOUR;
/** 02:17 UTC, when the daily backup is due. */
export const DUE = Date.UTC(2024, 11, 1, 2, 17);
export const NOW = new Date(DUE + 2 * HOUR);
export const GIB = 2 ** 30;

/** A verified backup that began so many milliseconds before the last due time. */
export function backup(ago: number, changes: Partial<ListedBackup> = {}): ListedBackup {
  const time = new Date(DUE - ago);
  return {
    component: 'mongodb',
    timestamp: formatTimestamp(time),
    time,
    state: 'verified',
    dataBytes: GIB,
    kind: 'mongodb',
    created: new Date(time.getTime() + 600_000),
    plainBytes: 4 * GIB,
    storedBytes: GIB,
    durationMs: 600_000,
    consistency: 'point-in-time',
    verified: 'full',
    suspect: false,
    ...changes,
  };
}

/** A run's listing, so many milliseconds before the last due time. */
export function run(ago: number, changes: Partial<ListedRun> = {}): ListedRun {
  const timestamp = formatTimestamp(new Date(DUE - ago));
  return {
    name: `runs/${timestamp}-mongodb-backup.json`,
    timestamp,
    step: 'mongodb-backup',
    outcome: 'succeeded',
    component: 'mongodb',
    backup: timestamp,
    errorKind: undefined,
    badBackups: [],
    goodBackups: [],
    keylessBackups: [],
    ...changes,
  };
}

/** Daily backups, the last one at the last due time. */
export const DAILY: readonly ListedBackup[] = [5, 4, 3, 2, 1, 0].map((days) => backup(days * DAY));

export function component(changes: Partial<ComponentFacts> = {}): ComponentFacts {
  return {
    component: 'mongodb',
    kind: 'mongodb',
    store: 'primary',
    backups: DAILY,
    ahead: [],
    leftovers: [],
    runs: [],
    expected: true,
    schedule: '17 2 * * *',
    copies: [],
    keys: [],
    ...changes,
  };
}

export function facts(changes: Partial<ComponentFacts> = {}, space?: { total: number; free: number }): Facts {
  return {
    components: [component(changes)],
    stores: [{ name: 'primary', location: '/mnt/backups', kind: 'folder', usedBytes: 6 * GIB, space }],
  };
}
