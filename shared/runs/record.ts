// Wraps a step's work so that every run leaves a record in the store and an audit entry where it changed something, and the right people are told.
import { hostname } from 'node:os';
import { AzureSignInError } from '../azure/sign-in-errors.ts';
import { writeAudit, type AuditEvent } from '../catalog/audit.ts';
import { writeRunRecord } from '../catalog/runs.ts';
import type { JsonValue } from '../backup/json.ts';
import type { Effects, StepContext, StepReturn } from '../step/define.ts';
import { CancelledError, errorMessage, outcomeOf, UserError, type ErrorKind, type Outcome } from '../step/errors.ts';
import type { History } from '../notify/compose.ts';
import type { Masker } from '../step/masking.ts';
import { ObjectExistsError, StoreError } from '../stores/errors.ts';
import { formatTimestamp, type Timestamp } from '../step/timestamp.ts';
import type { RecordedInputs } from '../session/inputs.ts';
import { historyOf, openAnnouncer } from './announce.ts';
import { nextCommand } from '../pages/next-command.ts';
import type { Place } from '../backup/place.ts';
import { maskerOf } from './secrets.ts';

export interface RecordedRun {
  /** Absent: a run about several components. */
  component?: string | undefined;
  /** The backup that the run makes. */
  backup?: Timestamp;
  /** Default: `writes` for a run that makes a backup, else `reads`. What writes or destroys is in the audit log. */
  effects?: Effects;
}

/** What a run finds out on its way and its record keeps, however it ends. */
export interface RunNotes {
  /** Backups that were found bad, as `<component>/<timestamp>`; and those that were found good. */
  badBackups?: readonly string[];
  goodBackups?: readonly string[];
  /** Backups that no key given opens any more. */
  keylessBackups?: readonly string[];
  /** Backups whose data is good and whose metadata is not. */
  wrongMetadata?: readonly string[];
  /** What was found in further places: each of them gets a record of its own, which its listing goes by. */
  elsewhere?: readonly { place: Place; notes: RunNotes }[];
  /** The backup that was chosen to be restored, for the audit log. */
  usedBackup?: Timestamp;
}

/** How the work ended. */
interface Ending {
  started: Date;
  outcome: Outcome;
  error?: string;
  errorKind?: ErrorKind | 'bug';
  fix?: string;
  /** The store or the sign-in failed: the store will hardly take a record now. */
  storeFailed?: boolean;
  returned: StepReturn;
  notes: RunNotes;
}

/** The store answers within this time or goes without; not the step's own signal: a cancelled run is recorded, too. */
const WRITE_MS = 20_000;
/** The same where it has just failed: no one wants to wait for it again. */
const BRIEF_MS = 3_000;

/** Who holds a lock, for a run that is refused. */
export function lockOwner({ host, step }: StepContext): string {
  const { id, url } = host.run;
  return `${step}, run ${url ?? id} on ${hostname()}`;
}

/**
 * Runs the work, writes the record and tells who is to be told, whatever happens. A record or a message that fails is a warning, never a failure.
 * @param place the store, or what opens it: then a store that cannot be opened is told, too
 */
export async function recorded<P extends Place>(
  context: StepContext<RecordedInputs>,
  place: P | (() => Promise<P>),
  run: RecordedRun,
  work: (place: P, notes: RunNotes) => Promise<StepReturn>,
): Promise<StepReturn> {
  const started = context.clock.now();
  const masker = maskerOf(context);
  const rehearsal = context.inputs.dryRun === true;
  const announcer = rehearsal
    ? undefined
    : await openAnnouncer(context, { component: run.component, beat: run.backup !== undefined, masker });
  announcer?.begin();
  const ending: Ending = { started, outcome: 'succeeded', returned: {}, notes: {} };
  let opened: P | undefined;
  try {
    opened = typeof place === 'function' ? await place() : place;
    if (!rehearsal && run.effects === 'destroys') await audit(context, opened, run, { at: started, event: 'begun' }, masker);
    ending.returned = await work(opened, ending.notes);
    if ((ending.returned.doubts?.length ?? 0) > 0) ending.outcome = 'partial';
    return ending.returned;
  } catch (thrown) {
    Object.assign(ending, failureOf(context, thrown, masker));
    throw thrown;
  } finally {
    // A plan touched nothing: it is no attempt.
    const record = rehearsal ? undefined : opened && (await write(context, opened, run, ending));
    const gone = ending.storeFailed === true && record === undefined;
    const ended = { at: context.clock.now(), event: ending.outcome, backup: ending.notes.usedBackup, error: ending.error };
    if (opened && !rehearsal && !gone) await audit(context, opened, run, ended, masker);
    for (const other of rehearsal ? [] : (ending.notes.elsewhere ?? []))
      await write(context, other.place, run, { ...ending, notes: other.notes });
    const history = async (): Promise<History> =>
      gone ? {} : historyOf(context, opened, { step: context.step, component: run.component }, record);
    const known = await remember(context, run, ending, rehearsal ? async () => ({}) : history);
    await announcer?.end(endedRun(context, run, ending), async () => known ?? history());
  }
}

/** Keeps for the job's summary what a person wants to know after a failure. @returns what was read for it */
async function remember(
  context: StepContext<RecordedInputs>,
  { component, backup }: RecordedRun,
  { outcome }: Ending,
  history: () => Promise<History>,
): Promise<History | undefined> {
  context.remember({ component });
  // A terminal shows the error alone; a cancelled run is killed in seconds.
  if (outcome !== 'failed' || context.host.kind === 'terminal' || context.signal.aborted) return undefined;
  const known = await history();
  const { lastGoodBackup: good } = known;
  context.remember({
    next: nextCommand(context, { component, backup, outcome }),
    lastGoodBackup: good === undefined || good === null ? good : `${good.timestamp} (${momentText(good.time)})`,
  });
  return known;
}

/** `2024-12-01 12:00 UTC`. */
function momentText(moment: Date): string {
  return `${moment.toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

function failureOf(
  { signal }: StepContext,
  thrown: unknown,
  masker: Masker,
): Pick<Ending, 'outcome' | 'error' | 'errorKind' | 'fix' | 'storeFailed'> {
  const kind = thrown instanceof UserError ? thrown.kind : 'failed';
  const known = signal.aborted && kind !== 'refused' ? new CancelledError().kind : kind;
  const fix = thrown instanceof UserError ? thrown.fix : undefined;
  return {
    outcome: outcomeOf(known),
    error: masker.clean(errorMessage(thrown)),
    errorKind: thrown instanceof UserError || signal.aborted ? known : 'bug',
    storeFailed: thrown instanceof AzureSignInError || (thrown instanceof StoreError && !(thrown instanceof ObjectExistsError)),
    ...(fix === undefined ? {} : { fix: masker.clean(fix) }),
  };
}

function endedRun(context: StepContext<RecordedInputs>, run: RecordedRun, { started, outcome, error, fix, returned }: Ending) {
  const { host, clock, inputs, step } = context;
  const { component } = run;
  const next = nextCommand(context, { component, backup: run.backup, outcome });
  return {
    step,
    component,
    name: inputs.name,
    outcome,
    error,
    fix,
    doubts: returned.doubts,
    next,
    started,
    finished: clock.now(),
    run: host.run,
  };
}

/** @returns the record's name */
async function write(
  context: StepContext<RecordedInputs>,
  { store, prefix }: Place,
  run: RecordedRun,
  ending: Ending,
): Promise<string | undefined> {
  const { step } = context;
  const { component, backup } = run;
  const { started, outcome, error, errorKind, returned, notes } = ending;
  // A refusal or an input that is wrong touched nothing, and is no attempt at a backup.
  if (outcome === 'refused' || errorKind === 'usage') return undefined;
  try {
    return await writeRunRecord(
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
        backup,
        error,
        errorKind,
        badBackups: listed(notes.badBackups),
        goodBackups: listed(notes.goodBackups),
        keylessBackups: listed(notes.keylessBackups),
        wrongMetadata: listed(notes.wrongMetadata),
        ...(returned.doubts?.length ? { warnings: returned.doubts } : {}),
        ...(returned.result === undefined ? {} : { result: returned.result as JsonValue }),
      },
      AbortSignal.timeout(ending.storeFailed === true ? BRIEF_MS : WRITE_MS),
    );
  } catch (thrown) {
    // The reason has just been told.
    const why = ending.storeFailed === true ? `${store.location} does not take it.` : errorMessage(thrown);
    const text = `The record of this run could not be written: ${why}`;
    if (error !== undefined && context.warnAfterwards) context.warnAfterwards(text);
    else context.host.warning(text);
    return undefined;
  }
}

function listed(names: readonly string[] = []): readonly string[] | undefined {
  return names.length === 0 ? undefined : names;
}

/** An entry of the audit log for what writes or destroys. A log that cannot be written must not stand in the way of a recovery: it is a warning. */
async function audit(
  context: StepContext<RecordedInputs>,
  { store, prefix }: Place,
  { component, backup, effects = backup === undefined ? 'reads' : 'writes' }: RecordedRun,
  event: Pick<AuditEvent, 'at' | 'event' | 'backup' | 'error'>,
  masker: Masker,
): Promise<void> {
  if (effects === 'reads') return;
  const { reason, timestamp } = context.inputs;
  try {
    await writeAudit(
      store,
      prefix,
      context.host.run,
      {
        ...event,
        step: context.step,
        effects,
        component,
        backup: event.backup ?? backup ?? timestamp,
        reason: reason === undefined ? undefined : masker.clean(reason),
      },
      AbortSignal.timeout(WRITE_MS),
    );
  } catch (thrown) {
    context.host.warning(`The audit log could not be written: ${errorMessage(thrown)}`);
  }
}
