// What a restore step does, for every kind: choose → plan → guards → prove the backup → safety backup → restore → prove the target.
import { lockName, restoreLockName, safetyComponent } from '../backup/layout.ts';
import { lookEverywhere, placesText } from '../catalog/everywhere.ts';
import { predictionText, predictRestore, type Prediction } from '../catalog/prediction.ts';
import { reportOf, type Proof, type Target } from '../backup/kind.ts';
import type { AnyKind } from '../kinds/registry.ts';
import type { DestructionPlan, StepReturn } from '../step/define.ts';
import { CancelledError, errorMessage, RefusedError, UserError, VerificationError } from '../step/errors.ts';
import { formatBytes, items } from '../step/format.ts';
import { printable } from '../step/prose.ts';
import type { Timestamp } from '../step/timestamp.ts';
import type { RestoreContext as Context } from './restore-inputs.ts';
import { lockInTurn } from '../stores/lock-wait.ts';
import { StoreError } from '../stores/errors.ts';
import type { Lock, LockOptions } from '../stores/store.ts';
import { openKeys } from '../session/open.ts';
import { withCopies } from './copy.ts';
import { storedComponent } from '../session/components.ts';
import { restoreCommand } from '../pages/restore-command.ts';
import { lockOwner, recorded } from './record.ts';
import { RestoreSource } from './restore-source.ts';
import { planSummary, restoreSummary } from '../pages/restore.ts';
import { backUpReplaced, madeBy } from './safety-backup.ts';
import { chooseBackup, openSources, seenPlaces, type ChosenBackup, type Sources } from '../session/sources.ts';
import { findWayBack, wayBackFacts, type WayBack } from './way-back.ts';

const LOCK_EXPIRY_MS = 60_000;

type Inputs = Context['inputs'];

/** Restores a backup of a component. */
export async function runRestore(kind: AnyKind, context: Context): Promise<StepReturn> {
  const inputs = context.inputs;
  const component = await storedComponent(context, kind);
  const run = { component, effects: 'destroys' } as const;
  const restored = inputs.rollback ? safetyComponent(component) : component;
  return recorded(
    context,
    () => openSources(context, restored),
    run,
    async (sources, notes) => {
      const recipients = await openKeys(context);
      const wayBack = await findWayBack(context, kind, {
        sources: await safetySources(context, sources, component),
        recipients,
        component,
      });
      const { timestamp, copies, doubts } = choose(context, sources, { component, inputs, whole: wayBack.whole });
      notes.usedBackup = timestamp;
      const work = await kind.load();
      const source = new RestoreSource(context, copies, { recipients, newInspector: work.newInspector }, inputs);
      const { manifest } = await source.open();
      const { openTarget } = work;
      if (!openTarget) throw new Error(`components of kind ${kind.kind} are not restored`);
      const report = reportOf(kind, manifest);
      const { rollback, replace } = inputs;
      const read = (): AsyncIterable<Uint8Array> => {
        source.refuseArchived();
        return source.opened.plain();
      };
      const look = (): Promise<Target> => openTarget(context, { report, read, rollback, replace });
      const job = { inputs, component, place: sources, source, doubts, wayBack, look, target: await look() };
      const restore = new RestoreRun(context, kind, job);
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
    fix: 'A restore makes one when it replaces something.',
  });
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
  look: () => Promise<Target>;
  target: Target;
}

/** A restore that was written and read back. */
interface Restored {
  written: Awaited<ReturnType<Target['write']>>;
  proof: Proof;
  /** What a rollback has no way to remove. */
  stays: string | undefined;
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
  readonly #look: () => Promise<Target>;
  readonly #kind: AnyKind;
  #target: Target;
  #started: number;
  #safety: Timestamp | undefined;
  /** Seconds of what came before the writing. */
  #before = { proof: 0, safety: 0 };

  constructor(context: Context, kind: AnyKind, { inputs, component, place, source, doubts, wayBack, look, target }: RestoreJob) {
    this.#kind = kind;
    this.#context = context;
    this.#inputs = inputs;
    this.#component = component;
    this.#place = place;
    this.#source = source;
    this.#doubts = doubts;
    this.#wayBack = wayBack;
    this.#look = look;
    this.#target = target;
    this.#started = context.clock.monotonic();
  }

  async run(): Promise<StepReturn> {
    const { host, signal } = this.#context;
    const { store, prefix } = this.#place;
    for (const warning of this.#target.warnings) host.warning(warning);
    if (!this.#inputs.dryRun) {
      this.#source.refuseArchived();
      this.#target.refuseOccupied();
    }
    const predicted = await this.#predict();
    const plan = await this.#plan(predicted.text);
    // A person who started it from a phone sees the job's summary first; a terminal shows the plan anyway.
    const goesOn = !this.#inputs.dryRun && this.#inputs.confirm === plan.confirmation;
    if (host.kind !== 'terminal' && !goesOn) await host.summary(planSummary(plan));
    if (!(await this.#context.confirmDestruction(plan))) {
      const { seconds, rehydrationSeconds } = predicted;
      return {
        result: { dryRun: true, source: this.#source.location, predictedSeconds: seconds, rehydrationSeconds, plan: this.#target.plan },
      };
    }
    if (await this.#source.bringBack()) await this.#lookAgain();
    // A backup of a database that is half restored would be a trap: the component is locked meanwhile. What is restored elsewhere only reads.
    const name = this.#target.isHome(this.#source.opened.manifest.source.fingerprint)
      ? lockName(prefix, this.#component)
      : restoreLockName(prefix, this.#component);
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
    // Stopping half-way would be worse than a backup that another run makes of it meanwhile.
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

  /** When the database is back: no one waits for copies at 3 a.m. */
  async #copySafety(returned: StepReturn): Promise<StepReturn> {
    if (this.#safety === undefined) return returned;
    const component = safetyComponent(this.#component);
    const { copies } = this.#place;
    return withCopies(this.#context, returned, { place: this.#place, component, copies, recipients: this.#source.recipients });
  }

  async close(): Promise<void> {
    await this.#source.release();
    await this.#target.close();
  }

  /** Hours may have passed since the plan was confirmed. @throws RefusedError when it would no longer be the same */
  async #lookAgain(): Promise<void> {
    const confirmed = (await this.#losses()).join();
    await this.#target.close();
    this.#target = await this.#look();
    this.#started = this.#context.clock.monotonic();
    this.#target.refuseOccupied();
    if ((await this.#losses()).join() !== confirmed) {
      throw new RefusedError('The target changed while the backup was brought back from the archive. Nothing was restored.', {
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
        ...(this.#inputs.safetyBackup && this.#target.present() !== undefined ? [] : (['safety'] as const)),
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

  async #plan(takes: string): Promise<DestructionPlan> {
    const { manifest } = this.#source.opened;
    return {
      title: this.#inputs.rollback ? 'Plan: put back what the last restore replaced' : `Plan: restore a ${this.#kind.noun} backup`,
      facts: [
        ['Backup', `${this.#source.label}, ${formatBytes(manifest.sizes.plain)}, in ${this.#source.location}`],
        ['Made from', manifest.source.fingerprint ?? 'unknown'],
        ...this.#target.facts.map(([label, value]): [string, string] => [label, value]),
        ['Takes', takes],
        ...this.#wayBackFacts(),
        ...this.#doubts.map((doubt): [string, string] => ['Doubtful', doubt]),
      ],
      losses: await this.#losses(),
      confirmation: this.#inputs.name,
    };
  }

  #wayBackFacts(): [string, string][] {
    const { rollback } = this.#inputs;
    return wayBackFacts(this.#wayBack, { component: this.#component, rollback, chosen: this.#source.timestamp });
  }

  async #losses(): Promise<string[]> {
    const after = this.#inputs.replace ? 'replaced' : `in the way (allow it with ${this.#context.host.spell('replace')})`;
    return [
      ...this.#target.losses(after),
      ...(await this.#madeByRestore()).map((name) => `${printable(name)}: made by that restore, is dropped`),
    ];
  }

  /** What the restore to be rolled back had made. */
  async #madeByRestore(): Promise<string[]> {
    if (!this.#inputs.rollback) return [];
    const { manifest } = this.#source.opened;
    const work = await this.#kind.load();
    const kept = new Set(work.names(reportOf(this.#kind, manifest)));
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
    this.#safety = await backUpReplaced(this.#context, this.#kind, {
      target: this.#target,
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
    const written = await this.#target.write(this.#source.opened.plain({ reuse: true }), progress);
    const made = await this.#madeByRestore();
    const stays = made.length > 0 ? await this.#target.remove?.(made) : undefined;
    const proving = clock.monotonic();
    host.info(`${items(written.units, this.#kind.unit)} sent. Reading the target back: what arrived counts.`);
    const proof = await this.#target.prove(progress);
    const ended = clock.monotonic();
    return this.#report({
      written,
      proof,
      stays,
      seconds: { all: (ended - this.#started) / 1000, writing: (proving - writing) / 1000, proving: (ended - proving) / 1000 },
    });
  }

  /** Says what came of it. @throws VerificationError when the target is not what the backup holds */
  async #report({ written, proof, stays, seconds }: Restored): Promise<StepReturn> {
    const { component, timestamp, label, location, passed } = this.#source;
    const { fingerprint } = this.#target;
    const { manifest } = this.#source.opened;
    const plainBytes = manifest.sizes.plain;
    const { found, rows, problem, verdict } = proof;
    const { unit, groups, noun } = this.#kind;
    const { group } = (await this.#kind.load()).count(reportOf(this.#kind, manifest));
    const doubts = [...written.notes, ...(stays === undefined ? [] : [stays])];
    this.#context.setOutput('timestamp', timestamp);
    this.#context.setOutput('items', found);
    // The step's definition has the name of the kind's own unit, too.
    this.#context.setOutput(unit as 'items', found);
    this.#context.setOutput('safetyTimestamp', this.#safety ?? '');
    this.#context.setOutput('seconds', seconds.all.toFixed(1));
    const safety =
      this.#safety === undefined
        ? undefined
        : { label: `${safetyComponent(this.#component)} ${this.#safety}`, rollback: this.#rollbackCommand() };
    await this.#context.host.summary(
      restoreSummary({
        ...{ noun, unit, group, label, timestamp, location, passed, fingerprint, rows, found, problem, doubts, plainBytes },
        ...{ seconds, safety },
      }),
    );
    if (problem !== undefined) {
      throw new VerificationError(`The restore from ${component} ${timestamp} is not what the backup holds: ${problem}`, {
        fix:
          safety === undefined
            ? 'The table in the summary says what differs. Nothing was replaced.'
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
        items: { unit, count: found },
        [unit]: found,
        [groups]: rows.length,
        verdict,
        safetyTimestamp: this.#safety ?? null,
        seconds: Number(seconds.all.toFixed(1)),
        phases: {
          proof: toTenths(this.#before.proof),
          safety: toTenths(this.#before.safety),
          writing: toTenths(seconds.writing),
          readBack: toTenths(seconds.proving),
        },
        notes: written.notes,
        rows,
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
    const again = { step: this.#context.step, address: this.#kind.address };
    return restoreCommand(this.#context, again, {
      component: this.#component,
      name,
      rollback: true,
      store: away ? store.location : undefined,
    });
  }
}

/** Seconds for a record; what took any time at all is not nothing. */
function toTenths(seconds: number): number {
  return seconds > 0 ? Math.max(0.1, Number(seconds.toFixed(1))) : 0;
}
