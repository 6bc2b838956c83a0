// What a recovery point promises, held against the stores: every backup that it names must be there, each in its own store.
import { listBackups } from '../catalog/list.ts';
import { readPoint, type PointMember } from '../catalog/points.ts';
import type { StepContext } from '../step/define.ts';
import { UserError, VerificationError, withFix } from '../step/errors.ts';
import type { Timestamp } from '../step/timestamp.ts';
import type { PlaceInputs } from '../session/inputs.ts';
import type { Place } from '../backup/place.ts';
import { openPlaceAt } from '../session/open.ts';

/** What became of a recovery point. */
export interface PointLook {
  /** The places that were given, and those where further members lie. */
  places: Place[];
  /** What is missing or damaged, a sentence each. */
  problems: string[];
  /** What the point never had, a sentence each. */
  doubts: string[];
}

/** Reads the point in every place and looks for its members. Without a point of that moment nothing is missing. @throws StoreError */
export async function lookAtPoint(context: StepContext<PlaceInputs>, given: readonly Place[], timestamp: Timestamp): Promise<PointLook> {
  const look: PointLook = { places: [...given], problems: [], doubts: [] };
  const members = new Map<string, PointMember & { store: string }>();
  const without: Place[] = [];
  for (const place of given) {
    const { store, prefix } = place;
    try {
      const point = await readPoint(store, prefix, timestamp, context.signal);
      if (point === undefined) without.push(place);
      for (const member of point?.components ?? []) {
        const where = member.store ?? store.location;
        members.set(`${member.component} ${where}`, { ...member, store: where });
      }
    } catch (thrown) {
      if (!(thrown instanceof VerificationError)) throw thrown;
      look.problems.push(thrown.message);
    }
  }
  const made = [...members.values()].filter(({ outcome }) => outcome === 'succeeded' || outcome === 'partial');
  for (const member of made) await expectMember(context, look, member, timestamp);
  for (const { component, error } of [...members.values()].filter((member) => !made.includes(member)))
    look.doubts.push(
      `${component} has no backup in the recovery point ${timestamp}${error === undefined ? '' : `: ${error}`}.`.replace(/\.\.$/, '.'),
    );
  for (const { store } of without)
    if (made.some((member) => member.store === store.location))
      look.doubts.push(
        `${store.location} has a part of the recovery point ${timestamp}, and does not say so any more: its own record of it is lost.`,
      );
  return look;
}

async function expectMember(
  context: StepContext<PlaceInputs>,
  look: PointLook,
  { component, store: location }: { component: string; store: string },
  timestamp: Timestamp,
): Promise<void> {
  const place = look.places.find(({ store }) => store.location === location) ?? (await further(context, look, component, location));
  if (place === undefined) return;
  const { store, prefix } = place;
  const listed = (await listBackups(store, prefix, { component, signal: context.signal })).find((backup) => backup.timestamp === timestamp);
  if (listed && listed.state !== 'leftover') return;
  const what = listed ? 'has lost the manifest of it' : 'does not have it';
  look.problems.push(`The recovery point ${timestamp} names a backup of ${component} in ${location}, which ${what}.`);
}

/** A store that the point alone names; not looked at when the call is about one store. */
async function further(
  context: StepContext<PlaceInputs>,
  look: PointLook,
  component: string,
  location: string,
): Promise<Place | undefined> {
  if (context.origin('store') === 'input') {
    context.host.notice(`The recovery point has a backup of ${component} in ${location}, too, which is not looked at.`);
    return undefined;
  }
  try {
    const place = await openPlaceAt(context, location);
    look.places.push(place);
    return place;
  } catch (thrown) {
    if (context.signal.aborted || !(thrown instanceof UserError)) throw thrown;
    look.problems.push(`The recovery point names a backup of ${component} in ${location}, which cannot be looked at: ${withFix(thrown)}`);
    return undefined;
  }
}
