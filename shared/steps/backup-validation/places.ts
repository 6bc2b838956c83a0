// A validation in every store that it is about: each store's findings in its own records, and one end for all of them.
import type { StepReturn } from '../../step/define.ts';
import { UserError, VerificationError, withFix } from '../../step/errors.ts';
import type { Context } from './inputs.ts';
import type { Place } from '../../backup/place.ts';
import { openReadingPlaces } from '../../session/reading-places.ts';
import type { RunNotes } from '../../runs/record.ts';
import { lookAtPoint, type PointLook } from '../../runs/recovery-point.ts';

/** Validates what lies in one store. Throws when something is wrong with it, and when there is nothing. */
export type ValidateIn = (context: Context, place: Place, notes: RunNotes) => Promise<StepReturn>;

/** Opens the stores and, for a moment of all components, reads the recovery point. @throws UsageError, StoreError */
export async function placesToValidate(context: Context): Promise<PointLook> {
  const { component, timestamp } = context.inputs;
  const places = await openReadingPlaces(context);
  if (timestamp !== undefined && component === undefined) return lookAtPoint(context, places, timestamp);
  return { places, problems: [], doubts: [] };
}

/** @throws VerificationError when a backup is damaged or missing; UserError when nothing is there, or it could not be told */
export async function inEveryPlace(
  context: Context,
  { places, problems, doubts }: PointLook,
  notes: RunNotes,
  validate: ValidateIn,
): Promise<StepReturn> {
  const [only] = places;
  if (only && places.length === 1 && problems.length === 0) {
    const returned = await validate(context, only, notes);
    return { ...returned, doubts: [...(returned.doubts ?? []), ...doubts] };
  }
  const totals = new Map<string, number>();
  const adding: Context = {
    ...context,
    setOutput: (name, value) => {
      const sum = (totals.get(name) ?? 0) + Number(value);
      totals.set(name, sum);
      context.setOutput(name, name === 'timestamp' ? value : name === 'seconds' ? sum.toFixed(1) : sum);
    },
  };
  const returned: StepReturn[] = [];
  const failures: UserError[] = [];
  const elsewhere: { place: Place; notes: RunNotes }[] = [];
  for (const [index, place] of places.entries()) {
    const own: RunNotes = index === 0 ? notes : {};
    if (index > 0) elsewhere.push({ place, notes: own });
    try {
      returned.push(await validate(adding, place, own));
    } catch (thrown) {
      if (context.signal.aborted || !(thrown instanceof UserError)) throw thrown;
      failures.push(thrown);
    }
  }
  // A store that has read nothing has found nothing.
  notes.elsewhere = elsewhere.filter(({ notes: own }) => Object.keys(own).length > 0);
  const wrong = failures.filter((failure) => !(failure instanceof NothingToValidate));
  if (problems.length > 0 || wrong.length > 0 || returned.length === 0) throw failureOf(problems, wrong.length > 0 ? wrong : failures);
  const checked = returned.flatMap(({ result }) => (result as { checked: unknown[] }).checked);
  return {
    doubts: [...returned.flatMap((one) => one.doubts ?? []), ...doubts],
    result: { ...(returned[0]?.result as Record<string, unknown>), checked },
  };
}

/** There is no backup in a store that could be validated: no failure where another store has some. */
export class NothingToValidate extends UserError {}

function failureOf(problems: readonly string[], failures: readonly UserError[]): UserError {
  const [only] = failures;
  if (only && failures.length === 1 && problems.length === 0) return only;
  const damaged = failures.filter((failure) => !(failure instanceof NothingToValidate));
  const lines = [...problems, ...damaged.map(withFix)];
  const message = lines.length === 1 ? (lines[0] as string) : lines.map((line) => `- ${line}`).join('\n');
  const fix = 'Make a new backup of what is missing or damaged now, and look for copies of it in other stores.';
  if (problems.length > 0 || failures.some((failure) => failure instanceof VerificationError))
    return new VerificationError(message, { fix });
  return new UserError(message, { cause: new AggregateError(failures) });
}
