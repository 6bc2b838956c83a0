// What `mongodb-restore` does: choose → plan → guards → prove the backup → safety backup → restore → prove the target.
import { lockName, restoreLockName, safetyComponent } from '../../backup/layout.ts';
import { lookEverywhere, placesText } from '../../catalog/everywhere.ts';
import { predictionText, predictRestore, type Prediction } from '../../catalog/prediction.ts';
import type { ArchiveReport } from '../../mongodb/archive-inspector.ts';
import type { Comparison } from '../../mongodb/compare.ts';
import { namespaceName } from '../../mongodb/archive.ts';
import { restoreProblem, type Restore, type RestoreOutcome, type RestorePlan, type RestoreWishes } from '../../mongodb/restore.ts';
import type { DestructionPlan, StepReturn } from '../../step/define.ts';
import { CancelledError, errorMessage, RefusedError, UserError, VerificationError } from '../../step/errors.ts';
import { formatBytes, plural } from '../../step/format.ts';
import { printable } from '../../step/prose.ts';
import type { Timestamp } from '../../step/timestamp.ts';
import type { Context } from '../mongodb-restore/inputs.ts';
import { lockInTurn } from '../../stores/lock-wait.ts';
import { StoreError } from '../../stores/errors.ts';
import type { Lock, LockOptions } from '../../stores/store.ts';
import { openKeys } from './open.ts';
import { withCopies } from './copy-backups.ts';
import { storedComponent } from './components.ts';
import { openRestoreInto } from './mongodb-address.ts';
import { restoreCommand } from './mongodb-texts.ts';
import { lockOwner, recorded } from './record.ts';
import { RestoreSource } from './restore-source.ts';
import { engineText, keepsText, occupiedLines, planSummary, renamingText, restoreSummary, staysText } from './restore-summary.ts';
import { backUpReplaced, madeBy } from './safety-backup.ts';
import { chooseBackup, openSources, seenPlaces, type ChosenBackup, type Sources } from './sources.ts';
import { findWayBack, wayBackFacts, type WayBack } from './way-back.ts';

const LOCK_EXPIRY_MS = 60_000;

type Inputs = Context['inputs'];

export async function runMongodbRestore(context: Context): Promise<StepReturn> {
  const inputs = context.inputs;
  const component = await storedComponent(context);
  const run = { component, effects: 'destroys' } as const;
  const restored = inputs.rollback ? safetyComponent(component) : component;
  return recorded(
    context,
    () => openSources(context, restored),
    run,
    async (sources, notes) => {
      const recipients = await openKeys(context);
      const wayBack = await findWayBack(context, { sources: await safetySources(context, sources, component), recipients, component });
      const { timestamp, copies, doubts } = choose(context, sources, { component, inputs, whole: wayBack.whole });
      notes.usedBackup = timestamp;
      const source = new RestoreSource(context, copies, recipients, inputs);
      const { manifest } = await source.open();
      const look = (): Promise<Restore> => openRestoreInto(context, wishesOf(context, inputs, manifest.content as ArchiveReport));
      const restore = new RestoreRun(context, { inputs, component, place: sources, source, doubts, wayBack, look, restore: await look() });
      try {
        const returned = await restore.run();
        return { ...returned, doubts: [...doubts, ...(returned.doubts ?? [])] };
      } finally {
        await restore.close();
      }
    },
  );
}

/** What the stores have of safety backups: a rollback has looked at them already. */
async function safetySources(context: Context, sources: Sources, component: string): Promise<Sources> {
  if (context.inputs.rollback) return sources;
  const { everywhere } = sources;
  try {
    const places = everywhere.seen.map(({ place }) => place);
    return { ...sources, only: undefined, everywhere: await lookEverywhere(places, safetyComponent(component), context.signal) };
  } catch (thrown) {
    if (context.signal.aborted) throw thrown;
    // Nothing that a restore of a good backup waits for.
    return { ...sources, only: undefined, everywhere: { ...everywhere, seen: [] } };
  }
}

function choose(
  context: Context,
  sources: Sources,
  { component, inputs, whole }: { component: string; inputs: Inputs; whole: Timestamp | undefined },
): ChosenBackup {
  const { timestamp, allowOlder, dryRun: planOnly } = inputs;
  if (!inputs.rollback) return chooseBackup(context, sources, { component, timestamp, allowOlder, planOnly });
  const wanted = timestamp ?? whole;
  if (wanted !== undefined) return chooseBackup(context, sources, { component: safetyComponent(component), timestamp: wanted, allowOlder });
  throw new UserError(`There is nothing to roll back: ${placesText({ seen: seenPlaces(sources) })} has no safety backup of ${component}.`, {
    fix: 'A restore makes one when it replaces collections that hold documents.',
  });
}

function wishesOf({ host, signal }: Context, inputs: Inputs, report: ArchiveReport): RestoreWishes {
  return {
    report,
    // A rollback puts back all that was replaced.
    ...(inputs.rollback || !inputs.include ? {} : { include: inputs.include }),
    ...(inputs.rollback || !inputs.exclude ? {} : { exclude: inputs.exclude }),
    ...(inputs.rename ? { renames: inputs.rename } : {}),
    ...(inputs.targetDatabase === undefined ? {} : { targetDatabase: inputs.targetDatabase }),
    replace: inputs.replace,
    spell: (input) => host.spell(input),
    signal,
  };
}

interface RestoreJob {
  inputs: Inputs;
  component: string;
  /** Where the run's lock and its safety backup go. */
  place: Sources;
  source: RestoreSource;
  /** Why the choice of the backup is doubtful. */
  doubts: readonly string[];
  /** The safety backups of restores before. */
  wayBack: WayBack;
  /** Looks at the target anew. */
  look: () => Promise<Restore>;
  restore: Restore;
}

/** A restore that was written and read back. */
interface Restored {
  outcome: RestoreOutcome;
  comparison: Comparison;
  /** Collections that a rollback has no way to drop. */
  stays: string[];
  seconds: { all: number; writing: number; proving: number };
}

class RestoreRun {
  readonly #context: Context;
  readonly #inputs: Inputs;
  readonly #component: string;
  readonly #place: Sources;
  readonly #source: RestoreSource;
  readonly #doubts: readonly string[];
  readonly #wayBack: WayBack;
  readonly #look: () => Promise<Restore>;
  #restore: Restore;
  #started: number;
  #safety: Timestamp | undefined;
  /** Seconds of what came before the writing. */
  #before = { proof: 0, safety: 0 };

  constructor(context: Context, { inputs, component, place, source, doubts, wayBack, look, restore }: RestoreJob) {
    this.#context = context;
    this.#inputs = inputs;
    this.#component = component;
    this.#place = place;
    this.#source = source;
    this.#doubts = doubts;
    this.#wayBack = wayBack;
    this.#look = look;
    this.#restore = restore;
    this.#started = context.clock.monotonic();
  }

  async run(): Promise<StepReturn> {
    const { host, signal } = this.#context;
    const { store, prefix } = this.#place;
    for (const warning of this.#restore.plan.warnings) host.warning(warning);
    if (!this.#inputs.dryRun) {
      this.#source.refuseArchived();
      this.#restore.refuseOccupied();
    }
    const predicted = await this.#predict();
    const plan = this.#plan(predicted.text);
    // Whoever started it from a phone sees the job's summary first; a terminal shows the plan anyway.
    const goesOn = !this.#inputs.dryRun && this.#inputs.confirm === plan.confirmation;
    if (host.kind !== 'terminal' && !goesOn) await host.summary(planSummary(plan));
    if (!(await this.#context.confirmDestruction(plan))) {
      const { seconds, rehydrationSeconds } = predicted;
      return {
        result: { dryRun: true, source: this.#source.location, predictedSeconds: seconds, rehydrationSeconds, plan: this.#restore.plan },
      };
    }
    if (await this.#source.bringBack()) await this.#lookAgain();
    // A backup of a database that is half restored would be a trap: the component is locked meanwhile. What is restored elsewhere only reads.
    const name = this.#writesOwnData() ? lockName(prefix, this.#component) : restoreLockName(prefix, this.#component);
    const onNotice = (message: string): void => {
      host.notice(message);
    };
    const options: LockOptions = {
      owner: lockOwner(this.#context),
      expiresAfter: LOCK_EXPIRY_MS,
      onTakeover: (previous) => {
        onNotice(`Took over the expired lock of ${this.#component} from ${previous}.`);
      },
      signal,
    };
    const lock = await this.#lockOrGoOn(() => lockInTurn(store, name, options, { lockWait: this.#inputs.lockWait, onNotice }));
    // Stopping half-way would be worse than a backup that somebody makes of it meanwhile.
    const onLost = (): void => {
      host.warning(
        `The lock of ${this.#component} was lost, and the restore goes on: a backup that begins before it has ended is of a half-restored database.`,
      );
    };
    lock?.lost.addEventListener('abort', onLost, { once: true });
    try {
      await this.#source.protect();
      const begun = this.#context.clock.monotonic();
      if (this.#inputs.verifyFirst) await this.#source.prove();
      const proved = this.#context.clock.monotonic();
      await this.#backUpTarget();
      const saved = this.#safety === undefined ? proved : this.#context.clock.monotonic();
      this.#before = { proof: this.#inputs.verifyFirst ? (proved - begun) / 1000 : 0, safety: (saved - proved) / 1000 };
      return await this.#copySafety(await this.#restoreAndProve());
    } catch (thrown) {
      throw this.#withWayBack(thrown);
    } finally {
      lock?.lost.removeEventListener('abort', onLost);
      await lock?.release();
    }
  }

  /** False for a restore under other names, or into another server: what the component's backups are made of stays as it is. */
  #writesOwnData(): boolean {
    const { fingerprint: source } = this.#source.opened.manifest.source;
    const { fingerprint, namespaces } = this.#restore.plan;
    const isPod = (address: string): boolean => address.startsWith('kubernetes:');
    // One server may be reached from outside and from inside its pod.
    const elsewhere = source !== undefined && isPod(source) === isPod(fingerprint) && source !== fingerprint;
    return !elsewhere && namespaces.some(({ from, to }) => from === to);
  }

  /** When the database is back: nobody waits for copies at 3 a.m. */
  async #copySafety(returned: StepReturn): Promise<StepReturn> {
    if (this.#safety === undefined) return returned;
    const component = safetyComponent(this.#component);
    const { copies } = this.#place;
    return withCopies(this.#context, returned, { place: this.#place, component, copies, recipients: this.#source.recipients });
  }

  async close(): Promise<void> {
    await this.#source.release();
    await this.#restore.close();
  }

  /** Hours may have passed since the plan was confirmed. @throws RefusedError when it would no longer be the same */
  async #lookAgain(): Promise<void> {
    const confirmed = this.#losses(this.#restore.plan).join();
    await this.#restore.close();
    this.#restore = await this.#look();
    this.#started = this.#context.clock.monotonic();
    this.#restore.refuseOccupied();
    if (this.#losses(this.#restore.plan).join() !== confirmed) {
      throw new RefusedError('The target changed while the backup was brought back from the archive. Nothing was touched.', {
        fix: 'Look at the plan again, and run the restore again: the backup can be read now.',
      });
    }
  }

  /** How long it will take. What cannot be looked up must not keep a database from being restored. */
  async #predict(): Promise<{ text: string; seconds: number | null; rehydrationSeconds: number | null }> {
    const { host, signal } = this.#context;
    const { sizes, durationMs } = this.#source.opened.manifest;
    const { rehydration } = this.#source;
    let prediction: Prediction = { seconds: undefined, basis: '' };
    try {
      const without = [
        ...(this.#inputs.verifyFirst ? [] : (['proof'] as const)),
        ...(this.#inputs.safetyBackup && this.#restore.plan.occupied.length > 0 ? [] : (['safety'] as const)),
      ];
      const about = { step: this.#context.step, component: this.#component, plainBytes: sizes.plain, durationMs, without };
      prediction = await predictRestore(this.#place, about, signal);
    } catch (thrown) {
      if (signal.aborted) throw thrown;
      host.debug(`How long the restore will take is not known: ${errorMessage(thrown)}`);
    }
    const seconds = prediction.seconds === undefined ? null : Math.round(prediction.seconds);
    const rehydrationSeconds = rehydration === undefined ? null : rehydration.ms / 1000;
    return { text: predictionText(prediction, rehydration), seconds, rehydrationSeconds };
  }

  #plan(takes: string): DestructionPlan {
    const { manifest } = this.#source.opened;
    const { plan } = this.#restore;
    const documents = plan.namespaces.reduce((sum, one) => sum + one.documents, 0);
    const renaming = renamingText(plan);
    return {
      title: this.#inputs.rollback ? 'Plan: put back what the last restore replaced' : 'Plan: restore a MongoDB backup',
      facts: [
        ['Backup', `${this.#source.label}, ${formatBytes(manifest.sizes.plain)}, in ${this.#source.location}`],
        ['Made from', manifest.source.fingerprint ?? 'unknown'],
        ['Target', `${plan.fingerprint} (version ${plan.targetVersion})`],
        ['Restores', `${plural(documents, 'document')} in ${plural(plan.namespaces.length, 'collection')}, with ${engineText(plan)}`],
        ...(renaming === undefined ? [] : [['Restores as', renaming] as [string, string]]),
        ['Keeps', keepsText(plan)],
        ['Takes', takes],
        ...this.#wayBackFacts(),
        ...this.#doubts.map((doubt): [string, string] => ['Doubtful', doubt]),
      ],
      losses: this.#losses(plan),
      confirmation: this.#inputs.name,
    };
  }

  #wayBackFacts(): [string, string][] {
    const { rollback } = this.#inputs;
    return wayBackFacts(this.#wayBack, { component: this.#component, rollback, chosen: this.#source.timestamp });
  }

  #losses({ occupied }: RestorePlan): string[] {
    const after = this.#inputs.replace ? 'replaced' : `in the way (allow it with ${this.#context.host.spell('replace')})`;
    return [
      ...occupiedLines(occupied, after),
      ...this.#madeByRestore().map((name) => `${printable(name)}: made by that restore, is dropped`),
    ];
  }

  /** Collections that the restore to be rolled back had made. */
  #madeByRestore(): string[] {
    if (!this.#inputs.rollback) return [];
    const { manifest } = this.#source.opened;
    const kept = new Set((manifest.content as ArchiveReport).namespaces.map(namespaceName));
    const later = this.#source.timestamp === this.#wayBack.whole ? this.#wayBack.made : [];
    return [...new Set([...madeBy(manifest), ...later])].filter((name) => !kept.has(name));
  }

  /** A store that may only be read, or has no room for a lock, can be restored from all the same. @throws LockedError */
  async #lockOrGoOn(take: () => Promise<Lock>): Promise<Lock | undefined> {
    try {
      return await take();
    } catch (thrown) {
      if (this.#context.signal.aborted || !(thrown instanceof StoreError)) throw thrown;
      this.#context.host.notice(`${thrown.message} The restore goes on without: see to it that no other run restores meanwhile.`);
      return undefined;
    }
  }

  async #backUpTarget(): Promise<void> {
    if (!this.#inputs.safetyBackup) return;
    this.#safety = await backUpReplaced(this.#context, {
      restore: this.#restore,
      place: this.#place,
      recipients: this.#source.recipients,
      component: this.#component,
      replacedBy: this.#source.label,
      limitRate: this.#inputs.limitRate,
    });
    if (this.#safety === undefined) return;
    this.#context.host.notice(
      `What is replaced is in the safety backup ${safetyComponent(this.#component)} ${this.#safety}. To put it back: ${this.#rollbackCommand()}`,
    );
    const { whole, interrupted } = this.#wayBack;
    if (!interrupted || this.#inputs.rollback || whole === undefined) return;
    const component = safetyComponent(this.#component);
    this.#context.host.notice(
      `The restore before was interrupted: that rollback puts back ${component} ${whole}, the last whole state, and not what it had left (${this.#safety}).`,
    );
  }

  async #restoreAndProve(): Promise<StepReturn> {
    const { host, clock } = this.#context;
    const progress = (update: Parameters<typeof host.progress>[0]): void => {
      host.progress(update);
    };
    const writing = clock.monotonic();
    const outcome = await this.#restore.run(this.#source.opened.plain({ reuse: true }), progress);
    const made = this.#madeByRestore();
    const stays = made.length > 0 ? await this.#restore.drop(made) : [];
    const proving = clock.monotonic();
    host.info(`${plural(outcome.documents, 'document')} sent. Reading the target back: what arrived counts.`);
    const comparison = await this.#restore.prove(progress);
    const ended = clock.monotonic();
    return this.#report({
      outcome,
      comparison,
      stays,
      seconds: { all: (ended - this.#started) / 1000, writing: (proving - writing) / 1000, proving: (ended - proving) / 1000 },
    });
  }

  /** Says what came of it. @throws VerificationError when the target is not what the backup holds */
  async #report({ outcome, comparison, stays, seconds }: Restored): Promise<StepReturn> {
    const { component, timestamp, label, location, passed } = this.#source;
    const { fingerprint } = this.#restore.plan;
    const plainBytes = this.#source.opened.manifest.sizes.plain;
    const problem = restoreProblem(outcome, comparison);
    const doubts = [...outcome.notes, ...(stays.length === 0 ? [] : [staysText(stays)])];
    this.#context.setOutput('timestamp', timestamp);
    this.#context.setOutput('documents', comparison.totals.found);
    this.#context.setOutput('safetyTimestamp', this.#safety ?? '');
    this.#context.setOutput('seconds', seconds.all.toFixed(1));
    const safety =
      this.#safety === undefined
        ? undefined
        : { label: `${safetyComponent(this.#component)} ${this.#safety}`, rollback: this.#rollbackCommand() };
    await this.#context.host.summary(
      restoreSummary({ label, timestamp, location, passed, fingerprint, comparison, problem, doubts, plainBytes, seconds, safety }),
    );
    if (problem !== undefined) {
      throw new VerificationError(`The restore from ${component} ${timestamp} is not what the backup holds: ${problem}`, {
        fix:
          safety === undefined
            ? 'The table in the summary says which collections differ. Nothing was replaced.'
            : `Put back what was replaced: ${safety.rollback}`,
      });
    }
    return {
      doubts,
      result: {
        component,
        timestamp,
        source: location,
        passedOver: passed,
        target: fingerprint,
        plainBytes,
        documents: comparison.totals.found,
        collections: comparison.rows.length,
        verdict: comparison.verdict,
        safetyTimestamp: this.#safety ?? null,
        seconds: Number(seconds.all.toFixed(1)),
        phases: {
          proof: toTenths(this.#before.proof),
          safety: toTenths(this.#before.safety),
          writing: toTenths(seconds.writing),
          readBack: toTenths(seconds.proving),
        },
        notes: outcome.notes,
        rows: comparison.rows,
      },
    };
  }

  /** Whatever ends a restore half-way (a cancel, a server that went away), what was replaced can be put back: the last thing said. */
  #withWayBack(thrown: unknown): unknown {
    if (this.#safety === undefined || !(thrown instanceof UserError) || thrown.fix?.includes(this.#rollbackCommand())) return thrown;
    const fix = `${thrown.fix === undefined ? '' : `${thrown.fix} `}Put back what was replaced: ${this.#rollbackCommand()}`;
    const options = { fix, cause: thrown };
    if (thrown instanceof CancelledError) return new CancelledError(thrown.message, options);
    if (thrown instanceof VerificationError) return new VerificationError(thrown.message, options);
    return new UserError(thrown.message, options);
  }

  #rollbackCommand(): string {
    const { everywhere, store } = this.#place;
    // Its safety backup lies where something answered.
    const away = everywhere.unseen.some(({ label }) => label === everywhere.home);
    const { name } = this.#inputs;
    return restoreCommand(this.#context, { component: this.#component, name, rollback: true, store: away ? store.location : undefined });
  }
}

/** Seconds for a record; what took any time at all is not nothing. */
function toTenths(seconds: number): number {
  return seconds > 0 ? Math.max(0.1, Number(seconds.toFixed(1))) : 0;
}
