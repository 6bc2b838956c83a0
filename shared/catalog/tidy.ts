// Records that nothing needs any more: recovery points of which no backup is left anywhere, and old run records. The audit log and the proofs
// of drills stay for ever.
import { copyRecords, placeKey } from '../backup/copy-record.ts';
import type { Place } from '../backup/place.ts';
import { VerificationError } from '../step/errors.ts';
import { timestampToDate, type Timestamp } from '../step/timestamp.ts';
import { listBackups } from './list.ts';
import { listPoints, readPoint } from './points.ts';
import { listRuns } from './runs.ts';

const DAY_MS = 86_400_000;
/** A year, and time to look back at it. */
export const RUN_RECORD_DAYS = 400;

export interface TidyRequest {
  /** The stores that the run works in: nothing goes from others. */
  places: readonly Place[];
  /** Further stores that may have parts of a point. */
  others: readonly Place[];
  /** Backups that are about to go, as `leavingKey` says it: a point of nothing else goes with them. */
  leaving?: ReadonlySet<string>;
  now: Date;
  signal?: AbortSignal | undefined;
}

/** Objects that may go. */
export interface TidyPlan {
  points: { place: Place; name: string }[];
  runs: { place: Place; name: string }[];
}

/** Tells one backup in one store. */
export function leavingKey(store: string, component: string, timestamp: string): string {
  return `${component}/${timestamp} ${store}`;
}

/** Looks for records that may go. @throws StoreError */
export async function planTidy(request: TidyRequest): Promise<TidyPlan> {
  const { places, signal } = request;
  const plan: TidyPlan = { points: [], runs: [] };
  const present = await timestampsLeft(request);
  for (const place of places) {
    for (const { timestamp, name } of await listPoints(place.store, place.prefix, signal)) {
      // One that is younger may still be in the making.
      if (present.has(timestamp) || isYoung(timestamp, request.now, 1)) continue;
      if (await nothingElsewhere(request, place, timestamp)) plan.points.push({ place, name });
    }
    plan.runs.push(...(await oldRuns(place, request)).map((name) => ({ place, name })));
  }
  return plan;
}

/** Removes what a plan names. @throws StoreError */
export async function applyTidy({ points, runs }: TidyPlan, signal?: AbortSignal): Promise<void> {
  for (const { place, name } of [...points, ...runs]) await place.store.delete(name, signal);
}

/** Moments of which any store still has anything: backups, leftovers, what is half removed. */
async function timestampsLeft({ places, others, leaving, signal }: TidyRequest): Promise<Set<Timestamp>> {
  const listed = await Promise.all(
    [...places, ...others].map(async ({ store, prefix }) => {
      const backups = await listBackups(store, prefix, { signal });
      return backups.filter(({ component, timestamp }) => !leaving?.has(leavingKey(store.location, component, timestamp)));
    }),
  );
  return new Set(listed.flat().map(({ timestamp }) => timestamp));
}

/** True when no store that was not looked at can have a part of the point. One that cannot be read stays. */
async function nothingElsewhere({ places, others, signal }: TidyRequest, place: Place, timestamp: Timestamp): Promise<boolean> {
  const known = [...places, ...others];
  const locations = new Set(known.map(({ store }) => store.location));
  const keys = new Set(known.map(({ store, prefix }) => placeKey({ store: store.location, prefix })));
  try {
    const point = await readPoint(place.store, place.prefix, timestamp, signal);
    for (const { component, store } of point?.components ?? []) {
      if (store !== undefined && !locations.has(store)) return false;
      const records = await copyRecords(place, component, signal);
      if (records.some(({ store: other, prefix }) => other === undefined || !keys.has(placeKey({ store: other, prefix })))) return false;
    }
    return true;
  } catch (thrown) {
    if (thrown instanceof VerificationError) return false;
    throw thrown;
  }
}

/** Old records, except the last one of each sort: what retention and status go by. */
async function oldRuns({ store, prefix }: Place, { now, signal }: TidyRequest): Promise<string[]> {
  const runs = await listRuns(store, prefix, signal);
  const sortOf = ({ step, component, outcome }: (typeof runs)[number]): string => JSON.stringify([step, component, outcome]);
  const last = new Map(runs.map((run) => [sortOf(run), run.name]));
  return runs.filter((run) => !isYoung(run.timestamp, now, RUN_RECORD_DAYS) && last.get(sortOf(run)) !== run.name).map(({ name }) => name);
}

function isYoung(timestamp: Timestamp, now: Date, days: number): boolean {
  return now.getTime() - timestampToDate(timestamp).getTime() < days * DAY_MS;
}
