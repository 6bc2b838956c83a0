// What a comparing step does: opens one backup or two, and says what changed from the older state to the newer one.
import { reportOf, type Differences, type ReadPlain } from '../../backup/kind.ts';
import { openBackup, type OpenedBackup } from '../../backup/read.ts';
import type { AnyKind } from '../../kinds/registry.ts';
import { facts, heading, page, table } from '../../pages/summary.ts';
import { recorded } from '../../runs/record.ts';
import { storedComponent } from '../../session/components.ts';
import { openKeys } from '../../session/open.ts';
import { chooseBackup, openSources, type Sources } from '../../session/sources.ts';
import type { StepReturn } from '../../step/define.ts';
import { formatCount, formatSeconds, plural } from '../../step/format.ts';
import { printable } from '../../step/prose.ts';
import type { Timestamp } from '../../step/timestamp.ts';
import type { KeyRecipient } from '../../vaults/vault.ts';
import type { Context } from './inputs.ts';

/** Changes that a page shows. */
const MOST_ROWS = 200;

export async function runCompare(kind: AnyKind, context: Context): Promise<StepReturn> {
  const component = await storedComponent(context, kind);
  return recorded(
    context,
    () => openSources(context, component),
    { component },
    (sources) => compare(kind, context, component, sources),
  );
}

async function compare(kind: AnyKind, context: Context, component: string, sources: Sources): Promise<StepReturn> {
  const { inputs, clock, host } = context;
  const started = clock.monotonic();
  const { differences } = await kind.load();
  if (!differences) throw new Error(`components of kind ${kind.kind} are not compared`);
  const recipients = await openKeys(context);
  const open = (timestamp: Timestamp | undefined) => openOne(context, kind, { component, sources, recipients, timestamp });
  const older = await open(inputs.timestamp);
  const newer = inputs.against === undefined ? undefined : await open(inputs.against);
  const found = await differences(context, older.read, newer?.read);
  const label = newer === undefined ? `the ${kind.thing} as it is now` : `${component} ${newer.timestamp}`;
  const seconds = (clock.monotonic() - started) / 1000;
  const equal = found.added + found.changed + found.removed === 0;
  context.setOutput('timestamp', older.timestamp);
  context.setOutput('equal', String(equal));
  for (const name of ['added', 'changed', 'removed'] as const) context.setOutput(name, found[name]);
  context.setOutput('seconds', seconds.toFixed(1));
  await host.summary(summaryOf(kind, found, { older: `${component} ${older.timestamp}`, newer: label, seconds }));
  const { added, changed, removed, changes } = found;
  return {
    doubts: [...older.doubts, ...(newer?.doubts ?? [])],
    result: {
      component,
      older: older.timestamp,
      newer: newer?.timestamp ?? null,
      equal,
      ...{ added, changed, removed, equalCount: found.equal, changes },
    },
  };
}

interface Opened {
  timestamp: Timestamp;
  read: ReadPlain;
  doubts: readonly string[];
}

async function openOne(
  context: Context,
  kind: AnyKind,
  request: { component: string; sources: Sources; recipients: readonly KeyRecipient[]; timestamp: Timestamp | undefined },
): Promise<Opened> {
  const { component, sources, recipients } = request;
  const { signal, host } = context;
  const { timestamp, copies, doubts } = chooseBackup(context, sources, { component, timestamp: request.timestamp, allowOlder: true });
  const opened: OpenedBackup = await copies.read(
    ({ place: { store, prefix } }) =>
      openBackup({
        ...{ store, prefix, component, timestamp, recipients, signal },
        onNotice: (message) => {
          host.warning(message);
        },
      }),
    signal,
  );
  // A backup of another kind is refused here.
  reportOf(kind, opened.manifest);
  return { timestamp, read: () => opened.plain(), doubts };
}

function summaryOf(
  kind: AnyKind,
  found: Differences,
  { older, newer, seconds }: { older: string; newer: string; seconds: number },
): string {
  const { added, changed, removed, equal, changes } = found;
  const same = added + changed + removed === 0;
  const rows = changes.slice(0, MOST_ROWS).map(({ what, name, differences }) => [what, printable(name), differences.join(', ')]);
  const more = changes.length > MOST_ROWS ? `and ${plural(added + changed + removed - MOST_ROWS, 'more change')}` : undefined;
  return page(
    heading(same ? 'good' : 'doubtful', same ? `${older} and ${newer} are equal` : `What changed from ${older} to ${newer}`),
    facts([
      ['Added', formatCount(added)],
      ['Changed', formatCount(changed)],
      ['Removed', formatCount(removed)],
      ['Equal', `${formatCount(equal)} ${kind.unit}`],
      ['Time', formatSeconds(seconds)],
    ]),
    same ? undefined : table(['what', 'name', 'differences'], rows),
    more,
  );
}
