// The plan of a retention run, and where each of its sections is carried out: planned now, or read from a file.
import { readFile, writeFile } from 'node:fs/promises';
import { safetyComponent, safetyOf } from '../../backup/layout.ts';
import { gatherFacts, runReader, type SectionPlace } from '../../catalog/apply-retention.ts';
import { listBackups } from '../../catalog/list.ts';
import { planSection, type PlanSection, type RetentionPlan } from '../../catalog/retention-plan.ts';
import { planFromJson, planToJson } from '../../catalog/saved-plan.ts';
import type { DrConfig } from '../../config/dr-config.ts';
import { parsedRules, rulesText } from '../../config/retention.ts';
import { sessionOf } from '../../session/session.ts';
import { errorMessage, RefusedError, UsageError, withFix } from '../../step/errors.ts';
import { StoreError } from '../../stores/errors.ts';
import type { Context } from './inputs.ts';
import type { KeyRecipient } from '../../vaults/vault.ts';
import { begunPlaces, placesOf, type ComponentPlaces, type NamedPlace } from '../../session/component-places.ts';
import { openKeys } from '../../session/open.ts';
import { componentsOf, rulesFor } from './rules.ts';

/** A plan of a hundred thousand backups is 20 MiB. */
const MOST_PLAN_BYTES = 256 * 2 ** 20;

/** A section of the plan and where to carry it out. */
export interface Work {
  section: PlanSection;
  places: ComponentPlaces;
  place: NamedPlace;
}

/** What `catalog/apply-retention.ts` must know of where a section is carried out. */
export function sectionPlace(component: string, { places, place }: Pick<Work, 'places' | 'place'>): SectionPlace {
  return { component, place, others: places.all.filter(({ store }) => store.location !== place.store.location) };
}

/** What a run is to do. */
export interface PlannedRun {
  plan: RetentionPlan;
  work: Work[];
  /** Components that could not be planned, one sentence each: a store of theirs does not answer. Nothing of them goes. */
  problems: string[];
}

/** Plans now, or takes the saved plan that the call names. @throws UsageError, RefusedError; StoreError when no component can be planned */
export async function planWork(context: Context): Promise<PlannedRun> {
  const { name, plan: file, copies } = context.inputs;
  if (file !== undefined) {
    const plan = await readPlan(context, file, name);
    return { plan, work: await workOf(context, plan, copies), problems: [] };
  }
  const now = context.clock.now();
  const { work, problems } = await planAll(context, now);
  return { plan: { formatVersion: 1, name, created: now.toISOString(), sections: work.map(({ section }) => section) }, work, problems };
}

async function planAll(context: Context, now: Date): Promise<Pick<PlannedRun, 'work' | 'problems'>> {
  const dr = await sessionOf(context).dr();
  const plan = componentPlanner(context, { dr, now, recipients: await keysOf(context) });
  const work: Work[] = [];
  const failures = new Map<string, StoreError>();
  for (const component of componentsOf(context, dr)) {
    try {
      work.push(...(await plan(component)));
    } catch (thrown) {
      if (context.signal.aborted || !(thrown instanceof StoreError)) throw thrown;
      failures.set(component, thrown);
    }
  }
  const [first] = failures.values();
  if (work.length === 0 && first) throw first;
  const problems = [...failures].map(([component, failure]) => `Nothing of ${component} is removed: ${withFix(failure)}`);
  return { work, problems };
}

/** Keys can be forgotten, and another installation's backups told apart, only where a vault is given; without one the keys stay. */
export async function keysOf(context: Context): Promise<KeyRecipient[]> {
  const { vault, recipients } = context.inputs;
  return vault === undefined && recipients === undefined ? [] : openKeys(context);
}

/** Plans a component in each of its stores, and what restores replaced of it. @throws StoreError when one of the stores does not answer */
function componentPlanner(
  context: Context,
  { dr, now, recipients }: { dr: DrConfig | undefined; now: Date; recipients: readonly KeyRecipient[] },
): (component: string) => Promise<Work[]> {
  const { store, copies } = context.inputs;
  const { signal } = context;
  const readRuns = runReader();
  const plan = async (component: string, places: ComponentPlaces): Promise<Work[]> => {
    const work: Work[] = [];
    for (const place of places.chosen) {
      const written = rulesFor(context, dr, component, place.name);
      const facts = await gatherFacts({ ...sectionPlace(component, { places, place }), recipients }, readRuns, signal);
      work.push({ section: planSection(facts, { rules: parsedRules(written), policy: rulesText(written) }, now), places, place });
    }
    return work;
  };
  return async (component) => {
    const places = await begunPlaces(await placesOf(context, component, store, copies), { recipients, signal });
    const work = await plan(component, places);
    // What restores replaced ages by the same rules, once its hold has ended.
    const safety = safetyOf(component) === undefined ? safetyComponent(component) : undefined;
    const [first] = places.chosen;
    if (safety && first && (await listBackups(first.store, first.prefix, { component: safety, signal })).length > 0)
      work.push(...(await plan(safety, { ...places, component: safety })));
    return work;
  };
}

async function readPlan({ host }: Context, file: string, name: string): Promise<RetentionPlan> {
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch (cause) {
    throw new UsageError(`The plan ${file} cannot be read: ${errorMessage(cause)}`, {
      fix: `Check the path; ${host.spell('savePlan')} of an earlier run wrote it.`,
      cause,
    });
  }
  if (bytes.length > MOST_PLAN_BYTES)
    throw new UsageError(`${file} is too large for a plan.`, { fix: `Give the file that ${host.spell('savePlan')} wrote.` });
  const plan = planFromJson(bytes.toString(), file);
  if (plan.name === name) return plan;
  throw new RefusedError(`The plan ${file} is for ${plan.name}, but ${host.spell('name')} is ${name}. No data was touched.`, {
    fix: `Make a plan for ${name}, or go to the folder of the dr.yml of ${plan.name}.`,
  });
}

/** The stores of a saved plan, opened again. @throws RefusedError when one of them is not there any more */
async function workOf(context: Context, { sections }: RetentionPlan, copies: readonly string[] | undefined): Promise<Work[]> {
  const recipients = await keysOf(context);
  return Promise.all(
    sections.map(async (section) => {
      const known = await placesOf(context, section.component, undefined, copies).catch((thrown: unknown) => {
        if (thrown instanceof UsageError) return undefined;
        throw thrown;
      });
      const named = known?.all.some(({ store }) => store.location === section.store)
        ? known
        : await placesOf(context, section.component, section.store, copies);
      const places = await begunPlaces(named, { recipients, signal: context.signal });
      const place = places.all.find(({ store, prefix }) => store.location === section.store && prefix === section.prefix);
      if (place) return { section, places, place };
      throw new RefusedError(`The plan removes backups of ${section.component} from ${section.store}, which is not where they are now.`, {
        fix: 'Make a new plan and look at it.',
      });
    }),
  );
}

/** Writes the plan for a person to look at, and for a later run. @throws UsageError when the file cannot be written */
export async function savePlan({ host }: Context, plan: RetentionPlan, file: string): Promise<void> {
  try {
    await writeFile(file, planToJson(plan));
  } catch (cause) {
    throw new UsageError(`The plan cannot be written to ${file}: ${errorMessage(cause)}`, {
      fix: `Set ${host.spell('savePlan')} to a file in a folder that exists.`,
      cause,
    });
  }
  host.info(`The plan is in ${file}.`);
}
