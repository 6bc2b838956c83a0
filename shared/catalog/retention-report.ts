// What a retention run has done, or would do: the counts, and what a person must know of it.
import { UserError, withFix } from '../step/errors.ts';
import type { PruneOutcome } from './prune.ts';
import { removals, sectionTitle, type PlanSection } from './retention-plan.ts';

/** What became of each section that had something to remove; an error: nothing of it was removed. */
export type SectionResults = ReadonlyMap<PlanSection, PruneOutcome[] | UserError>;

export interface RetentionReport {
  /** Backups that are gone, or would go. */
  removed: number;
  kept: number;
  /** Bytes of their data. */
  freedBytes: number;
  keysForgotten: number;
  /** What was not removed although it should be, and why. */
  doubts: string[];
  /** What else is worth a line. */
  notices: string[];
}

/** @param results undefined: nothing was touched, the plan is all there is */
export function reportOf(sections: readonly PlanSection[], results: SectionResults | undefined): RetentionReport {
  const parts = sections.map((section) => sectionReport(section, results === undefined ? undefined : (results.get(section) ?? [])));
  const sum = (figure: (part: RetentionReport) => number): number => parts.reduce((total, part) => total + figure(part), 0);
  return {
    removed: sum((part) => part.removed),
    kept: sum((part) => part.kept),
    freedBytes: sum((part) => part.freedBytes),
    keysForgotten: sum((part) => part.keysForgotten),
    // What stops a whole section comes first.
    doubts: [...sections.flatMap(({ blocked }) => blocked ?? []), ...parts.flatMap((part) => part.doubts)],
    notices: parts.flatMap((part) => part.notices),
  };
}

function sectionReport(section: PlanSection, result: PruneOutcome[] | UserError | undefined): RetentionReport {
  const outcomes = result === undefined || result instanceof UserError ? [] : result;
  const removed = outcomes.filter((outcome) => outcome.result === 'removed');
  const gone = new Set(removed.map(({ timestamp }) => timestamp));
  // A removal that an earlier run began is no backup of this plan any more: it counts as removed, but not as one less to keep.
  const going = removals(section).filter(({ timestamp }) => result === undefined || gone.has(timestamp));
  const of = ({ timestamp }: PruneOutcome): string => `${section.component} ${timestamp}`;
  return {
    removed: result === undefined ? going.length : removed.length,
    kept: section.backups.length - going.length,
    freedBytes: going.reduce((bytes, backup) => bytes + backup.bytes, 0),
    keysForgotten: outcomes.reduce((keys, { keysForgotten }) => keys + keysForgotten, 0),
    doubts: [
      ...(result instanceof UserError ? [`Nothing of ${sectionTitle(section)} was removed: ${withFix(result)}`] : []),
      ...outcomes.filter((outcome) => outcome.result !== 'removed').map((outcome) => `${of(outcome)} ${leftText(outcome)}`),
    ],
    notices: removed.filter(({ notice }) => notice !== undefined).map((outcome) => `${of(outcome)}: ${outcome.notice ?? ''}.`),
  };
}

function leftText({ result, notice = '' }: PruneOutcome): string {
  return result === 'stays' ? `stays: ${notice}` : `is not removed entirely, the next run goes on: ${notice}`;
}
