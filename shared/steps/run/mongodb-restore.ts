// What `mongodb-restore` does: choose → plan → guards → prove the backup → safety backup → restore → prove the target.
import { lockName, safetyComponent } from '../../backup/layout.ts';
import { openBackup, verifyBackup, type OpenedBackup, type OpenRequest } from '../../backup/read.ts';
import { writeHold } from '../../catalog/hold.ts';
import { listBackups } from '../../catalog/list.ts';
import { pickBackup } from '../../catalog/pick.ts';
import { newArchiveInspector, type ArchiveReport } from '../../mongodb/archive-inspector.ts';
import { dropCollections } from '../../mongodb/drop.ts';
import { dumpMongo } from '../../mongodb/dump.ts';
import type { EngineChoice } from '../../mongodb/engine.ts';
import { openRestore, restoreProblem, type Restore, type RestorePlan } from '../../mongodb/restore.ts';
import type { DestructionPlan, StepContext, StepReturn } from '../../step/define.ts';
import { CancelledError, errorMessage, UserError, VerificationError } from '../../step/errors.ts';
import { formatBytes, formatCount, formatRate, formatSeconds, plural } from '../../step/format.ts';
import type { Secret } from '../../step/input.ts';
import { formatTimestamp, type Timestamp } from '../../step/timestamp.ts';
import { openKeys, openPlace, type Place } from './open.ts';
import { backUpDump, dumpOptions } from './mongodb-backup.ts';
import { restoreCommand } from './mongodb-texts.ts';
import { lockOwner, recorded } from './record.ts';
import { commandBlock, facts, page, table } from './summary.ts';

const STEP = 'mongodb-restore';
const LOCK_EXPIRY_MS = 60_000;
/** Lines of a plan that name collections one by one. */
const NAMED_LOSSES = 20;
/** How long retention stays away from a safety backup. */
const SAFETY_HOLD_DAYS = 30;

interface Inputs {
  component: string | undefined;
  name: string;
  mongodbUri: Secret;
  engine: EngineChoice;
  include: string[] | undefined;
  exclude: string[] | undefined;
  timestamp: Timestamp | undefined;
  allowOlder: boolean;
  replace: boolean;
  targetDatabase: string | undefined;
  rename: string[] | undefined;
  verifyFirst: boolean;
  safetyBackup: boolean;
  rollback: boolean;
  limitRate: number | undefined;
  dryRun: boolean;
}

export async function runMongodbRestore(context: StepContext): Promise<StepReturn> {
  const inputs = context.inputs as unknown as Inputs;
  const component = inputs.component ?? 'mongodb';
  const run = { step: STEP, component, effects: 'destroys' } as const;
  return recorded(
    context,
    () => openPlace(context),
    run,
    async (place, notes) => {
      const recipients = await openKeys(context, place);
      const timestamp = await choose(context, place, component, inputs);
      notes.usedBackup = timestamp;
      const request: OpenRequest = {
        store: place.store,
        prefix: place.prefix,
        component: inputs.rollback ? safetyComponent(component) : component,
        timestamp,
        recipients,
        limitRate: inputs.limitRate,
        signal: context.signal,
      };
      const opened = await openBackup(request);
      const restore = await openRestore(restoreOptions(context, inputs, opened.manifest.content as unknown as ArchiveReport));
      try {
        return await new RestoreRun(context, inputs, component, place, request, opened, restore).run();
      } finally {
        await restore.close();
      }
    },
  );
}

async function choose(context: StepContext, { store, prefix }: Place, component: string, inputs: Inputs): Promise<Timestamp> {
  const { host, signal } = context;
  if (inputs.rollback && inputs.timestamp !== undefined) {
    return (await pickBackup({ store, prefix, component: safetyComponent(component), timestamp: inputs.timestamp, signal })).backup
      .timestamp;
  }
  if (inputs.rollback) {
    const last = (await listBackups(store, prefix, { component: safetyComponent(component), signal })).findLast(
      ({ state }) => state === 'verified',
    );
    if (last) return last.timestamp;
    throw new UserError(`There is nothing to roll back: ${store.location} has no safety backup of ${component}.`, {
      fix: 'A restore makes one when it replaces collections that hold documents.',
    });
  }
  const { backup, notices } = await pickBackup({
    store,
    prefix,
    component,
    ...(inputs.timestamp === undefined ? {} : { timestamp: inputs.timestamp }),
    allowOlder: inputs.allowOlder,
    signal,
  });
  for (const notice of notices) host.notice(notice);
  return backup.timestamp;
}

function restoreOptions(context: StepContext, inputs: Inputs, report: ArchiveReport): Parameters<typeof openRestore>[0] {
  const { uri, engine, tempDir, signal, log } = dumpOptions(
    context,
    inputs.rollback ? { ...inputs, include: undefined, exclude: undefined } : inputs,
  );
  return {
    uri,
    engine,
    tempDir,
    signal,
    log,
    report,
    ...(inputs.rollback || !inputs.include ? {} : { include: inputs.include }),
    ...(inputs.rollback || !inputs.exclude ? {} : { exclude: inputs.exclude }),
    ...(inputs.rename ? { renames: inputs.rename } : {}),
    ...(inputs.targetDatabase === undefined ? {} : { targetDatabase: inputs.targetDatabase }),
    replace: inputs.replace,
    spell: (input) => context.host.spell(input),
  };
}

class RestoreRun {
  readonly #context: StepContext;
  readonly #inputs: Inputs;
  readonly #component: string;
  readonly #place: Place;
  readonly #request: OpenRequest;
  readonly #opened: OpenedBackup;
  readonly #restore: Restore;
  readonly #started: number;
  #safety: Timestamp | undefined;

  constructor(
    context: StepContext,
    inputs: Inputs,
    component: string,
    place: Place,
    request: OpenRequest,
    opened: OpenedBackup,
    restore: Restore,
  ) {
    this.#context = context;
    this.#inputs = inputs;
    this.#component = component;
    this.#place = place;
    this.#request = request;
    this.#opened = opened;
    this.#restore = restore;
    this.#started = context.clock.monotonic();
  }

  async run(): Promise<StepReturn> {
    const { host, signal } = this.#context;
    const { store, prefix } = this.#place;
    for (const warning of this.#restore.plan.warnings) host.warning(warning);
    if (!this.#inputs.dryRun) this.#restore.refuseOccupied();
    if (!(await this.#context.confirmDestruction(this.#plan()))) return { result: { dryRun: true, plan: this.#restore.plan } };
    // A backup of a database that is half restored would be a trap: the component is locked meanwhile.
    const lock = await store.lock(lockName(prefix, this.#component), {
      owner: lockOwner(this.#context, STEP),
      expiresAfter: LOCK_EXPIRY_MS,
      signal,
    });
    try {
      if (this.#inputs.verifyFirst) await this.#verify();
      await this.#backUpTarget();
      return await this.#restoreAndProve();
    } catch (thrown) {
      throw this.#withWayBack(thrown);
    } finally {
      await lock.release();
    }
  }

  #plan(): DestructionPlan {
    const { manifest } = this.#opened;
    const { plan } = this.#restore;
    const documents = plan.namespaces.reduce((sum, one) => sum + one.documents, 0);
    return {
      title: this.#inputs.rollback ? 'Plan: put back what the last restore replaced' : 'Plan: restore a MongoDB backup',
      facts: [
        [
          'Backup',
          `${this.#request.component} ${this.#request.timestamp}, ${formatBytes(manifest.sizes.plain)}, in ${this.#place.store.location}`,
        ],
        ['Made from', manifest.source.fingerprint ?? 'unknown'],
        ['Target', `${plan.fingerprint} (version ${plan.targetVersion})`],
        ['Restores', `${formatCount(documents)} documents in ${plural(plan.namespaces.length, 'collection')}, with ${engineText(plan)}`],
        [
          'Stays',
          plan.untouched.length === 0
            ? 'nothing else is there'
            : `${plural(plan.untouched.length, 'collection')} that the backup does not have`,
        ],
      ],
      losses: this.#losses(plan),
      confirmation: this.#inputs.name,
    };
  }

  #losses({ occupied }: RestorePlan): string[] {
    const after = this.#inputs.replace ? 'replaced' : `in the way (allow it with ${this.#context.host.spell('replace')})`;
    const lines = occupied.slice(0, NAMED_LOSSES).map(({ to, existing }) => `${to}: ${formatCount(existing ?? 0)} documents are ${after}`);
    if (occupied.length > NAMED_LOSSES) lines.push(`and ${plural(occupied.length - NAMED_LOSSES, 'more collection')}`);
    for (const name of this.#madeByRestore()) lines.push(`${name}: made by that restore, is dropped`);
    return lines;
  }

  /** Collections that the restore to be rolled back had made: noted in its safety backup. */
  #madeByRestore(): string[] {
    const made = this.#inputs.rollback ? this.#opened.manifest.source['made'] : undefined;
    return Array.isArray(made) ? made.map(String) : [];
  }

  /** A backup that is damaged must be known before the target is touched, not in the middle. */
  async #verify(): Promise<void> {
    const { host } = this.#context;
    const total = this.#opened.manifest.sizes.stored;
    await verifyBackup({
      ...this.#request,
      newInspector: newArchiveInspector,
      onProgress: (done) => {
        host.progress({ phase: 'Proving the backup', done, total, unit: 'bytes' });
      },
    });
    host.info(`The backup ${this.#request.component} ${this.#request.timestamp} is whole: every byte and document was read.`);
  }

  async #backUpTarget(): Promise<void> {
    const { occupied, namespaces } = this.#restore.plan;
    if (occupied.length === 0 || !this.#inputs.safetyBackup) return;
    const { host } = this.#context;
    host.info(`Backing up ${plural(occupied.length, 'collection')} that will be replaced.`);
    // Empty collections and views, too: a rollback must leave them as they were, not full.
    const include = namespaces.filter(({ existing }) => existing !== undefined).map(({ to }) => to);
    const dump = await dumpMongo(dumpOptions(this.#context, { ...this.#inputs, include, exclude: undefined }));
    const { timestamp } = await backUpDump(this.#context, {
      place: this.#place,
      recipients: this.#request.recipients,
      component: safetyComponent(this.#component),
      timestamp: await this.#safetyTimestamp(),
      inputs: {
        verify: 'full',
        compression: 'zstd',
        compressionLevel: 3,
        maxShrink: 100,
        include,
        exclude: undefined,
        limitRate: this.#inputs.limitRate,
      },
      dump,
      source: {
        replacedBy: `${this.#request.component} ${this.#request.timestamp}`,
        made: namespaces.filter(({ existing }) => existing === undefined).map(({ to }) => to),
      },
      step: STEP,
    });
    this.#safety = timestamp;
    await this.#holdSafety(timestamp);
    host.notice(
      `What is replaced is in the safety backup ${safetyComponent(this.#component)} ${timestamp}. To put it back: ${this.#rollbackCommand()}`,
    );
  }

  /** Now, but later than every safety backup there is: a rollback takes the last one, also after two restores in a second or a clock that went back. */
  async #safetyTimestamp(): Promise<Timestamp> {
    const { clock, signal } = this.#context;
    const { store, prefix } = this.#place;
    const before = await listBackups(store, prefix, { component: safetyComponent(this.#component), signal });
    return formatTimestamp(new Date(Math.max(clock.now().getTime(), ...before.map(({ time }) => time.getTime() + 1000))));
  }

  /** Retention must not take the way back while people still find out whether the restore was right. */
  async #holdSafety(timestamp: Timestamp): Promise<void> {
    const { host, clock, signal } = this.#context;
    const { store, prefix } = this.#place;
    const now = clock.now();
    const until = new Date(now.getTime() + SAFETY_HOLD_DAYS * 86_400_000);
    const reason = `what the restore of ${this.#request.component} ${this.#request.timestamp} replaced`;
    try {
      await writeHold(store, prefix, { component: safetyComponent(this.#component), timestamp, reason, until, by: host.run, now }, signal);
    } catch (thrown) {
      if (signal.aborted) throw thrown;
      // The backup itself is safe; that retention may take it some day is no reason to leave the database broken.
      host.warning(`The safety backup ${timestamp} could not be held: ${errorMessage(thrown)}`);
    }
  }

  async #restoreAndProve(): Promise<StepReturn> {
    const { host, clock } = this.#context;
    const progress = (update: Parameters<typeof host.progress>[0]): void => {
      host.progress(update);
    };
    const writing = clock.monotonic();
    const outcome = await this.#restore.run(this.#opened.plain(), progress);
    const made = this.#madeByRestore();
    if (made.length > 0) await dropCollections(this.#inputs.mongodbUri, made, this.#context.signal);
    const proving = clock.monotonic();
    host.info(`${formatCount(outcome.documents)} documents written. Reading the target back.`);
    const comparison = await this.#restore.prove(progress);
    const ended = clock.monotonic();
    const problem = restoreProblem(outcome, comparison);
    const seconds = (ended - this.#started) / 1000;
    const { component, timestamp } = this.#request;
    this.#context.setOutput('timestamp', timestamp);
    this.#context.setOutput('documents', comparison.totals.found);
    this.#context.setOutput('safetyTimestamp', this.#safety ?? '');
    this.#context.setOutput('seconds', seconds.toFixed(1));
    const plain = this.#opened.manifest.sizes.plain;
    await host.summary(
      page(
        problem === undefined ? `### MongoDB restored from ${timestamp}: proved equal` : `### MongoDB restore from ${timestamp}: NOT equal`,
        problem === undefined ? undefined : `**${problem}**`,
        facts([
          ['Backup', `${component} ${timestamp} in ${this.#place.store.location}`],
          ['Target', this.#restore.plan.fingerprint],
          [
            'Proved',
            `${plural(comparison.rows.length, 'collection')}, ${formatCount(comparison.totals.found)} documents read back: counts, digests, indexes`,
          ],
          [
            'Time',
            `${formatSeconds(seconds)}; writing ${formatSeconds((proving - writing) / 1000)} at ${formatRate(plain, (proving - writing) / 1000)}, reading back ${formatSeconds((ended - proving) / 1000)}`,
          ],
          ...(this.#safety === undefined ? [] : [['Safety backup', `${safetyComponent(this.#component)} ${this.#safety}`] as const]),
        ]),
        table(
          ['collection', 'backup', 'target', 'verdict'],
          comparison.rows.map(({ to, expected, found, verdict, differences, notes }) => [
            to,
            formatCount(expected),
            found === undefined ? 'missing' : formatCount(found),
            [verdict === 'different' ? `DIFFERENT: ${differences.join(', ')}` : verdict, ...notes].join('; '),
          ]),
        ),
        this.#safety === undefined ? undefined : `Put back what was replaced with\n\n${commandBlock(this.#rollbackCommand())}`,
      ),
    );
    if (problem !== undefined) {
      throw new VerificationError(`The restore from ${component} ${timestamp} is not what the backup holds: ${problem}`, {
        fix:
          this.#safety === undefined
            ? 'The table in the summary says which collections differ. Nothing was replaced.'
            : `Put back what was replaced: ${this.#rollbackCommand()}`,
      });
    }
    return {
      result: {
        component,
        timestamp,
        target: this.#restore.plan.fingerprint,
        documents: comparison.totals.found,
        collections: comparison.rows.length,
        verdict: comparison.verdict,
        safetyTimestamp: this.#safety ?? null,
        seconds: Number(seconds.toFixed(1)),
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
    return restoreCommand(this.#context, { component: this.#component, name: this.#inputs.name, rollback: true });
  }
}

function engineText({ engine }: RestorePlan): string {
  return engine === 'tools' ? 'mongorestore' : 'the built-in engine';
}
