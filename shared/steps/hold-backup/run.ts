// What `hold-backup` and `release-hold` do: a hold in every store of the component, or away with it.
import { listHolds, releaseHolds, writeHold } from '../../catalog/hold.ts';
import { isBeingRemoved } from '../../catalog/in-use.ts';
import { pickBackup } from '../../catalog/pick.ts';
import type { StepContext, StepReturn } from '../../step/define.ts';
import { UserError } from '../../step/errors.ts';
import { plural } from '../../step/format.ts';
import { before, parsePeriod } from '../../step/period.ts';
import type { Context as HoldContext } from './inputs.ts';
import type { PlaceInputs, targetInputs } from '../../session/inputs.ts';
import type { Context as ReleaseContext } from '../release-hold/inputs.ts';
import { sessionOf } from '../../session/session.ts';
import { storedComponent } from '../../session/components.ts';
import { begunPlaces, placesOf, type ComponentPlaces, type NamedPlace } from '../../session/component-places.ts';
import { recorded } from '../../runs/record.ts';
import { facts, heading, page } from '../../pages/summary.ts';

async function heldPlaces(context: StepContext<PlaceInputs & Pick<typeof targetInputs, 'component'>>): Promise<ComponentPlaces> {
  const places = await placesOf(context, await storedComponent(context, sessionOf(context).kinds), context.inputs.store);
  return begunPlaces(places, { recipients: [], signal: context.signal });
}

export async function runHoldBackup(context: HoldContext): Promise<StepReturn> {
  const { reason, holdFor, timestamp } = context.inputs;
  const { host, clock, signal } = context;
  const places = await heldPlaces(context);
  const { component } = places;
  const [home] = places.chosen as [NamedPlace];
  return recorded(context, home, { component, effects: 'writes' }, async () => {
    const now = clock.now();
    const until = holdFor === 'ever' ? undefined : after(now, holdFor);
    const { backup, skipped } = await pickBackup({
      ...{ store: home.store, prefix: home.prefix, component, now, signal },
      timestamp,
    });
    if (skipped !== undefined) host.warning(skipped);
    let id: string | undefined;
    for (const { store, prefix } of places.chosen) {
      const hold = { component, timestamp: backup.timestamp, reason, until, by: host.run, now, id };
      id = await writeHold(store, prefix, hold, signal);
    }
    for (const place of places.chosen) {
      if (!(await isBeingRemoved(place, { component, timestamp: backup.timestamp, signal }))) continue;
      throw new UserError(
        `${component} ${backup.timestamp} in ${place.store.location} is being removed by retention: the hold came too late.`,
        {
          fix: 'list-backups shows what is left; hold another one.',
        },
      );
    }
    const end = until === undefined ? 'until it is released' : `until ${until.toISOString().slice(0, 16).replace('T', ' ')} UTC`;
    context.setOutput('timestamp', backup.timestamp);
    context.setOutput('hold', id ?? '');
    context.setOutput('until', until?.toISOString() ?? '');
    await host.summary(
      page(
        heading('good', `${home.prefix}/${component} ${backup.timestamp} is held`),
        facts([
          ['Held', end],
          ['Why', reason],
          ['Where', places.chosen.map(({ store }) => store.location).join(', ')],
          ['Hold', id ?? ''],
        ]),
      ),
    );
    return { result: { component, timestamp: backup.timestamp, hold: id ?? null, until: until?.toISOString() ?? null } };
  });
}

/** The moment a period after another. */
function after(moment: Date, period: string): Date {
  const { years, months, days, milliseconds } = parsePeriod(period);
  return before(moment, { years: -years, months: -months, days: -days, milliseconds: -milliseconds });
}

export async function runReleaseHold(context: ReleaseContext): Promise<StepReturn> {
  const inputs = context.inputs;
  const { host, clock, signal } = context;
  const places = await heldPlaces(context);
  const { component } = places;
  const [home] = places.chosen as [NamedPlace];
  return recorded(context, home, { component, effects: 'writes' }, async () => {
    // The latest, as hold-backup means it; a failed attempt since then changes nothing about its hold.
    const latest = { store: home.store, prefix: home.prefix, component, now: clock.now(), allowOlder: true, signal };
    const wanted = inputs.timestamp ?? (await pickBackup(latest)).backup.timestamp;
    const ids = new Set<string>();
    for (const { store, prefix } of places.chosen) {
      const holds = await listHolds(store, prefix, component, signal);
      for (const { id, timestamp } of holds) if (timestamp === wanted && (inputs.hold ?? id) === id) ids.add(id);
      await releaseHolds(store, prefix, { component, timestamp: wanted, id: inputs.hold }, signal);
    }
    if (ids.size === 0) {
      throw new UserError(
        `${component} ${wanted} has no ${inputs.hold === undefined ? 'hold' : `hold ${inputs.hold}`} in ${home.store.location}.`,
        {
          fix: 'list-backups shows which backups are held.',
        },
      );
    }
    context.setOutput('released', ids.size);
    await host.summary(page(heading('good', `${plural(ids.size, 'hold')} of ${home.prefix}/${component} ${wanted} released`)));
    return { result: { component, timestamp: wanted, released: [...ids] } };
  });
}
