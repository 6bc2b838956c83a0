// What is wrong, judged from facts: pure functions of facts and time, one per rule.
import type { ListedBackup } from '../catalog/list.ts';
import type { ListedRun } from '../catalog/runs.ts';
import { formatBytes, formatSeconds, plural } from '../step/format.ts';
import { timestampToDate } from '../step/timestamp.ts';
import type { ComponentFacts, Facts, StoreFacts } from './facts.ts';
import { dueAfter } from './schedule.ts';

export type FindingSeverity = 'warning' | 'critical';

export type RuleName =
  | 'failure'
  | 'missing'
  | 'never-ran'
  | 'rpo'
  | 'verification'
  | 'doubtful'
  | 'duration'
  | 'size'
  | 'replication-lag'
  | 'key-age'
  | 'storage';

/** Something a person should look at. */
export interface Finding {
  rule: RuleName;
  severity: FindingSeverity;
  component?: string;
  /** The store's name. */
  store: string;
  /** One sentence. */
  message: string;
  /** Since when it is so, as far as the data tells. */
  since?: Date;
  /** A command line to run next, without the store's options. */
  next?: string;
}

/** From where on something is wrong. */
export interface Limits {
  /** Milliseconds after the time a backup was due; see `dueAfter` for the default. */
  graceMs?: number | undefined;
  /** Percent. */
  minFreePercent: number;
  /** Milliseconds. */
  maxReplicationLagMs: number;
  /** Milliseconds. */
  maxKeyAgeMs: number;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** The seeds' limits. */
export const DEFAULT_LIMITS: Limits = { minFreePercent: 20, maxReplicationLagMs: HOUR_MS, maxKeyAgeMs: 90 * DAY_MS };

/** Less room than this part of the limit is critical. */
const CRITICAL_SPACE = 0.25;
/** Backups before the newest one that make up the average; fewer than the minimum make none. */
const HISTORY = 10;
const HISTORY_MIN = 3;
/** Differences below these are noise, whatever the ratio. */
const DURATION_NOISE_MS = 60_000;
const SIZE_NOISE_BYTES = 1 << 20;
/** An attempt without a manifest is given up after so long; before that it may be at work. */
const AT_WORK_MS = 6 * HOUR_MS;

type ComponentRule = (facts: ComponentFacts, now: Date, limits: Limits) => Omit<Finding, 'rule' | 'component' | 'store'> | undefined;
type StoreRule = (facts: StoreFacts, limits: Limits) => Omit<Finding, 'rule' | 'store'> | undefined;

/** The newest backup that was read back and proved. */
export function lastVerified({ backups }: Pick<ComponentFacts, 'backups'>): ListedBackup | undefined {
  return backups.findLast(({ state }) => state === 'verified');
}

/** The newest backup that is there whole and not doubtful. */
export function lastGood({ backups }: Pick<ComponentFacts, 'backups'>): ListedBackup | undefined {
  return backups.findLast(({ state }) => state === 'verified' || state === 'committed');
}

/** The newest attempt at a backup: one that is there, one that a record tells of, or what an interrupted one left. */
export function lastAttempt({ backups, leftovers, runs }: Pick<ComponentFacts, 'backups' | 'leftovers' | 'runs'>): Date | undefined {
  const attempts = [
    backups.at(-1)?.time,
    leftovers.at(-1)?.time,
    backupRuns(runs)
      .map(({ timestamp }) => timestampToDate(timestamp))
      .at(-1),
  ];
  return attempts.reduce((newest, next) => (newest && (!next || newest > next) ? newest : next), undefined);
}

function backupRuns(runs: readonly ListedRun[]): ListedRun[] {
  return runs.filter(({ backup }) => backup !== undefined);
}

/** Failed attempts at a backup, since a moment where one is given. */
export function failedRuns({ runs }: Pick<ComponentFacts, 'runs'>, since?: Date): ListedRun[] {
  return backupRuns(runs).filter(
    ({ outcome, timestamp }) => outcome === 'failed' && (since === undefined || timestampToDate(timestamp) >= since),
  );
}

const retry = ({ component, kind }: ComponentFacts): { next?: string } =>
  kind === 'mongodb' ? { next: `lifeboat mongodb-backup --component ${component}` } : {};

const neverRan: ComponentRule = (facts) => {
  if (!facts.expected || facts.backups.length > 0) return undefined;
  const tried = lastAttempt(facts);
  const what = tried === undefined ? 'there was not even an attempt' : `the last attempt was at ${iso(tried)}`;
  return { severity: 'critical', message: `${facts.component} is in dr.yml but has no backup at all: ${what}.`, ...retry(facts) };
};

const missing: ComponentRule = (facts, now, { graceMs }) => {
  const last = lastGood(facts);
  if (facts.schedule === undefined || last === undefined) return undefined;
  const { due, missingFrom } = dueAfter(facts.schedule, last.time, graceMs);
  if (now <= missingFrom) return undefined;
  const late = formatSeconds((now.getTime() - due.getTime()) / 1000);
  return {
    severity: 'critical',
    message: `The backup of ${facts.component} that was due at ${iso(due)} is missing, ${late} late; the last good one is ${last.timestamp}.`,
    since: due,
    ...retry(facts),
  };
};

const rpo: ComponentRule = (facts, now) => {
  const last = lastVerified(facts);
  if (facts.rpoMs === undefined || last === undefined) return undefined;
  const age = now.getTime() - last.time.getTime();
  if (age <= facts.rpoMs) return undefined;
  const since = new Date(last.time.getTime() + facts.rpoMs);
  return {
    severity: 'critical',
    message: `The last verified backup of ${facts.component}, ${last.timestamp}, is ${formatSeconds(age / 1000)} old, more than the rpo of ${formatSeconds(facts.rpoMs / 1000)}.`,
    since,
    ...retry(facts),
  };
};

const failure: ComponentRule = (facts, now) => {
  const good = lastGood(facts)?.time;
  const failed = failedRuns(facts).filter(({ timestamp }) => good === undefined || timestampToDate(timestamp) > good);
  const [first] = failed;
  if (first !== undefined) {
    const count = failed.length === 1 ? 'The last backup' : `The last ${plural(failed.length, 'backup')}`;
    return {
      severity: 'critical',
      message: `${count} of ${facts.component} failed.`,
      since: timestampToDate(first.timestamp),
      ...retry(facts),
    };
  }
  // A run that was killed leaves no record (velero#7239).
  const interrupted = facts.leftovers.find(
    ({ time }) => (good === undefined || time > good) && now.getTime() - time.getTime() > AT_WORK_MS,
  );
  if (interrupted === undefined) return undefined;
  return {
    severity: 'critical',
    message: `The backup ${interrupted.timestamp} of ${facts.component} was never completed, and left no record: its run was killed.`,
    since: interrupted.time,
    ...retry(facts),
  };
};

const verification: ComponentRule = (facts) => {
  const validation = facts.runs.findLast(({ step }) => step === 'backup-validation');
  const bad = facts.backups.filter(
    ({ component, timestamp, state }) => state === 'damaged' || validation?.badBackups.includes(`${component}/${timestamp}`),
  );
  const [first] = bad;
  if (first !== undefined) {
    return {
      severity: 'critical',
      message: `${plural(bad.length, 'backup')} of ${facts.component} ${bad.length === 1 ? 'is' : 'are'} damaged: ${bad
        .slice(-3)
        .map(({ timestamp }) => timestamp)
        .join(', ')}${bad.length > 3 ? ' and others' : ''}.`,
      next: `lifeboat backup-validation --component ${facts.component} --timestamp ${first.timestamp}`,
    };
  }
  const last = new Map(facts.runs.filter(({ outcome }) => outcome === 'succeeded' || outcome === 'failed').map((run) => [run.step, run]));
  const failed = [...last.values()].find(({ errorKind, badBackups }) => errorKind === 'verification' && badBackups.length === 0);
  if (failed === undefined) return undefined;
  return {
    severity: 'critical',
    message: `The last ${failed.step} of ${facts.component} found that data is not what it should be.`,
    since: timestampToDate(failed.timestamp),
    next: `lifeboat backup-validation --component ${facts.component}`,
  };
};

const doubtful: ComponentRule = (facts) => {
  const newest = facts.backups.at(-1);
  if (newest?.state !== 'suspect') return undefined;
  return {
    severity: 'warning',
    message: `The newest backup of ${facts.component}, ${newest.timestamp}, is doubtful: empty, or much smaller than the one before.`,
    since: newest.time,
    next: `lifeboat backup-validation --component ${facts.component} --timestamp ${newest.timestamp}`,
  };
};

/** The newest backup's figure and those before it, oldest first. */
function figures(
  facts: ComponentFacts,
  of: (backup: ListedBackup) => number | undefined,
): { newest: number; before: number[]; time: Date } | undefined {
  const known: readonly { figure: number; time: Date }[] = facts.backups
    .filter(({ state }) => state !== 'damaged')
    .flatMap((backup) => {
      const figure = of(backup);
      return figure === undefined ? [] : [{ figure, time: backup.time }];
    });
  const newest = known.at(-1);
  const before = known.slice(-HISTORY - 1, -1).map(({ figure }) => figure);
  return newest === undefined || before.length < HISTORY_MIN ? undefined : { newest: newest.figure, before, time: newest.time };
}

const duration: ComponentRule = (facts) => {
  const known = figures(facts, ({ durationMs }) => durationMs);
  if (known === undefined) return undefined;
  const { newest, before, time } = known;
  const average = before.reduce((sum, each) => sum + each, 0) / before.length;
  if (newest <= 2 * average || newest - average < DURATION_NOISE_MS) return undefined;
  return {
    severity: 'warning',
    message: `The newest backup of ${facts.component} took ${formatSeconds(newest / 1000)}, more than twice the average of ${formatSeconds(average / 1000)}.`,
    since: time,
  };
};

const size: ComponentRule = (facts) => {
  const known = figures(facts, ({ plainBytes }) => plainBytes);
  if (known === undefined) return undefined;
  const { newest, before, time } = known;
  // The median: one odd size in the past must not hide or make another one.
  const usual = before.toSorted((a, b) => a - b)[before.length >> 1] as number;
  if ((newest <= 2 * usual && newest >= usual / 2) || Math.abs(newest - usual) < SIZE_NOISE_BYTES) return undefined;
  const how = newest > usual ? 'more than twice' : 'less than half of';
  return {
    severity: 'warning',
    message: `The newest backup of ${facts.component} is ${formatBytes(newest)}, ${how} the usual ${formatBytes(usual)}.`,
    since: time,
  };
};

const replicationLag: ComponentRule = (facts, now, { maxReplicationLagMs }) => {
  for (const { store, newest } of facts.copies) {
    const waiting = facts.backups.find(
      ({ state, timestamp }) => (state === 'verified' || state === 'committed') && (newest === undefined || timestamp > newest.timestamp),
    );
    const ready = waiting && (waiting.created ?? waiting.time);
    if (ready === undefined || now.getTime() - ready.getTime() <= maxReplicationLagMs) continue;
    return {
      severity: 'warning',
      message: `The backup ${waiting?.timestamp ?? ''} of ${facts.component} has no copy in ${store} after ${formatSeconds((now.getTime() - ready.getTime()) / 1000)}.`,
      since: ready,
    };
  }
  return undefined;
};

const keyAge: ComponentRule = (facts, now, { maxKeyAgeMs }) => {
  const old = facts.keys.filter(({ since }) => now.getTime() - since.getTime() > maxKeyAgeMs);
  const [key] = old;
  if (key === undefined) return undefined;
  const days = Math.floor((now.getTime() - key.since.getTime()) / DAY_MS);
  return {
    severity: 'warning',
    message: `The ${key.kind} recipient ${key.id} of ${facts.component} has been in use for ${plural(days, 'day')}, more than ${Math.round(maxKeyAgeMs / DAY_MS)}: change it, and keep the old one for the old backups.`,
    since: new Date(key.since.getTime() + maxKeyAgeMs),
  };
};

const COMPONENT_RULES: Partial<Record<RuleName, ComponentRule>> = {
  'never-ran': neverRan,
  failure,
  missing,
  rpo,
  verification,
  doubtful,
  duration,
  size,
  'replication-lag': replicationLag,
  'key-age': keyAge,
};

const storage: StoreRule = ({ name, space }, { minFreePercent }) => {
  if (space === undefined || space.total === 0) return undefined;
  const free = (space.free / space.total) * 100;
  if (free >= minFreePercent) return undefined;
  return {
    severity: free < minFreePercent * CRITICAL_SPACE ? 'critical' : 'warning',
    message: `The store ${name} has ${formatBytes(space.free)} of ${formatBytes(space.total)} left, ${free.toFixed(1)} %, less than ${minFreePercent} %.`,
  };
};

/** Everything that is wrong, the worst first. */
export function judge(facts: Facts, now: Date, limits: Limits = DEFAULT_LIMITS): Finding[] {
  const ofComponents = facts.components.flatMap((component) =>
    Object.entries(COMPONENT_RULES).flatMap(([rule, judgeRule]): Finding[] => {
      const found = judgeRule(component, now, limits);
      return found === undefined ? [] : [{ rule: rule as RuleName, component: component.component, store: component.store, ...found }];
    }),
  );
  const ofStores = facts.stores.flatMap((store): Finding[] => {
    const found = storage(store, limits);
    return found === undefined ? [] : [{ rule: 'storage', store: store.name, ...found }];
  });
  const all = [...nothing(facts), ...ofComponents, ...ofStores];
  return [...all.filter(({ severity }) => severity === 'critical'), ...all.filter(({ severity }) => severity === 'warning')];
}

/** A store that was never written to looks like one with the wrong name or prefix: either way nobody is protected. */
function nothing({ components, stores }: Facts): Finding[] {
  const [store] = stores;
  if (components.length > 0 || store === undefined) return [];
  return [{ rule: 'never-ran', severity: 'critical', store: store.name, message: `There is no backup of anything in ${store.location}.` }];
}

function iso(date: Date): string {
  return `${date.toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}
