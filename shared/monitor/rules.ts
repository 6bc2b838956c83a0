// What is wrong, judged from facts: pure functions of facts and time, one per rule.
import { KINDS } from '../kinds/registry.ts';
import type { ListedBackup } from '../catalog/list.ts';
import { formatBytes, formatSeconds, plural } from '../step/format.ts';
import { timestampToDate } from '../step/timestamp.ts';
import type { Facts, StoreFacts } from './facts.ts';
import type { ComponentFacts } from './component-facts.ts';
import {
  failuresSinceSuccess,
  badBackups,
  interruptedSinceSuccess,
  lastAttempt,
  lastGood,
  lastVerified,
  unsettledVerification,
  usualDuration,
  usualSize,
  waitingForCopy,
} from './figures.ts';
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
  | 'key-place'
  | 'unreachable'
  | 'storage';

/** Something a person should look at. */
export interface StatusFinding {
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

/** The limits when dr.yml names none. */
export const DEFAULT_LIMITS: Limits = { minFreePercent: 20, maxReplicationLagMs: HOUR_MS, maxKeyAgeMs: 90 * DAY_MS };

/** Less room than this part of the limit is critical. */
export const CRITICAL_SPACE = 0.25;
/** Differences below these are noise, whatever the ratio. */
export const DURATION_NOISE_MS = 60_000;
export const SIZE_NOISE_BYTES = 1 << 20;
/** So many times as long as usual is a finding; so many times as large, or as small, too. */
export const UNUSUAL = 2;

type ComponentRule = (facts: ComponentFacts, now: Date, limits: Limits) => Omit<StatusFinding, 'rule' | 'component' | 'store'> | undefined;
type StoreRule = (facts: StoreFacts, limits: Limits) => Omit<StatusFinding, 'rule' | 'store'> | undefined;

const retry = ({ component, kind }: ComponentFacts): { next?: string } => {
  const step = KINDS.find(kind)?.steps.backup.name;
  return step === undefined ? {} : { next: `lifeboat ${step} --component ${component}` };
};

const neverRan: ComponentRule = (facts) => {
  const { backups } = facts;
  if (!facts.expected || lastGood(facts) !== undefined) return undefined;
  if (backups.length > 0) {
    const all = backups.length === 1 ? 'the only one is' : `all ${backups.length} are`;
    return {
      severity: 'critical',
      message: `${facts.component} is in dr.yml but has no good backup: ${all} doubtful or damaged.`,
      ...retry(facts),
    };
  }
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
  // Where backups are never read back entirely (`verify: sample`), the last good one must do.
  const verified = lastVerified(facts);
  const last = verified ?? lastGood(facts);
  if (facts.rpoMs === undefined || last === undefined) return undefined;
  const age = now.getTime() - last.time.getTime();
  if (age <= facts.rpoMs) return undefined;
  const since = new Date(last.time.getTime() + facts.rpoMs);
  return {
    severity: 'critical',
    message: `The last ${verified ? 'verified' : 'good'} backup of ${facts.component}, ${last.timestamp}, is ${formatSeconds(age / 1000)} old, more than the rpo of ${formatSeconds(facts.rpoMs / 1000)}.`,
    since,
    ...retry(facts),
  };
};

const failure: ComponentRule = (facts, now) => {
  const failed = failuresSinceSuccess(facts);
  const [first] = failed;
  if (first !== undefined) {
    const count = failed.length === 1 ? 'The last backup' : `The last ${plural(failed.length, 'backup')}`;
    return {
      severity: 'critical',
      message: `${count} of ${facts.component} failed${facts.lastError === undefined ? '.' : `: ${sentence(facts.lastError)}`}`,
      since: timestampToDate(first.timestamp),
      ...retry(facts),
    };
  }
  const interrupted = interruptedSinceSuccess(facts, now);
  if (interrupted === undefined) return undefined;
  return {
    severity: 'critical',
    message: `The backup ${interrupted.timestamp} of ${facts.component} was never completed, and left no record: its run was killed.`,
    since: interrupted.time,
    ...retry(facts),
  };
};

const verification: ComponentRule = (facts) => {
  const bad = badBackups(facts);
  if (bad.length > 0) return { severity: 'critical', message: badText(facts, bad), ...retry(facts) };
  const copy = facts.copies.find((one) => one.bad.length > 0);
  if (copy !== undefined) {
    return {
      severity: 'critical',
      message: `${copy.bad.length === 1 ? 'A copy' : `${copy.bad.length} copies`} of ${facts.component} in ${copy.store} ${whatIsWrong(copy.bad)}.`,
      next: `lifeboat copy-backups --component ${facts.component} --days 0`,
    };
  }
  const failed = unsettledVerification(facts);
  if (failed === undefined) return undefined;
  return {
    severity: 'critical',
    message: `The last ${failed.step} of ${facts.component} found that data is not what it should be.`,
    since: timestampToDate(failed.timestamp),
    next: `lifeboat backup-validation --component ${facts.component}`,
  };
};

/** What is wrong with backups, and what is good instead: a copy of the last of them, or the last good one. */
function badText(facts: ComponentFacts, bad: readonly ListedBackup[]): string {
  const last = bad.at(-1) as ListedBackup;
  const copy = facts.copies.find(({ good = [] }) => good.includes(last.timestamp));
  const good = lastGood(facts);
  const instead = copy
    ? `${copy.store} has a good copy of ${last.timestamp}`
    : good
      ? `the last good one is ${good.timestamp}`
      : 'there is no good one: make a new backup now';
  return `${plural(bad.length, 'backup')} of ${facts.component} ${whatIsWrong(bad)}; ${instead}.`;
}

/** `is damaged: 20241201_120000`, `are damaged or without a key: …` */
function whatIsWrong(bad: readonly ListedBackup[]): string {
  const is = bad.length === 1 ? 'is' : 'are';
  const keyless = bad.filter(({ state }) => state === 'keyless').length;
  const what = keyless === 0 ? 'damaged' : keyless === bad.length ? 'without a key' : 'damaged or without a key';
  return `${is} ${what}: ${namesOf(bad)}`;
}

function namesOf(backups: readonly ListedBackup[]): string {
  const last = backups.slice(-3).map(({ timestamp }) => timestamp);
  return `${last.join(', ')}${backups.length > 3 ? ' and others' : ''}`;
}

const doubtful: ComponentRule = (facts) => {
  const newest = facts.backups.at(-1);
  const [ahead] = facts.ahead;
  if (newest?.state !== 'suspect' && ahead !== undefined) {
    return {
      severity: 'warning',
      message: `The backup ${ahead.timestamp} of ${facts.component} is dated in the future: the clock of the machine that made it was wrong. It counts for nothing until then.`,
    };
  }
  if (newest?.state !== 'suspect') return undefined;
  return {
    severity: 'warning',
    message: `The newest backup of ${facts.component}, ${newest.timestamp}, is doubtful: empty, or much smaller than the one before.`,
    since: newest.time,
    next: `lifeboat backup-validation --component ${facts.component} --timestamp ${newest.timestamp}`,
  };
};

const duration: ComponentRule = (facts) => {
  const known = usualDuration(facts);
  if (known === undefined) return undefined;
  const { newest, usual, time } = known;
  if (newest <= UNUSUAL * usual || newest - usual < DURATION_NOISE_MS) return undefined;
  return {
    severity: 'warning',
    message: `The newest backup of ${facts.component} took ${formatSeconds(newest / 1000)}, more than twice the average of ${formatSeconds(usual / 1000)}.`,
    since: time,
  };
};

const size: ComponentRule = (facts) => {
  const known = usualSize(facts);
  if (known === undefined) return undefined;
  const { newest, usual, time } = known;
  if ((newest <= UNUSUAL * usual && newest >= usual / UNUSUAL) || Math.abs(newest - usual) < SIZE_NOISE_BYTES) return undefined;
  const how = newest > usual ? 'more than twice' : 'less than half of';
  return {
    severity: 'warning',
    message: `The newest backup of ${facts.component} is ${formatBytes(newest)}, ${how} the usual ${formatBytes(usual)}.`,
    since: time,
  };
};

const replicationLag: ComponentRule = (facts, now, { maxReplicationLagMs }) => {
  const catchUp = { next: `lifeboat copy-backups --component ${facts.component}` };
  for (const copy of facts.copies) {
    const waiting = waitingForCopy(facts, copy, now);
    if (waiting === undefined || waiting.lagMs <= maxReplicationLagMs) continue;
    const { backup, since, lagMs } = waiting;
    const message =
      copy.newest === undefined
        ? `${copy.store} has not a single copy of ${facts.component}, although dr.yml names it under copies.`
        : `The backup ${backup.timestamp} of ${facts.component} has no copy in ${copy.store} after ${formatSeconds(lagMs / 1000)}.`;
    return { severity: 'warning', message, since, ...catchUp };
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

/** What a store for copies holds is not known: a lag or a damage there would stay hidden. */
const unreachable: StoreRule = ({ name, problem }) =>
  problem === undefined ? undefined : { severity: 'warning', message: `The store ${name} cannot be looked at: ${problem}` };

const STORE_RULES: Partial<Record<RuleName, StoreRule>> = { unreachable, storage };

/** Everything that is wrong, the worst first. */
export function judge(facts: Facts, now: Date, limits: Limits = DEFAULT_LIMITS): StatusFinding[] {
  const ofComponents = facts.components.flatMap((component) =>
    Object.entries(COMPONENT_RULES).flatMap(([rule, judgeRule]): StatusFinding[] => {
      const found = judgeRule(component, now, limits);
      return found === undefined ? [] : [{ rule: rule as RuleName, component: component.component, store: component.store, ...found }];
    }),
  );
  const ofStores = facts.stores.flatMap((store) =>
    Object.entries(STORE_RULES).flatMap(([rule, judgeRule]): StatusFinding[] => {
      const found = judgeRule(store, limits);
      return found === undefined ? [] : [{ rule: rule as RuleName, store: store.name, ...found }];
    }),
  );
  const all = [...nothing(facts), ...ofComponents, ...ofStores];
  return [...all.filter(({ severity }) => severity === 'critical'), ...all.filter(({ severity }) => severity === 'warning')];
}

/** A store that was never written to looks like one with the wrong name or prefix: either way nothing is protected. */
function nothing({ components, stores }: Facts): StatusFinding[] {
  const [store] = stores;
  if (components.length > 0 || store === undefined) return [];
  return [{ rule: 'never-ran', severity: 'critical', store: store.name, message: `There is no backup of anything in ${store.location}.` }];
}

/** What a run was told, as the end of a sentence: its first line, with one full stop. */
function sentence(error: string): string {
  const [first = ''] = error.split('\n');
  return /[.!?:]$/.test(first) ? first : `${first}.`;
}

function iso(date: Date): string {
  return `${date.toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}
