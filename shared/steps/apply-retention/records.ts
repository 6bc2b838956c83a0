// The records that go with retention: recovery points of which nothing is left, and old run records. Found for the plan, found again and
// removed once the backups are gone. They are no backups: what goes wrong with them is a warning.
import { applyTidy, leavingKey, planTidy, RUN_RECORD_DAYS, type TidyPlan } from '../../catalog/tidy.ts';
import { removals, type PlanSection } from '../../catalog/retention-plan.ts';
import { errorMessage } from '../../step/errors.ts';
import { plural } from '../../step/format.ts';
import type { Context } from './inputs.ts';
import type { NamedPlace } from '../../session/component-places.ts';

/** The part of a retention run that records need. */
export interface SectionOfPlaces {
  section: PlanSection;
  /** Where the section is carried out. */
  place: NamedPlace;
  places: { all: readonly NamedPlace[] };
}

const NONE: TidyPlan = { points: [], runs: [] };

/** What would go once the plan is carried out. */
export async function recordsToGo(context: Context, work: readonly SectionOfPlaces[]): Promise<TidyPlan> {
  const leaving = work.flatMap(({ section }) =>
    [...removals(section).map(({ timestamp }) => timestamp), ...section.unfinished].map((timestamp) =>
      leavingKey(section.store, section.component, timestamp),
    ),
  );
  return look(context, work, new Set(leaving));
}

/** Removes what is due to go now. @returns what went */
export async function removeRecords(context: Context, work: readonly SectionOfPlaces[]): Promise<TidyPlan> {
  const plan = await look(context, work);
  try {
    await applyTidy(plan, context.signal);
    return plan;
  } catch (thrown) {
    return failed(context, thrown);
  }
}

async function look(context: Context, work: readonly SectionOfPlaces[], leaving?: ReadonlySet<string>): Promise<TidyPlan> {
  const places = new Map(work.map(({ place }) => [place.store.location, place]));
  const others = new Map(work.flatMap(({ places: { all } }) => all).map((place) => [place.store.location, place]));
  for (const location of places.keys()) others.delete(location);
  try {
    return await planTidy({
      places: [...places.values()],
      others: [...others.values()],
      ...(leaving ? { leaving } : {}),
      now: context.clock.now(),
      signal: context.signal,
    });
  } catch (thrown) {
    return failed(context, thrown);
  }
}

function failed({ host, signal }: Context, thrown: unknown): TidyPlan {
  if (signal.aborted) throw thrown;
  host.warning(`Old records stay until the next run: ${errorMessage(thrown)}`);
  return NONE;
}

/** `3 recovery points of which nothing is left, 120 run records older than 400 days`; undefined when there is nothing. */
export function recordsText({ points, runs }: TidyPlan): string | undefined {
  const parts = [
    ...(points.length === 0 ? [] : [`${plural(points.length, 'recovery point')} of which nothing is left`]),
    ...(runs.length === 0 ? [] : [`${plural(runs.length, 'run record')} older than ${RUN_RECORD_DAYS} days`]),
  ];
  return parts.length === 0 ? undefined : parts.join(', ');
}
