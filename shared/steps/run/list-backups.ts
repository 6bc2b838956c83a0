// What `list-backups` does: one listing, as a table, as JSON and as outputs.
import { existsSync } from 'node:fs';
import { holdsAt, listHolds, type Hold } from '../../catalog/hold.ts';
import { knownBackups } from '../../catalog/known.ts';
import { isAhead, type ListedBackup } from '../../catalog/list.ts';
import { prefixFolder } from '../../backup/layout.ts';
import type { StepReturn } from '../../step/define.ts';
import { formatAge, formatBytes, plural } from '../../step/format.ts';
import type { Context } from '../list-backups/inputs.ts';
import { openPlace } from './open.ts';
import { page, table } from './summary.ts';

const DAY_MS = 86_400_000;

export async function runListBackups(context: Context): Promise<StepReturn> {
  const { days, component } = context.inputs;
  const { host, clock, signal } = context;
  const { store, prefix } = await openPlace(context);
  const now = clock.now();
  const backups = await knownBackups(store, prefix, {
    ...(component === undefined ? {} : { component }),
    ...(days === undefined ? {} : { since: new Date(now.getTime() - days * DAY_MS) }),
    signal,
  });
  backups.reverse();
  const shown = backups.filter(({ state, whole }) => state !== 'leftover' && (state !== 'pruning' || whole));
  const leftovers = backups.filter(({ state }) => state === 'leftover').length;
  const held: Hold[] = [];
  for (const name of new Set(shown.map((backup) => backup.component)))
    held.push(...(await listHolds(store, prefix, name, signal)).filter((hold) => holdsAt(hold, now)));
  const latest = shown.find((backup) => backup.state === 'verified' && !isAhead(backup, now));

  const where = `${store.location}, below ${prefixFolder(prefix) || 'the root'}`;
  const what = component === undefined ? '' : ` of ${component}`;
  const period = days === undefined ? '' : ` of the last ${plural(days, 'day')}`;
  await host.summary(
    page(
      `### ${plural(shown.length, 'backup')}${what}${period}`,
      shown.length === 0
        ? store.kind === 'folder' && !existsSync(store.location)
          ? `There is no folder ${store.location}.`
          : `Nothing in ${where}.`
        : table(
            ['timestamp', 'component', 'age', 'dump', 'stored', 'state'],
            shown.map((backup) => [
              backup.timestamp,
              backup.component,
              formatAge(backup.time, now),
              backup.plainBytes === undefined ? '?' : formatBytes(backup.plainBytes),
              formatBytes(backup.dataBytes),
              [stateText(backup), ...tierTexts(backup), ...holdTexts(backup, held)].join('; '),
            ]),
          ),
      shown.length === 0 ? undefined : `In ${where}.`,
      leftovers === 0 ? undefined : `${plural(leftovers, 'leftover')} of interrupted runs; the next backup removes those older than a day.`,
    ),
  );
  const list = shown.map((backup) => ({
    timestamp: backup.timestamp,
    component: backup.component,
    state: backup.state,
    found: backup.found?.toISOString() ?? null,
    holds: held.filter((hold) => isOn(hold, backup)).map(({ id, reason, until }) => ({ id, reason, until: until?.toISOString() ?? null })),
    plainBytes: backup.plainBytes ?? null,
    storedBytes: backup.dataBytes,
    tier: backup.tier?.name ?? null,
    readable: backup.offline === undefined,
  }));
  context.setOutput('count', shown.length);
  context.setOutput('latest', latest?.timestamp ?? '');
  context.setOutput('backups', JSON.stringify(list));
  return { result: { store: store.location, prefix, count: shown.length, latest: latest?.timestamp ?? null, leftovers, backups: list } };
}

function stateText({ state, found }: ListedBackup): string {
  const on = found === undefined ? '' : `, found on ${found.toISOString().slice(0, 16).replace('T', ' ')}`;
  return {
    verified: 'verified',
    committed: 'not fully read back',
    suspect: 'SUSPECT',
    damaged: `DAMAGED${on}`,
    keyless: `NO KEY${on}`,
    leftover: 'leftover',
    pruning: 'being removed',
  }[state];
}

/** Where the data lies, unless that is where the service puts everything. */
function tierTexts({ tier, offline }: ListedBackup): string[] {
  if (offline === 'rehydrating') return [`${tier?.name ?? 'archive'} tier, being brought back`];
  return tier === undefined || tier.inferred === true || tier.name === 'standard' ? [] : [`${tier.name} tier`];
}

function isOn(hold: Hold, { component, timestamp }: ListedBackup): boolean {
  return hold.component === component && hold.timestamp === timestamp;
}

function holdTexts(backup: ListedBackup, holds: readonly Hold[]): string[] {
  return holds
    .filter((hold) => isOn(hold, backup))
    .map(
      ({ id, reason, until }) => `held${until === undefined ? '' : ` until ${until.toISOString().slice(0, 10)}`}: ${reason} (hold ${id})`,
    );
}
