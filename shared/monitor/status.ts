// The status document: the summary's keys on top, what they are made of below. `status --json` prints it, the store keeps it as status.json.
import { z } from 'zod';
import { nextRuns } from '../config/schedule.ts';
import { statusName } from '../backup/layout.ts';
import type { Store } from '../stores/store.ts';
import type { Facts } from './facts.ts';
import type { ComponentFacts } from './component-facts.ts';
import type { KeyFirstSeen } from './keys.ts';
import {
  failedRuns,
  failuresSinceSuccess,
  interruptedSinceSuccess,
  lastAttempt,
  lastGood,
  lastVerified,
  usualDuration,
  usualSize,
  waitingForCopy,
} from './figures.ts';
import type { StatusFinding } from './rules.ts';
import { dueAfter } from './schedule.ts';

export type Health = 'healthy' | 'warning' | 'critical';

/** Failures younger than this are recent. */
const RECENT_MS = 7 * 86_400_000;

/** One component's line. Times in ISO 8601, UTC; sizes in bytes; null where there is none. */
export interface ComponentStatus {
  component: string;
  kind: string | null;
  store: string;
  status: Health;
  /** The newest good backup: committed whole and not doubtful. */
  last_backup: string | null;
  last_verified: string | null;
  last_attempt: string | null;
  next_backup: string | null;
  expected_interval_seconds: number | null;
  /** From when on the next backup is missing: after its time and grace. */
  missing_from: string | null;
  /** What dr.yml's `objectives.rpo` allows. */
  rpo_seconds: number | null;
  /** Of the newest backup, the reading back included. */
  duration_seconds: number | null;
  /** Of the newest backup, before compression and as stored. */
  plain_bytes: number | null;
  stored_bytes: number | null;
  /** Average duration and median size (before compression) of up to ten backups before the newest; null with fewer than three. */
  usual_duration_seconds: number | null;
  usual_plain_bytes: number | null;
  /** The newest backup is suspect: empty, or much smaller than the one before. */
  doubtful: boolean;
  /** Data was found that is not what it should be. */
  verification_failed: boolean;
  backups: number;
  verified_backups: number;
  recent_failures: number;
  /** All failed attempts on record. */
  failures: number;
  /** Failed and interrupted attempts since the last good backup. */
  failures_since_success: number;
  /** Each store that is to hold copies: the newest one there, and how long the oldest backup has waited for its copy; 0 when none waits. */
  copies: { store: string; newest: string | null; lag_seconds: number }[];
  /** Long-lived keys that open the newest backup, and since when they are in use. */
  keys: { kind: string; id: string; since: string }[];
}

/** The document. The first six keys are what dashboards read. */
export interface StatusDocument {
  status: Health;
  /** The oldest of the components' last backups: what all of them together can be restored to. */
  last_backup: string | null;
  next_backup: string | null;
  /** Bytes of all backups. */
  storage_used: number;
  /** Bytes; null where the stores have no end or do not tell. */
  storage_free: number | null;
  /** Failed attempts of the last seven days. */
  recent_failures: number;
  formatVersion: 1;
  name: string;
  generated: string;
  findings: {
    rule: string;
    severity: string;
    component: string | null;
    store: string;
    message: string;
    since: string;
    next: string | null;
  }[];
  components: ComponentStatus[];
  /** `problem`: why nothing is known of a store for copies; its sizes are null then. */
  stores: {
    store: string;
    location: string;
    kind: string;
    used_bytes: number | null;
    free_bytes: number | null;
    total_bytes: number | null;
    problem: string | null;
  }[];
  /** Long-lived keys and since when they are in use. */
  keys: { id: string; since: string }[];
  /** When people were last told of these findings. */
  notified: string | null;
}

/** What a look remembers of the look before. */
export interface Memory {
  status: Health;
  findings: { rule: string; component: string | null; store: string; severity: string; since: Date }[];
  keys: KeyFirstSeen[];
  notified: Date | undefined;
}

const date = z.iso.datetime().transform((text) => new Date(text));
const memorySchema = z.object({
  formatVersion: z.literal(1),
  status: z.enum(['healthy', 'warning', 'critical']),
  findings: z.array(z.object({ rule: z.string(), component: z.string().nullable(), store: z.string(), severity: z.string(), since: date })),
  keys: z.array(z.object({ id: z.string(), since: date })),
  notified: date.nullable().transform((moment) => moment ?? undefined),
});

/** Reads the document that the last look left; undefined when there is none or it is not readable. @throws StoreError */
export async function readMemory(store: Store, prefix: string, signal?: AbortSignal): Promise<Memory | undefined> {
  const bytes = await store.read(statusName(prefix), { signal });
  try {
    return bytes && memorySchema.parse(JSON.parse(Buffer.from(bytes).toString()));
  } catch {
    return undefined;
  }
}

/** Writes the document as `status.json`, over the one before. @throws StoreError */
export async function writeStatus(store: Store, prefix: string, status: StatusDocument, signal?: AbortSignal): Promise<void> {
  const bytes = Buffer.from(`${JSON.stringify(status, null, 2)}\n`);
  await store.write(statusName(prefix), bytes, { contentType: 'application/json', signal });
}

/** How bad findings are together. */
export function healthOf(findings: readonly Pick<StatusFinding, 'severity'>[]): Health {
  if (findings.some(({ severity }) => severity === 'critical')) return 'critical';
  return findings.length > 0 ? 'warning' : 'healthy';
}

/** True when both are about the same thing: it has not begun anew. */
export function sameFinding(
  a: { rule: string; component?: string | null | undefined; store: string },
  b: { rule: string; component?: string | null | undefined; store: string },
): boolean {
  return a.rule === b.rule && (a.component ?? null) === (b.component ?? null) && a.store === b.store;
}

export interface StatusRequest {
  name: string;
  facts: Facts;
  findings: readonly StatusFinding[];
  now: Date;
  /** As the findings were judged with. */
  graceMs?: number | undefined;
  memory?: Memory | undefined;
  notified?: Date | undefined;
}

export function statusDocument({ name, facts, findings, now, graceMs, memory, notified }: StatusRequest): StatusDocument {
  const components = facts.components.map((component) => componentStatus(component, { findings, now, graceMs }));
  const free = facts.stores.flatMap(({ space }) => (space === undefined ? [] : [space.free]));
  return {
    status: healthOf(findings),
    last_backup:
      components.length === 0 || components.some((one) => one.last_backup === null)
        ? null
        : earliest(components.map((one) => one.last_backup)),
    next_backup: earliest(components.map((one) => one.next_backup)),
    storage_used: facts.stores.reduce((sum, { usedBytes }) => sum + usedBytes, 0),
    storage_free: free.length === 0 ? null : Math.min(...free),
    recent_failures: components.reduce((sum, one) => sum + one.recent_failures, 0),
    formatVersion: 1,
    name,
    generated: now.toISOString(),
    findings: findings.map((finding) => ({
      rule: finding.rule,
      severity: finding.severity,
      component: finding.component ?? null,
      store: finding.store,
      message: finding.message,
      since: (finding.since ?? memory?.findings.find((before) => sameFinding(before, finding))?.since ?? now).toISOString(),
      next: finding.next ?? null,
    })),
    components,
    stores: facts.stores.map((store) => ({
      store: store.name,
      location: store.location,
      kind: store.kind,
      used_bytes: store.problem === undefined ? store.usedBytes : null,
      free_bytes: store.space?.free ?? null,
      total_bytes: store.space?.total ?? null,
      problem: store.problem ?? null,
    })),
    keys: facts.components
      .flatMap(({ keys }) => keys)
      .filter(({ id }, index, all) => all.findIndex((other) => other.id === id) === index)
      .map(({ id, since }) => ({ id, since: since.toISOString() })),
    notified: notified?.toISOString() ?? null,
  };
}

function componentStatus(
  facts: ComponentFacts,
  { findings, now, graceMs }: Pick<StatusRequest, 'findings' | 'now' | 'graceMs'>,
): ComponentStatus {
  const { component, kind, store, backups, schedule } = facts;
  const own = findings.filter((finding) => finding.component === component && finding.store === store);
  const duration = usualDuration(facts);
  const good = lastGood(facts);
  const newest = backups.findLast(({ state }) => state !== 'damaged' && state !== 'keyless');
  return {
    component,
    kind: kind ?? null,
    store,
    status: healthOf(own),
    last_backup: iso(good?.time),
    last_verified: iso(lastVerified(facts)?.time),
    last_attempt: iso(lastAttempt(facts)),
    next_backup: schedule === undefined ? null : iso(nextRuns(schedule, now, 1)[0]),
    expected_interval_seconds: schedule === undefined ? null : dueAfter(schedule, now).intervalMs / 1000,
    missing_from: schedule === undefined || good === undefined ? null : iso(dueAfter(schedule, good.time, graceMs).missingFrom),
    rpo_seconds: facts.rpoMs === undefined ? null : facts.rpoMs / 1000,
    duration_seconds: newest?.durationMs === undefined ? null : newest.durationMs / 1000,
    plain_bytes: newest?.plainBytes ?? null,
    stored_bytes: newest?.dataBytes ?? null,
    usual_duration_seconds: duration === undefined ? null : duration.usual / 1000,
    usual_plain_bytes: usualSize(facts)?.usual ?? null,
    doubtful: own.some(({ rule }) => rule === 'doubtful'),
    verification_failed: own.some(({ rule }) => rule === 'verification'),
    backups: backups.length,
    verified_backups: backups.filter(({ state }) => state === 'verified').length,
    recent_failures: failedRuns(facts, new Date(now.getTime() - RECENT_MS)).length,
    failures: failedRuns(facts).length,
    failures_since_success: failuresSinceSuccess(facts).length + (interruptedSinceSuccess(facts, now) === undefined ? 0 : 1),
    copies: facts.copies.map((copy) => ({
      store: copy.store,
      newest: iso(copy.newest?.time),
      lag_seconds: Math.round((waitingForCopy(facts, copy, now)?.lagMs ?? 0) / 1000),
    })),
    keys: facts.keys.map(({ kind: keyKind, id, since }) => ({ kind: keyKind, id, since: since.toISOString() })),
  };
}

function iso(moment: Date | undefined): string | null {
  return moment?.toISOString() ?? null;
}

/** ISO 8601 in UTC sorts by time as plain text. */
function earliest(moments: readonly (string | null)[]): string | null {
  return moments.filter((moment) => moment !== null).sort()[0] ?? null;
}
