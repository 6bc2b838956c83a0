// A retention plan as the job summary shows it: what goes, what stays, and why.
import { removals, sectionTitle, type PlannedBackup, type PlanSection } from '../catalog/retention-plan.ts';
import type { RetentionReport } from '../catalog/retention-report.ts';
import { formatBytes, plural } from '../step/format.ts';
import { details, heading, page, table } from './summary.ts';

/** Rows that a table shows before it is summed up. */
const MOST_ROWS = 100;

type Tense = 'planned' | 'done';

/** The summary of a plan, or of what was done by it. */
export function retentionSummary(
  name: string,
  sections: readonly PlanSection[],
  { removed, freedBytes, doubts }: RetentionReport,
  tense: Tense,
  records?: string,
): string {
  const what = `${plural(removed, 'backup')} ${tense === 'done' ? 'removed' : 'would be removed'}, ${formatBytes(freedBytes)}`;
  return page(
    heading(
      doubts.length > 0 ? 'doubtful' : 'good',
      `Retention of ${name}: ${removed === 0 ? `nothing ${tense === 'done' ? 'was removed' : 'would be removed'}` : what}`,
    ),
    // Why a whole section stays is told below its title.
    doubts
      .filter((doubt) => !sections.some(({ blocked }) => blocked === doubt))
      .map((doubt) => `- **${doubt}**`)
      .join('\n'),
    ...sections.map((section) => sectionPart(section, tense)),
    records === undefined ? undefined : `${tense === 'done' ? 'Removed' : 'To remove'} with them: ${records}.`,
  );
}

function sectionPart(section: PlanSection, tense: Tense): string {
  const [removed, kept] = tense === 'done' ? ['Removed', 'Kept'] : ['To remove', 'To keep'];
  const going = removals(section).reverse();
  const staying = section.backups.filter(({ keep }) => keep);
  return page(
    `#### ${sectionTitle(section)}`,
    `Rules: ${section.policy}.`,
    section.blocked === undefined ? undefined : `**${section.blocked}**`,
    going.length === 0 ? 'Nothing to remove.' : `**${removed}** (${plural(going.length, 'backup')})\n\n${rows(going)}`,
    staying.length === 0 ? 'There are no backups.' : details(`${kept} (${plural(staying.length, 'backup')})`, rows(staying)),
    section.sharedWith === undefined ? undefined : `Keys stay as long as ${section.sharedWith.join(' or ')} has the data.`,
    section.unfinished.length === 0
      ? undefined
      : `${plural(section.unfinished.length, 'interrupted removal')} to finish: ${section.unfinished.join(', ')}.`,
    section.leftovers === 0
      ? undefined
      : `${plural(section.leftovers, 'leftover')} of interrupted backups; the next backup removes those older than a day.`,
  ).trimEnd();
}

function rows(backups: readonly PlannedBackup[]): string {
  const shown = backups
    .slice(0, MOST_ROWS)
    .map(({ timestamp, state, bytes, reasons }) => [timestamp, formatBytes(bytes), state, reasons.join('; ')]);
  const rest = backups.slice(MOST_ROWS);
  const bytes = rest.reduce((sum, backup) => sum + backup.bytes, 0);
  return table(
    ['timestamp', 'stored', 'state', 'why'],
    rest.length === 0 ? shown : [...shown, [`and ${rest.length} more`, formatBytes(bytes), '', '']],
  );
}
