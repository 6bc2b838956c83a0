// What `list-backups` does: one listing, as a table, as JSON and as outputs.
import { existsSync } from 'node:fs';
import { holdsAt, listHolds, type Hold } from '../../catalog/hold.ts';
import { knownBackups } from '../../catalog/known.ts';
import { isAhead, type ListedBackup } from '../../catalog/list.ts';
import { prefixFolder } from '../../backup/layout.ts';
import type { StepReturn } from '../../step/define.ts';
import { formatAge, formatBytes, plural } from '../../step/format.ts';
import type { Context } from './inputs.ts';
import { nothingThere } from '../../session/components.ts';
import type { Place } from '../../backup/place.ts';
import { locationsText, openReadingPlaces } from '../../session/reading-places.ts';
import { heading, page, table } from '../../pages/summary.ts';

const DAY_MS = 86_400_000;

export async function runListBackups(context: Context): Promise<StepReturn> {
  const { days, component } = context.inputs;
  const { host, clock, signal } = context;
  const places = await openReadingPlaces(context);
  const [{ prefix }] = places;
  const now = clock.now();
  const query = {
    component,
    ...(days === undefined ? {} : { since: new Date(now.getTime() - days * DAY_MS) }),
    signal,
  };
  const lists = await Promise.all(places.map(async (place) => inPlace(place, await knownBackups(place.store, prefix, query))));
  const backups = lists.flat().sort((a, b) => (a.timestamp < b.timestamp ? 1 : a.timestamp > b.timestamp ? -1 : 0));
  const shown = backups.filter(({ state, whole }) => state !== 'leftover' && (state !== 'pruning' || whole));
  const leftovers = backups.filter(({ state }) => state === 'leftover').length;
  const held: Hold[] = [];
  for (const { store } of places)
    for (const name of new Set(shown.filter(({ location }) => location === store.location).map((backup) => backup.component)))
      held.push(...(await listHolds(store, prefix, name, signal)).filter((hold) => holdsAt(hold, now)));
  const latest = shown.find((backup) => backup.state === 'verified' && !isAhead(backup, now));

  const where = `${locationsText(places)}, below ${prefixFolder(prefix) || 'the root'}`;
  const missing = places.find(({ store }) => store.kind === 'folder' && !existsSync(store.location));
  const several = places.length > 1;
  const what = ` of ${prefix}${component === undefined ? '' : `/${component}`}`;
  const period = days === undefined ? '' : `, the last ${plural(days, 'day')}`;
  const poor = shown.filter(({ state }) => POOR.has(state)).length;
  // A mistyped name looks like a store without backups: what the store has instead is the clue.
  const elsewhere =
    shown.length > 0 || missing || several || days !== undefined ? undefined : await nothingThere(context, places[0], component);
  await host.summary(
    page(
      heading(
        latest === undefined || poor > 0 ? 'doubtful' : 'good',
        `${shown.length === 0 ? 'No backups' : plural(shown.length, 'backup')}${what}${period}${poor === 0 ? '' : `: ${poor} doubtful or damaged`}`,
      ),
      shown.length === 0
        ? missing
          ? `There is no folder ${missing.store.location}.`
          : `Nothing in ${where}.`
        : table(
            ['timestamp', 'component', 'age', 'dump', 'stored', 'state', ...(several ? ['in'] : [])],
            shown.map((backup) => [
              backup.timestamp,
              backup.component,
              formatAge(backup.time, now),
              backup.plainBytes === undefined ? '?' : formatBytes(backup.plainBytes),
              formatBytes(backup.dataBytes),
              [stateText(backup), ...tierTexts(backup), ...holdTexts(backup, held)].join('; '),
              ...(several ? [backup.location] : []),
            ]),
          ),
      shown.length === 0 ? undefined : `In ${where}.`,
      elsewhere?.fix,
      leftovers === 0 ? undefined : `${plural(leftovers, 'leftover')} of interrupted runs; the next backup removes those older than a day.`,
    ),
  );
  const list = shown.map((backup) => ({
    timestamp: backup.timestamp,
    component: backup.component,
    store: backup.location,
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
  return {
    result: { store: places[0].store.location, prefix, count: shown.length, latest: latest?.timestamp ?? null, leftovers, backups: list },
  };
}

/** What a restore passes over. */
const POOR: ReadonlySet<ListedBackup['state']> = new Set(['suspect', 'damaged', 'keyless', 'pruning']);

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

/** A backup and the address of its store. */
interface Placed extends ListedBackup {
  location: string;
}

/** Newest first. */
function inPlace({ store }: Place, backups: readonly ListedBackup[]): Placed[] {
  return backups.map((backup) => ({ ...backup, location: store.location })).reverse();
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
