// Wraps a step's work so that every run leaves a record in the store, failed ones too.
import { hostname } from 'node:os';
import { writeRunRecord } from '../../catalog/runs.ts';
import type { JsonValue } from '../../backup/json.ts';
import type { StepContext, StepReturn } from '../../step/define.ts';
import { CancelledError, errorMessage, outcomeOf, UserError, type Outcome } from '../../step/errors.ts';
import { formatTimestamp, type Timestamp } from '../../step/timestamp.ts';
import type { Place } from './open.ts';

export interface RecordedRun {
  step: string;
  component: string;
  /** The backup that the run makes. */
  backup?: Timestamp;
}

/** Who holds a lock, for whoever is refused. */
export function lockOwner(context: StepContext, step: string): string {
  const { id, url } = context.host.run;
  return `${step}, run ${url ?? id} on ${hostname()}`;
}

/** Runs the work and writes the record, whatever happens. A record that cannot be written is a warning, never a failure. */
export async function recorded(context: StepContext, place: Place, run: RecordedRun, work: () => Promise<StepReturn>): Promise<StepReturn> {
  const started = context.clock.now();
  let outcome: Outcome = 'succeeded';
  let error: string | undefined;
  let returned: StepReturn = {};
  try {
    returned = await work();
    if ((returned.doubts?.length ?? 0) > 0) outcome = 'partial';
    return returned;
  } catch (thrown) {
    const kind = context.signal.aborted ? new CancelledError().kind : thrown instanceof UserError ? thrown.kind : 'failed';
    outcome = outcomeOf(kind);
    error = errorMessage(thrown);
    throw thrown;
  } finally {
    // A refusal touched nothing and is nobody's attempt at a backup.
    if (outcome !== 'refused') await write(context, place, run, { started, outcome, error, returned });
  }
}

async function write(
  context: StepContext,
  { store, prefix }: Place,
  { step, component, backup }: RecordedRun,
  { started, outcome, error, returned }: { started: Date; outcome: Outcome; error: string | undefined; returned: StepReturn },
): Promise<void> {
  try {
    await writeRunRecord(
      store,
      prefix,
      formatTimestamp(started),
      {
        step,
        outcome,
        component,
        started,
        finished: context.clock.now(),
        run: context.host.run,
        ...(backup === undefined ? {} : { backup }),
        ...(error === undefined ? {} : { error }),
        ...(returned.doubts?.length ? { warnings: returned.doubts } : {}),
        ...(returned.result === undefined ? {} : { result: returned.result as JsonValue }),
      },
      // Not the step's own signal: a cancelled run is recorded, too.
      AbortSignal.timeout(20_000),
    );
  } catch (thrown) {
    context.host.warning(`The record of this run could not be written: ${errorMessage(thrown)}`);
  }
}
