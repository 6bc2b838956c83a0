// What retention will do to one component's backups in one store, and why: the rules, and the guards above them.
import { formatTimestamp, type Timestamp } from '../step/timestamp.ts';
import { earlyDeletion } from './early-deletion.ts';
import { holdsAt, type Hold } from './hold.ts';
import type { BackupState, ListedBackup } from './list.ts';
import { newestAttempt, type Attempt } from './pick.ts';
import { applyRules, type RetentionRules } from './retention.ts';

/** What is known of one component in one store. */
export interface SectionFacts {
  component: string;
  /** The store's address. */
  store: string;
  prefix: string;
  backups: readonly ListedBackup[];
  /** From every store of the component: a hold in one of them holds everywhere. */
  holds: readonly Hold[];
  /** Runs that wanted to make a backup and failed. */
  failed: readonly Attempt[];
  /** Addresses of the stores that have copies of these backups, or of which these are copies, as records say. */
  sharedWith?: readonly string[];
  /** Why the backups are not this installation's, as a sentence: then nothing of them goes. */
  foreign?: string | undefined;
}

export interface PlannedBackup {
  timestamp: Timestamp;
  state: BackupState;
  /** Bytes of its data. */
  bytes: number;
  keep: boolean;
  /** Why it stays, or why it goes. */
  reasons: string[];
}

/** One component in one store. */
export interface PlanSection {
  component: string;
  store: string;
  prefix: string;
  rules: RetentionRules;
  /** The rules as people read them. */
  policy: string;
  /** Why nothing goes at all, as a sentence. */
  blocked?: string;
  /** Newest first. */
  backups: PlannedBackup[];
  /** Data without a manifest: not retention's business. */
  leftovers: number;
  /** Backups whose removal was interrupted earlier; it is finished. */
  unfinished: Timestamp[];
  /** Stores that may have the same backups: a key stays until all of them have lost the data. */
  sharedWith?: string[];
}

export interface RetentionPlan {
  formatVersion: 1;
  /** dr.yml's name. */
  name: string;
  /** ISO 8601. */
  created: string;
  sections: PlanSection[];
}

/**
 * Decides over one component in one store. Only verified backups count for the rules; others are judged as if they did, so that they
 * age away without ever pushing a verified one out.
 * @throws RangeError for rules that keep nothing
 */
export function planSection(facts: SectionFacts, { rules, policy }: { rules: RetentionRules; policy: string }, now: Date): PlanSection {
  const real = facts.backups.filter(({ state, whole }) => state !== 'leftover' && (state !== 'pruning' || whole));
  const verified = real.filter(({ state }) => state === 'verified');
  const past = (time: Date): boolean => time.getTime() <= now.getTime();
  const last = verified.reduce<ListedBackup | undefined>(
    (latest, next) => (past(next.time) && (latest === undefined || next.time > latest.time) ? next : latest),
    undefined,
  );
  const counted = new Map(applyRules(verified, rules, now).map(({ item, reasons }) => [item.timestamp, reasons]));
  const asIf = new Map(applyRules(real, rules, now).map(({ item, reasons }) => [item.timestamp, reasons]));
  const guards = guardsOf(facts, now);

  const backups = real
    .toSorted((a, b) => b.time.getTime() - a.time.getTime())
    .map((backup): PlannedBackup => {
      const { timestamp, state } = backup;
      const reasons = [...guards(backup)];
      if (state === 'verified') reasons.push(...(counted.get(timestamp) ?? []));
      else if (last === undefined) reasons.push('there is no verified backup');
      else if (backup.time > last.time) reasons.push('newer than the last verified backup');
      else reasons.push(...(asIf.get(timestamp) ?? []).map((reason) => `${reason}, not counted: ${STATE_TEXTS[state]}`));
      // Every rule keeps the newest one; this holds even should a rule ever not.
      if (backup === last && reasons.length === 0) reasons.push('the last verified backup');
      const keep = reasons.length > 0;
      const early = keep ? undefined : earlyDeletion(backup.tier, now);
      return {
        timestamp,
        state,
        bytes: backup.dataBytes,
        keep,
        reasons: keep ? reasons : [whyItGoes(state), ...(early === undefined ? [] : [early])],
      };
    });
  const section = {
    ...{ component: facts.component, store: facts.store, prefix: facts.prefix, rules, policy },
    backups,
    leftovers: facts.backups.filter(({ state }) => state === 'leftover').length,
    unfinished:
      facts.foreign !== undefined
        ? []
        : facts.backups.filter(({ state, whole }) => state === 'pruning' && !whole).map(({ timestamp }) => timestamp),
    ...(facts.sharedWith?.length ? { sharedWith: [...facts.sharedWith] } : {}),
  };
  // Where nothing is, such as a store for copies that never got one, nothing can be doubtful.
  const blocked = real.length === 0 ? undefined : (facts.foreign ?? doubt(facts, last, now));
  return blocked === undefined
    ? section
    : { ...section, blocked, backups: backups.map((backup) => stays(backup, facts.foreign === undefined)) };
}

/** What a state other than `verified` means, in the middle of a sentence. */
const STATE_TEXTS: Readonly<Record<BackupState, string>> = {
  verified: 'verified',
  committed: 'not fully read back',
  suspect: 'suspect',
  damaged: 'damaged',
  keyless: 'without a key',
  leftover: 'never completed',
  pruning: 'being removed',
};

function whyItGoes(state: BackupState): string {
  return state === 'verified' ? 'no rule keeps it' : `${STATE_TEXTS[state]}, and no rule would keep it`;
}

function stays(backup: PlannedBackup, own: boolean): PlannedBackup {
  const reason = own ? 'the newest attempt is not verified' : 'it belongs to another installation';
  return backup.keep ? backup : { ...backup, keep: true, reasons: [reason] };
}

/** Reasons to keep a backup that have nothing to do with rules. */
function guardsOf({ holds }: SectionFacts, now: Date): (backup: ListedBackup) => string[] {
  const held = new Map<string, string[]>();
  const seen = new Set<string>();
  for (const hold of holds) {
    // The same hold lies in every store of the component.
    const key = `${hold.timestamp}.${hold.id}`;
    if (!holdsAt(hold, now) || seen.has(key)) continue;
    seen.add(key);
    const until = hold.until === undefined ? '' : ` until ${hold.until.toISOString().slice(0, 10)}`;
    held.set(hold.timestamp, [...(held.get(hold.timestamp) ?? []), `held${until}: ${hold.reason}`]);
  }
  return ({ timestamp, locked }) => [...(held.get(timestamp) ?? []), ...(locked === undefined ? [] : [locked])];
}

/** The sentence that stops everything: after a failed or doubtful run the old backups may be all there is. */
function doubt({ component, backups, failed }: SectionFacts, last: ListedBackup | undefined, now: Date): string | undefined {
  const isPast = ({ timestamp }: { timestamp: string }): boolean => timestamp <= formatTimestamp(now);
  const newest = newestAttempt(backups.filter(isPast), failed.filter(isPast));
  if (newest === undefined) return undefined;
  if (last === undefined) return `There is no verified backup of ${component}: nothing is removed.`;
  if (newest.timestamp <= last.timestamp) return undefined;
  return `The newest attempt to back up ${component}, ${newest.timestamp}, ${newest.what}: nothing is removed before a later one is verified.`;
}

/** `<component> in <store>` */
export function sectionTitle({ component, store }: Pick<PlanSection, 'component' | 'store'>): string {
  return `${component} in ${store}`;
}

/** What a section removes, oldest first. */
export function removals(section: PlanSection): PlannedBackup[] {
  return section.backups.filter(({ keep }) => !keep).reverse();
}

/**
 * How the catalog differs from what a plan was made for; undefined when it may be carried out. What the plan itself has removed
 * already (an earlier run of it was interrupted) is no difference.
 * @param planned the section as it was planned
 * @param current the same section, planned now with the same rules
 */
export function planDifference(planned: PlanSection, current: PlanSection): string | undefined {
  const where = sectionTitle(planned);
  if (current.blocked !== undefined && removals(planned).length > 0) return current.blocked;
  const before = new Map(planned.backups.map((backup) => [backup.timestamp, backup]));
  const after = new Map(current.backups.map((backup) => [backup.timestamp, backup]));
  for (const backup of current.backups) {
    const then = before.get(backup.timestamp);
    if (!then) return `${where} has ${backup.timestamp}, which the plan does not know.`;
    if (then.state !== backup.state)
      return `${backup.timestamp} of ${where} is ${STATE_TEXTS[backup.state]}; in the plan it is ${STATE_TEXTS[then.state]}.`;
    if (then.bytes !== backup.bytes) return `${backup.timestamp} of ${where} has another size than in the plan.`;
    if (then.keep !== backup.keep) return `${backup.timestamp} of ${where} ${verdict(backup)} by now; in the plan it ${verdict(then)}.`;
  }
  const gone = planned.backups.find(({ timestamp, keep }) => keep && !after.has(timestamp));
  return gone && `${gone.timestamp} of ${where} is gone; the plan keeps it.`;
}

/**
 * A hold that ends between a plan and its execution is no reason to refuse the plan: its backup stays this once, because nothing may go that
 * was not shown, and the next run decides.
 */
export function withHoldsAsPlanned(planned: PlanSection, current: PlanSection): PlanSection {
  const before = new Map(planned.backups.map((backup) => [backup.timestamp, backup]));
  return {
    ...current,
    backups: current.backups.map((backup) => {
      const then = before.get(backup.timestamp);
      if (!then?.keep || backup.keep || !then.reasons.some((reason) => reason.startsWith('held'))) return backup;
      return { ...backup, keep: true, reasons: ['held when the plan was made; the hold has ended since, and the next run decides'] };
    }),
  };
}

function verdict({ keep, reasons }: PlannedBackup): string {
  return `${keep ? 'stays' : 'goes'} (${reasons.join('; ')})`;
}
