// The status as a page for people: what is wrong first, then every component, then the stores.
import type { StatusDocument } from '../monitor/status.ts';
import { formatAge, formatBytes, formatSeconds, plural } from '../step/format.ts';
import { commandBlock, heading, page, table } from './summary.ts';

const MARKS = { healthy: 'good', warning: 'doubtful', critical: 'bad' } as const;
const WORDS = { healthy: 'healthy', warning: 'warning', critical: 'CRITICAL' };

export function statusSummary(status: StatusDocument, now: Date): string {
  const { findings, components, stores, name } = status;
  const age = (moment: string | null): string => (moment === null ? 'never' : formatAge(new Date(moment), now));
  const next = findings.find((finding) => finding.next !== null)?.next;
  return page(
    heading(
      MARKS[status.status],
      `${name}: ${WORDS[status.status]}${findings.length > 0 ? `, ${plural(findings.length, 'problem')}` : ''}`,
    ),
    findings.map(({ severity, message }) => `- **${severity}**: ${message}`).join('\n'),
    next ? `Run next\n\n${commandBlock(next)}` : undefined,
    components.length === 0
      ? 'There is no backup of anything.'
      : table(
          ['component', 'state', 'last good', 'last verified', 'next (UTC)', 'backups', 'size', 'took'],
          components.map((one) => [
            one.component,
            WORDS[one.status],
            age(one.last_backup),
            age(one.last_verified),
            one.next_backup?.slice(0, 16).replace('T', ' ') ?? '-',
            `${one.verified_backups} verified of ${one.backups}`,
            one.stored_bytes === null ? '-' : formatBytes(one.stored_bytes),
            one.duration_seconds === null ? '-' : formatSeconds(one.duration_seconds),
          ]),
        ),
    table(
      ['store', 'backups take', 'free'],
      stores.map(({ store, location, used_bytes: used, free_bytes: free, total_bytes: total }) => [
        store === location ? location : `${store} (${location})`,
        used === null ? 'not known' : formatBytes(used),
        free === null ? 'not known' : `${formatBytes(free)}${total ? ` (${((free / total) * 100).toFixed(0)} %)` : ''}`,
      ]),
    ),
  );
}
