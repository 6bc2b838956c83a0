// What a new backup is seen against: the last runs' size and duration, and what retention will do next. Listings only, and never in the way.
import type { ListedBackup } from '../catalog/list.ts';
import { gatherFacts } from '../catalog/apply-retention.ts';
import { planSection, removals, type PlanSection, type SectionFacts } from '../catalog/retention-plan.ts';
import { parsedRules, retentionRules, rulesText } from '../config/retention.ts';
import { changeText, sparkline, trendOf, type FigureTrend, type Trend } from '../monitor/trend.ts';
import { sessionOf } from '../session/session.ts';
import type { StepContext } from '../step/define.ts';
import { errorMessage } from '../step/errors.ts';
import { formatBytes, formatSeconds, plural } from '../step/format.ts';
import type { PlaceInputs } from '../session/inputs.ts';
import type { Place } from '../backup/place.ts';
import { details, page, table } from '../pages/summary.ts';

/** A backup that is done does not wait longer than this for its comparison. */
const LOOK_MS = 10_000;
/** Backups to go that are named one by one. */
const NAMED = 5;

type OutlookInputs = Pick<PlaceInputs, 'config' | 'store'>;

export interface Outlook {
  /** Undefined for a component's first backup. */
  trend: Trend | undefined;
  /** What `apply-retention` would do now; undefined where dr.yml has no rules for the component. */
  retention: PlanSection | undefined;
}

/** Looks at the store once more after a backup. A look that fails is a debug line: the backup is as good as it is. */
export async function outlookOf(
  context: StepContext<OutlookInputs>,
  place: Place,
  { component, timestamp }: { component: string; timestamp: string },
): Promise<Outlook> {
  const signal = AbortSignal.any([context.signal, AbortSignal.timeout(LOOK_MS)]);
  try {
    const facts = await gatherFacts({ component, place, others: [] }, undefined, signal);
    const trend = trendOf(facts.backups, timestamp);
    return { trend, retention: await nextRetention(context, facts) };
  } catch (thrown) {
    context.host.debug(`The summary does without a comparison with the last runs: ${errorMessage(thrown)}`);
    return { trend: undefined, retention: undefined };
  }
}

async function nextRetention(context: StepContext<OutlookInputs>, facts: SectionFacts): Promise<PlanSection | undefined> {
  const dr = await sessionOf(context).dr();
  if (!dr?.componentNames().includes(facts.component)) return undefined;
  const { retention } = dr.component(facts.component);
  if (retention === undefined) return undefined;
  const { store } = context.inputs;
  const name = store !== undefined && dr.hasStore(store) ? store : dr.storeNameOf(facts.component);
  const written = retentionRules(retention, name);
  return planSection(facts, { rules: parsedRules(written), policy: rulesText(written) }, context.clock.now());
}

/** The outlook as parts of a summary: one to read, one that is folded away; undefined where there is nothing to tell. */
export function outlookParts({ trend, retention }: Outlook): { shown: string | undefined; folded: string | undefined } {
  const shown = page(trend && trendTable(trend), retention && `**Retention** (${retention.policy}): ${retentionText(retention)}`).trimEnd();
  return { shown, folded: trend && details(`The last ${plural(trend.backups.length, 'backup')}`, backupTable(trend.backups)) };
}

function trendTable({ backups, stored, duration }: Trend): string {
  // The average of one is the last one.
  const averaged = backups.length > 2;
  const row = (name: string, trend: FigureTrend, text: (value: number) => string): string[] => [
    name,
    text(trend.newest),
    changeText(trend.againstLast),
    averaged ? changeText(trend.againstAverage) : '',
    sparkline(trend.values),
  ];
  return table(
    ['', 'this one', 'against the last', averaged ? `against the average of ${backups.length - 1}` : '', 'trend'],
    [row('stored', stored, formatBytes), ...(duration ? [row('took', duration, milliseconds)] : [])],
  );
}

function backupTable(backups: readonly ListedBackup[]): string {
  return table(
    ['backup', 'dump', 'stored', 'took', 'state'],
    backups
      .toReversed()
      .map(({ timestamp, plainBytes, dataBytes, durationMs, state }) => [
        timestamp,
        plainBytes === undefined ? '-' : formatBytes(plainBytes),
        formatBytes(dataBytes),
        durationMs === undefined ? '-' : milliseconds(durationMs),
        state === 'committed' ? 'not fully read back' : state,
      ]),
  );
}

function milliseconds(value: number): string {
  return formatSeconds(value / 1000);
}

/** What the next `apply-retention` would do, as a sentence or two. */
export function retentionText(section: PlanSection): string {
  const going = removals(section);
  const staying = plural(section.backups.length - going.length, 'backup');
  if (section.blocked !== undefined) return section.blocked;
  if (going.length === 0) return `nothing would go, ${staying} would stay.`;
  const bytes = going.reduce((sum, backup) => sum + backup.bytes, 0);
  const named = going.slice(0, NAMED).map(({ timestamp }) => timestamp);
  const more = going.length > NAMED ? ` and ${going.length - NAMED} more` : '';
  return `the next apply-retention would remove ${plural(going.length, 'backup')} (${formatBytes(bytes)}): ${named.join(', ')}${more}; ${staying} would stay.`;
}

/** The outlook for machines. Per cent rounded to one decimal; null where there is nothing to compare with. */
export function outlookRecord({ trend, retention }: Outlook) {
  const figure = (one: FigureTrend | undefined) =>
    one === undefined
      ? null
      : { values: one.values, againstLastPercent: rounded(one.againstLast), againstAveragePercent: rounded(one.againstAverage) };
  return {
    trend: trend === undefined ? null : { storedBytes: figure(trend.stored), durationMs: figure(trend.duration) },
    retention:
      retention === undefined
        ? null
        : {
            policy: retention.policy,
            blocked: retention.blocked ?? null,
            remove: removals(retention).map(({ timestamp }) => timestamp),
            keep: retention.backups.filter(({ keep }) => keep).length,
          },
  };
}

export type OutlookRecord = ReturnType<typeof outlookRecord>;

function rounded(percent: number | undefined): number | null {
  return percent === undefined ? null : Number(percent.toFixed(1));
}
