// What `apply-retention` does: plan → confirmation or saved plan → prune → report.
import { applySection, replanSection } from '../../catalog/apply-retention.ts';
import { reportOf as contentOf } from '../../backup/kind.ts';
import { openBackup } from '../../backup/read.ts';
import type { PruneOutcome } from '../../catalog/prune.ts';
import { removals, sectionTitle, type PlanSection, type RetentionPlan } from '../../catalog/retention-plan.ts';
import { reportOf, type SectionResults } from '../../catalog/retention-report.ts';
import type { TidyPlan } from '../../catalog/tidy.ts';
import { sessionOf } from '../../session/session.ts';
import type { DestructionPlan, StepReturn } from '../../step/define.ts';
import { RefusedError, UserError } from '../../step/errors.ts';
import { formatBytes, plural } from '../../step/format.ts';
import type { Timestamp } from '../../step/timestamp.ts';
import { LockedError } from '../../stores/errors.ts';
import type { KeyRecipient } from '../../vaults/vault.ts';
import type { Context } from './inputs.ts';
import { openNamed, placesOf, type NamedPlace } from '../../session/component-places.ts';
import { lockOwner, recorded } from '../../runs/record.ts';
import { recordsText, recordsToGo, removeRecords } from './records.ts';
import { componentsOf } from './rules.ts';
import { retentionSummary } from '../../pages/retention.ts';
import { keysOf, planWork, savePlan, sectionPlace, type Work } from './work.ts';

/** Removals that the plan names one by one, per component and store. */
const NAMED_LOSSES = 20;

export async function runApplyRetention(context: Context): Promise<StepReturn> {
  const inputs = context.inputs;
  const home = async (): Promise<NamedPlace> => {
    if (inputs.store !== undefined) return openNamed(context, inputs.store);
    const [first] = componentsOf(context, await sessionOf(context).dr());
    return (await placesOf(context, first as string, undefined)).chosen[0] as NamedPlace;
  };
  return recorded(context, home, { component: inputs.component, effects: 'destroys' }, async () => {
    const { plan, work, problems } = await planWork(context);
    if (inputs.savePlan !== undefined) await savePlan(context, plan, inputs.savePlan);
    const records = await recordsToGo(context, work);
    const results = (await confirmed(context, plan, records)) ? await carryOut(context, work) : undefined;
    const returned = await report(context, plan, results, inputs.dryRun ? records : await removeRecords(context, work));
    return { ...returned, doubts: [...problems, ...(returned.doubts ?? [])] };
  });
}

/** Shows the plan; true when it may be carried out. A saved plan needs no typing: a person has looked at it. */
async function confirmed(context: Context, plan: RetentionPlan, records: TidyPlan): Promise<boolean> {
  const { host } = context;
  const { plan: saved, dryRun } = context.inputs;
  const shown = destructionPlan(plan, recordsText(records));
  // The summary of a dry run names every backup, those that stay, too: once is enough.
  if (dryRun) return context.confirmDestruction({ ...shown, losses: [] });
  const nothing = shown.losses.length === 0 && plan.sections.every(({ unfinished }) => unfinished.length === 0);
  if (saved === undefined && !nothing) return context.confirmDestruction(shown);
  host.info(shown.title);
  for (const [label, value] of shown.facts) host.info(`  ${label}  ${value}`);
  for (const loss of shown.losses) host.info(`  ! ${loss}`);
  return !nothing;
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
  const staying = plural(section.backups.length - going.length, 'backup');
  if (going.length === 0) return `${section.policy}: keeps ${staying}, removes none`;
  return `${section.policy}: keeps ${staying}, removes ${going.length} (${formatBytes(bytes)})`;
}

/**
 * Removes, section by section. One that is locked or has changed since does not stop the others.
 * @throws RefusedError before anything is removed, when a section of a saved plan is not what it was
 */
async function carryOut(context: Context, work: readonly Work[]): Promise<SectionResults> {
  const { clock, signal } = context;
  const due = work.filter(({ section }) => removals(section).length + section.unfinished.length > 0);
  if (context.inputs.plan !== undefined) {
    for (const part of due) await replanSection(sectionPlace(part.section.component, part), part.section, clock.now(), signal);
  }
  const recipients = await keysOf(context);
  const onOutcome = progressOf(context, due);
  const results = new Map<PlanSection, PruneOutcome[] | UserError>();
  for (const part of due) {
    try {
      results.set(part.section, await removeSection(context, part, recipients, onOutcome));
    } catch (thrown) {
      const refused = thrown instanceof RefusedError && !(thrown instanceof LockedError);
      // Refused is a run that touched nothing.
      if ((refused && results.size === 0) || signal.aborted || !(thrown instanceof UserError)) throw thrown;
      results.set(part.section, thrown);
    }
  }
  return results;
}

async function removeSection(
  context: Context,
  part: Work,
  recipients: readonly KeyRecipient[],
  onOutcome: (component: string, outcome: PruneOutcome) => void,
): Promise<PruneOutcome[]> {
  const { host, clock, signal } = context;
  const { section, places } = part;
  return applySection({
    ...sectionPlace(section.component, part),
    othersKnown: places.known,
    ...{ planned: section, recipients, owner: lockOwner(context), lockWait: context.inputs.lockWait, by: host.run, clock, signal },
    forgetOutside: await outsideOf(context, part, recipients),
    openRecorded: async (address, prefix) => ({ ...(await openNamed(context, address)), prefix }),
    onNotice: (message) => {
      host.notice(message);
    },
    onOutcome: (outcome) => {
      onOutcome(section.component, outcome);
    },
  });
}

/** Removes what a backup of a component keeps outside of the store; undefined where its kind keeps nothing there. */
async function outsideOf(
  context: Context,
  { section, place }: Work,
  recipients: readonly KeyRecipient[],
): Promise<((timestamp: Timestamp) => Promise<void>) | undefined> {
  const { component } = section;
  const { store, prefix } = place;
  const { kinds } = sessionOf(context);
  const dr = await sessionOf(context).dr();
  const named = dr?.componentNames().includes(component) ? [kinds.get(dr.component(component).kind)] : kinds.all;
  const works = await Promise.all(named.map(async (kind) => ({ kind, work: await kind.load() })));
  if (works.every(({ work }) => work.outside === undefined)) return undefined;
  return async (timestamp) => {
    const { manifest } = await openBackup({ store, prefix, component, timestamp, recipients, signal: context.signal });
    const found = works.find(({ kind }) => kind.kind === manifest.kind);
    await found?.work.outside?.forget(contentOf(found.kind, manifest), context);
  };
}

function progressOf({ host }: Context, due: readonly Work[]): (component: string, outcome: PruneOutcome) => void {
  const total = due.reduce((sum, { section }) => sum + removals(section).length + section.unfinished.length, 0);
  let done = 0;
  return (component, { timestamp }) => {
    done += 1;
    host.progress({ phase: 'Removing', done, total, unit: 'objects', detail: `${component} ${timestamp}` });
  };
}

async function report(
  { host, inputs, setOutput }: Context,
  { sections }: RetentionPlan,
  results: SectionResults | undefined,
  records: TidyPlan,
): Promise<StepReturn> {
  const found = reportOf(sections, results);
  const { removed, kept, freedBytes, keysForgotten, doubts } = found;
  for (const notice of found.notices) host.notice(notice);
  setOutput('removed', removed);
  setOutput('kept', kept);
  setOutput('freedBytes', freedBytes);
  await host.summary(retentionSummary(inputs.name, sections, found, results === undefined ? 'planned' : 'done', recordsText(records)));
  return {
    doubts,
    result: {
      dryRun: results === undefined,
      ...{ removed, kept, freedBytes, keysForgotten },
      records: { points: records.points.length, runs: records.runs.length },
      sections: sections.map(({ component, store, policy, blocked = null, backups }) => ({ component, store, policy, blocked, backups })),
    },
  };
}
