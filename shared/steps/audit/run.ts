// What `audit` does: reads the entries and shows them, newest first.
import { readAudit, type AuditEntry } from '../../catalog/audit.ts';
import type { StepReturn } from '../../step/define.ts';
import { plural } from '../../step/format.ts';
import type { Context } from './inputs.ts';
import { locationsText, openReadingPlaces } from '../../session/reading-places.ts';
import { heading, page, table } from '../../pages/summary.ts';

const DAY_MS = 86_400_000;

export async function runAudit(context: Context): Promise<StepReturn> {
  const { days, component } = context.inputs;
  const { host, clock, signal } = context;
  const places = await openReadingPlaces(context);
  const [{ store, prefix }] = places;
  const since = days === undefined ? {} : { since: new Date(clock.now().getTime() - days * DAY_MS) };
  const logs = await Promise.all(places.map((place) => readAudit(place.store, prefix, { ...since, signal })));
  const entries = logs.flatMap((log) => log.entries).sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
  const unreadable = logs.flatMap((log) => log.unreadable);
  const asked = context.origin('component') === 'input' ? entries.filter((entry) => entry.component === component) : entries;
  asked.reverse();
  await host.summary(
    page(
      heading(
        unreadable.length > 0 ? 'doubtful' : 'good',
        `Audit log of ${prefix}: ${plural(asked.length, 'entry').replace('entrys', 'entries')}`,
      ),
      asked.length === 0 ? undefined : table(['when (UTC)', 'who', 'what', 'how it ended', 'reason', 'run'], asked.map(row)),
      `In ${locationsText(places)}.`,
    ),
  );
  context.setOutput('count', asked.length);
  return {
    doubts:
      unreadable.length === 0
        ? []
        : [`What lies below audit/ and is no entry: ${unreadable.slice(0, 5).join(', ')}${unreadable.length > 5 ? ' and others' : ''}.`],
    result: { store: store.location, prefix, entries: asked },
  };
}

function row({ at, actor, machine, step, component, backup, event, reason, url, run, workflow, error }: AuditEntry): string[] {
  return [
    at.slice(0, 19).replace('T', ' '),
    actor ?? `? (${machine})`,
    [step, component, backup].filter((part) => part !== undefined).join(' '),
    error === undefined ? event : `${event}: ${error}`,
    reason ?? '-',
    url ?? [workflow, run].filter((part) => part !== undefined).join(' '),
  ];
}
