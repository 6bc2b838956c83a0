// What `apply-retention` does: rules → plan → guards → confirmation or saved plan → prune → report.
import { readFile, writeFile } from 'node:fs/promises';
import { safetyComponent, safetyOf } from '../../backup/layout.ts';
import { applySection, gatherFacts } from '../../catalog/apply-retention.ts';
import { listBackups } from '../../catalog/list.ts';
import type { PruneOutcome } from '../../catalog/prune.ts';
import { planSection, removals, type PlanSection, type RetentionPlan } from '../../catalog/retention-plan.ts';
import { planFromJson, planToJson } from '../../catalog/saved-plan.ts';
import type { TidyPlan } from '../../catalog/tidy.ts';
import { parsedRules, presetRules, retentionRules, rulesText, type WrittenRules } from '../../config/retention.ts';
import type { DestructionPlan, StepContext, StepReturn } from '../../step/define.ts';
import { errorMessage, RefusedError, UsageError, UserError, withFix } from '../../step/errors.ts';
import { formatBytes, plural } from '../../step/format.ts';
import { LockedError } from '../../stores/errors.ts';
import type { KeyRecipient } from '../../vaults/vault.ts';
import { PlaceOpener, type ComponentPlaces, type NamedPlace } from './component-places.ts';
import { openKeys } from './open.ts';
import { lockOwner, recorded } from './record.ts';
import { recordsText, recordsToGo, removeRecords } from './retention-records.ts';
import { retentionSummary, sectionTitle } from './retention-summary.ts';

const STEP = 'apply-retention';
/** Removals that the plan on the terminal names one by one, per component and store. */
const NAMED_LOSSES = 20;
/** A plan of a hundred thousand backups is 20 MiB. */
const MOST_PLAN_BYTES = 256 * 2 ** 20;

interface Inputs {
  component: string | undefined;
  name: string;
  store: string | undefined;
  copies: string[] | undefined;
  vault: string | undefined;
  recipients: string[] | undefined;
  preset: string | undefined;
  plan: string | undefined;
  savePlan: string | undefined;
  dryRun: boolean;
}

/** A section of the plan and where to carry it out. */
interface Work {
  section: PlanSection;
  places: ComponentPlaces;
  place: NamedPlace;
}

export async function runApplyRetention(context: StepContext): Promise<StepReturn> {
  const inputs = context.inputs as unknown as Inputs;
  const opener = await PlaceOpener.open(context);
  const home = async (): Promise<NamedPlace> => {
    if (inputs.store !== undefined) return opener.at(inputs.store);
    return (await opener.of((await components(context, opener))[0] as string, undefined)).chosen[0] as NamedPlace;
  };
  return recorded(context, home, { step: STEP, component: inputs.component, effects: 'destroys' }, async () => {
    const now = context.clock.now();
    const saved = inputs.plan === undefined ? undefined : await readPlan(context, inputs.plan, inputs.name);
    const work = saved ? await workOf(saved, opener, inputs.copies) : await planAll(context, opener, now);
    const plan: RetentionPlan = saved ?? {
      formatVersion: 1,
      name: inputs.name,
      created: now.toISOString(),
      sections: work.map(({ section }) => section),
    };
    if (inputs.savePlan !== undefined) {
      await writeFile(inputs.savePlan, planToJson(plan));
      context.host.info(`The plan is in ${inputs.savePlan}.`);
    }
    const records = await recordsToGo(context, work);
    const carried = (await confirmed(context, plan, saved !== undefined, records)) ? await carryOut(context, opener, work) : undefined;
    return finish(context, work, carried, inputs.dryRun ? records : await removeRecords(context, work));
  });
}

/** The components that the run is about. */
async function components(context: StepContext, { dr }: PlaceOpener): Promise<string[]> {
  const { component } = context.inputs as unknown as Inputs;
  if (component !== undefined) return [component];
  const { host } = context;
  if (dr === undefined) {
    throw new UsageError(`${host.spell('component')} is missing: without dr.yml it must say whose backups these rules are for.`, {
      fix: `Set ${host.spell('component')} to a name that list-backups shows, such as mongodb.`,
    });
  }
  const names = dr.componentNames().filter((name) => inputRules(context) !== undefined || dr.component(name).retention !== undefined);
  if (names.length > 0) return names;
  throw new UsageError(`No component of ${dr.label} has retention rules.`, {
    fix: `Add retention: { preset: 7-4-6 } to a component, or give rules, such as ${host.spell('keepDaily')}.`,
  });
}

/** The rules that inputs give; undefined when they give none. */
function inputRules({ inputs }: StepContext): WrittenRules | undefined {
  const { preset } = inputs as unknown as Inputs;
  if (preset !== undefined) {
    try {
      return presetRules(preset);
    } catch (thrown) {
      throw new UsageError(`The preset is ${JSON.stringify(preset)}: ${errorMessage(thrown)}.`, {
        fix: 'Write daily-weekly-monthly, such as 7-4-6, or days, such as 14d.',
      });
    }
  }
  const given = Object.entries(inputs as Record<string, unknown>).filter(
    ([name, value]) => name.startsWith('keep') && typeof value === 'string',
  );
  if (given.length === 0) return undefined;
  return Object.fromEntries(
    given.map(([name, text]) => {
      const rule = name.charAt(4).toLowerCase() + name.slice(5);
      return [rule, rule.startsWith('within') || text === 'unlimited' ? text : Number(text)];
    }),
  );
}

function rulesFor(context: StepContext, { dr }: PlaceOpener, component: string, store: string | undefined): WrittenRules {
  const given = inputRules(context);
  if (given) return given;
  const name = dr?.componentNames().includes(component) ? component : (safetyOf(component) ?? component);
  const retention = dr?.componentNames().includes(name) ? dr.component(name).retention : undefined;
  if (retention) return retentionRules(retention, store);
  throw new UsageError(`There are no retention rules for ${component}.`, {
    fix: `Add retention to the component in dr.yml, or give rules, such as ${context.host.spell('keepDaily')}.`,
  });
}

async function planAll(context: StepContext, opener: PlaceOpener, now: Date): Promise<Work[]> {
  const { store, copies } = context.inputs as unknown as Inputs;
  const { signal } = context;
  const work: Work[] = [];
  const plan = async (component: string, places: ComponentPlaces): Promise<void> => {
    for (const place of places.chosen) {
      const written = rulesFor(context, opener, component, place.name);
      const facts = await gatherFacts({ component, place, others: othersOf(places, place) }, signal);
      work.push({ section: planSection(facts, { rules: parsedRules(written), policy: rulesText(written) }, now), places, place });
    }
  };
  for (const component of await components(context, opener)) {
    const places = await opener.of(component, store, copies);
    await plan(component, places);
    const safety = safetyComponent(component);
    const [first] = places.chosen;
    // What restores replaced ages by the same rules, once its hold has ended.
    if (
      safetyOf(component) === undefined &&
      first &&
      (await listBackups(first.store, first.prefix, { component: safety, signal })).length > 0
    )
      await plan(safety, { ...places, component: safety });
  }
  return work;
}

function othersOf(places: ComponentPlaces, place: NamedPlace): NamedPlace[] {
  return places.all.filter(({ store }) => store.location !== place.store.location);
}

async function readPlan({ host }: StepContext, file: string, name: string): Promise<RetentionPlan> {
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
  throw new RefusedError(`The plan ${file} is for ${plan.name}, but ${host.spell('name')} is ${name}. Nothing was touched.`, {
    fix: `Make a plan for ${name}, or go to the folder of the dr.yml of ${plan.name}.`,
  });
}

/** The stores of a saved plan, opened again. @throws RefusedError when one of them is not there any more */
async function workOf({ sections }: RetentionPlan, opener: PlaceOpener, copies: readonly string[] | undefined): Promise<Work[]> {
  return Promise.all(
    sections.map(async (section) => {
      const known = await opener.of(section.component, undefined, copies).catch((thrown: unknown) => {
        if (thrown instanceof UsageError) return undefined;
        throw thrown;
      });
      const places = known?.all.some(({ store }) => store.location === section.store)
        ? known
        : await opener.of(section.component, section.store, copies);
      const place = places.all.find(({ store, prefix }) => store.location === section.store && prefix === section.prefix);
      if (place) return { section, places, place };
      throw new RefusedError(`The plan removes backups of ${section.component} from ${section.store}, which is not where they are now.`, {
        fix: 'Make a new plan and look at it.',
      });
    }),
  );
}

/** Shows the plan; true when it may be carried out. A saved plan needs no typing: somebody has looked at it. */
async function confirmed(context: StepContext, plan: RetentionPlan, saved: boolean, records: TidyPlan): Promise<boolean> {
  const { host, inputs } = context;
  const shown = destructionPlan(plan, recordsText(records));
  const nothing = shown.losses.length === 0 && plan.sections.every(({ unfinished }) => unfinished.length === 0);
  if (!(inputs as unknown as Inputs).dryRun && (saved || nothing)) {
    host.info(shown.title);
    for (const [label, value] of shown.facts) host.info(`  ${label}  ${value}`);
    for (const loss of shown.losses) host.info(`  ! ${loss}`);
    return !nothing;
  }
  return context.confirmDestruction(shown);
}

function destructionPlan({ name, created, sections }: RetentionPlan, records: string | undefined): DestructionPlan {
  return {
    title: `Plan: apply retention to ${name} (made ${created.slice(0, 16).replace('T', ' ')} UTC)`,
    facts: [...sections.flatMap(sectionFacts), ...(records === undefined ? [] : [['Records', `${records} go`] satisfies Fact])],
    losses: sections.flatMap((section) => {
      const going = removals(section);
      const lines = going
        .slice(0, NAMED_LOSSES)
        .map(({ timestamp, bytes, reasons }) => `${section.component} ${timestamp}, ${formatBytes(bytes)}: ${reasons.join('; ')}`);
      if (going.length > NAMED_LOSSES) lines.push(`and ${plural(going.length - NAMED_LOSSES, 'more backup')} of ${section.component}`);
      return lines;
    }),
    confirmation: name,
  };
}

type Fact = DestructionPlan['facts'][number];

function sectionFacts(section: PlanSection): Fact[] {
  const { sharedWith, blocked } = section;
  const keys: Fact[] = sharedWith ? [['Keys', `stay as long as ${sharedWith.join(' or ')} has the data`]] : [];
  return [[sectionTitle(section), blocked ?? counts(section)], ...keys];
}

function counts(section: PlanSection): string {
  const going = removals(section);
  const bytes = going.reduce((sum, backup) => sum + backup.bytes, 0);
  return `${section.policy}: ${section.backups.length - going.length} stay, ${going.length} go (${formatBytes(bytes)})`;
}

/** Removes, section by section. One that is in use or refused does not stop the others. */
async function carryOut(
  context: StepContext,
  opener: PlaceOpener,
  work: readonly Work[],
): Promise<Map<PlanSection, PruneOutcome[] | UserError>> {
  const { host, clock, signal } = context;
  const recipients = await keysOf(context, work);
  const total = work.reduce((sum, { section }) => sum + removals(section).length + section.unfinished.length, 0);
  const results = new Map<PlanSection, PruneOutcome[] | UserError>();
  let done = 0;
  for (const { section, places, place } of work) {
    if (removals(section).length + section.unfinished.length === 0) continue;
    try {
      const outcomes = await applySection({
        ...{ component: section.component, place, others: othersOf(places, place), othersKnown: places.known },
        ...{ planned: section, recipients, owner: lockOwner(context, STEP), by: host.run, clock, signal },
        openRecorded: async (address, prefix) => ({ ...(await opener.at(address)), prefix }),
        onNotice: (message) => {
          host.notice(message);
        },
        onOutcome: ({ timestamp }) => {
          done += 1;
          host.progress({ phase: 'Removing', done, total, unit: 'objects', detail: `${section.component} ${timestamp}` });
        },
      });
      results.set(section, outcomes);
    } catch (thrown) {
      // A saved plan is all or nothing as far as it can be: its refusal is the answer.
      const refused = thrown instanceof RefusedError && !(thrown instanceof LockedError);
      if (refused || signal.aborted || !(thrown instanceof UserError)) throw thrown;
      results.set(section, thrown);
    }
  }
  return results;
}

/** Keys can be forgotten only where a vault is given; without one they stay, and the summary says so. */
async function keysOf(context: StepContext, [first]: readonly Work[]): Promise<KeyRecipient[]> {
  const { vault, recipients } = context.inputs as unknown as Inputs;
  return first && (vault !== undefined || recipients !== undefined) ? openKeys(context, first.place) : [];
}

async function finish(
  context: StepContext,
  work: readonly Work[],
  results: ReadonlyMap<PlanSection, PruneOutcome[] | UserError> | undefined,
  records: TidyPlan,
): Promise<StepReturn> {
  const sections = work.map(({ section }) => section);
  const outcomes = [...(results?.entries() ?? [])].flatMap(([section, result]) =>
    result instanceof UserError ? [] : result.map((outcome) => ({ section, ...outcome })),
  );
  const removed = results === undefined ? undefined : outcomes.filter(({ result }) => result === 'removed');
  const planned = sections.flatMap((section) => removals(section));
  const gone = new Set(removed?.map(({ section, timestamp }) => `${section.store} ${section.component} ${timestamp}`));
  const freed = sections.reduce(
    (sum, section) =>
      sum +
      removals(section)
        .filter(({ timestamp }) => removed === undefined || gone.has(`${section.store} ${section.component} ${timestamp}`))
        .reduce((bytes, backup) => bytes + backup.bytes, 0),
    0,
  );
  const kept = sections.reduce((sum, { backups }) => sum + backups.length, 0) - (removed?.length ?? planned.length);
  const doubts = [
    ...sections.flatMap(({ blocked }) => blocked ?? []),
    ...[...(results?.entries() ?? [])].flatMap(([section, result]) =>
      result instanceof UserError ? `Nothing of ${sectionTitle(section)} was removed: ${withFix(result)}` : [],
    ),
    ...outcomes
      .filter(({ result }) => result !== 'removed')
      .map(({ section, timestamp, result, notice = '' }) =>
        result === 'stays'
          ? `${section.component} ${timestamp} stays: ${notice}`
          : `${section.component} ${timestamp} is not removed entirely, the next run goes on: ${notice}`,
      ),
  ];
  for (const { section, timestamp, notice, result } of outcomes)
    if (result === 'removed' && notice !== undefined) context.host.notice(`${section.component} ${timestamp}: ${notice}.`);
  context.setOutput('removed', removed?.length ?? planned.length);
  context.setOutput('kept', kept);
  context.setOutput('freedBytes', freed);
  await context.host.summary(retentionSummary(sections, results === undefined ? 'planned' : 'done', freed, recordsText(records)));
  return {
    doubts,
    result: {
      dryRun: results === undefined,
      removed: removed?.length ?? planned.length,
      kept,
      freedBytes: freed,
      records: { points: records.points.length, runs: records.runs.length },
      keysForgotten: outcomes.reduce((sum, { keysForgotten }) => sum + keysForgotten, 0),
      sections: sections.map(({ component, store, policy, blocked, backups }) => ({
        component,
        store,
        policy,
        blocked: blocked ?? null,
        backups,
      })),
    },
  };
}
