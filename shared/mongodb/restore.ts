// Restores a MongoDB backup in three acts: plan (nothing touched), run, prove (the target read back and held against the backup).
import { CancelledError, RefusedError, UserError, VerificationError } from '../step/errors.ts';
import { listed, plural } from '../step/format.ts';
import type { Progress } from '../step/host.ts';
import { printable } from '../step/prose.ts';
import { inTime } from '../tools/process.ts';
import { namespaceName, shownName, type Namespace } from './archive.ts';
import { compare, type Comparison } from './compare.ts';
import { parseNamespace, renamed, type Renaming } from './namespaces.ts';
import { openPodTarget, type PodTargetOptions } from './pod-target.ts';
import { asItIs, makePlan, renamesOf, type RestorePlan, type RestoreWishes } from './restore-plan.ts';
import type { RestoreOutcome, RestoreTarget } from './restore-target.ts';
import { openServerTarget, type ServerOptions } from './server-target.ts';

export type { PlannedNamespace, RestorePlan, RestoreWishes } from './restore-plan.ts';
export type { RestoreOutcome } from './restore-target.ts';

export type RestoreOptions = RestoreWishes & ServerOptions;

/**
 * Connects and plans.
 * @throws UsageError for names that are not in the backup, UserError when the target cannot be reached
 */
export async function openRestore(options: RestoreOptions): Promise<Restore> {
  const renames = renamesOf(options);
  return planned(options, await openServerTarget(options), renames);
}

/** The same into a pod. */
export async function openPodRestore(wishes: RestoreWishes, options: PodTargetOptions): Promise<Restore> {
  const renames = renamesOf(wishes);
  return planned(wishes, await openPodTarget(options), renames);
}

async function planned(wishes: RestoreWishes, target: RestoreTarget, renames: readonly Renaming[]): Promise<Restore> {
  try {
    return new Restore(wishes, target, renames, await makePlan(wishes, target, renames));
  } catch (thrown) {
    await target.close();
    throw target.explain(thrown, 'Planning the restore failed');
  }
}

/** A server that went away must not be waited for after the restore has failed. */
const CLEAR_MS = 30_000;
/** More names than this are summed up. */
const NAMED = 10;

function named(names: readonly string[]): string {
  return listed(names.map(printable), NAMED);
}

/** The same error with a sentence at its end. */
function withSentence(thrown: unknown, sentence: string): unknown {
  if (sentence === '' || !(thrown instanceof UserError) || thrown instanceof CancelledError) return thrown;
  const options = { cause: thrown, fix: thrown.fix };
  const message = `${thrown.message}${sentence}`;
  if (thrown instanceof VerificationError) return new VerificationError(message, options);
  return thrown.kind === 'failed' ? new UserError(message, options) : thrown;
}

/** A planned restore. Call `close` in a finally. */
export class Restore {
  readonly plan: RestorePlan;
  readonly #wishes: RestoreWishes;
  readonly #target: RestoreTarget;
  readonly #renames: readonly Renaming[];
  #outcome: RestoreOutcome | undefined;

  constructor(wishes: RestoreWishes, target: RestoreTarget, renames: readonly Renaming[], plan: RestorePlan) {
    this.#wishes = wishes;
    this.#target = target;
    this.#renames = renames;
    this.plan = plan;
  }

  /**
   * The guard against overwriting by accident.
   * @throws RefusedError when collections hold documents and `replace` was not given
   */
  refuseOccupied(): void {
    const { occupied, fingerprint } = this.plan;
    const { spell = asItIs } = this.#wishes;
    if (occupied.length === 0 || this.#wishes.replace) return;
    const names = occupied.slice(0, 3).map(({ to, existing }) => `${printable(to)} (${plural(existing ?? 0, 'document')})`);
    const more = occupied.length > 3 ? ` and ${occupied.length - 3} more` : '';
    throw new RefusedError(`The target ${fingerprint} is not empty: ${names.join(', ')}${more}.`, {
      fix: `Restore beside it with ${spell('rename')} or ${spell('targetDatabase')}, or allow the replacement with ${spell('replace')}.`,
    });
  }

  /**
   * Writes the archive into the target. With `replace`, each collection is dropped just before its own documents are written, so what
   * is not yet reached is still there when it fails; what was dropped is in the safety backup. Collections that were not there before are
   * removed again when it fails, or named.
   * @throws RefusedError as `refuseOccupied`; UserError when the engine fails
   */
  async run(archive: AsyncIterable<Uint8Array>, onProgress?: (progress: Progress) => void): Promise<RestoreOutcome> {
    this.refuseOccupied();
    const { report, replace = false, signal } = this.#wishes;
    const started = new Set<string>();
    try {
      const outcome = await this.#target.write(archive, {
        report,
        planned: this.#planned(),
        renames: this.#renames,
        replace,
        replaysOplog: this.plan.replaysOplog,
        accounts: this.plan.mergesAccounts,
        onStarted: (name) => started.add(name),
        onProgress: ({ documents, namespace }) => {
          onProgress?.({
            phase: 'Restoring',
            done: documents,
            total: report.totals.documents,
            unit: 'documents',
            detail: printable(namespace),
          });
        },
      });
      this.#outcome = outcome;
      return outcome;
    } catch (thrown) {
      if (signal?.aborted)
        throw new CancelledError('Cancelled during the restore; the target holds a part of the backup.', { cause: thrown });
      throw withSentence(this.#target.explain(thrown, 'The restore failed'), await this.#clearAway(started));
    }
  }

  /** After a failure: takes away what the restore has made, and says what is only half there. */
  async #clearAway(started: ReadonlySet<string>): Promise<string> {
    const { namespaces } = this.plan;
    const before = new Set(namespaces.filter(({ existing }) => existing !== undefined).map(({ to }) => to));
    const planned = new Set(namespaces.map(({ to }) => to));
    const half = [...started].filter((name) => before.has(name));
    let made = [...started].filter((name) => planned.has(name) && !before.has(name));
    let left = made;
    try {
      left = await inTime(
        (async () => {
          if (!this.#target.dumpsDatabases) {
            const there = await this.#target.list([...new Set(namespaces.map(({ to }) => parseNamespace(to).db))]);
            made = [...planned].filter((name) => !before.has(name) && there.has(name));
          }
          return made.length === 0 ? [] : this.#target.drop(made);
        })(),
        CLEAR_MS,
        'Removing what the restore had made',
      );
    } catch {
      left = made;
    }
    const gone = made.length - left.length;
    return [
      gone > 0 ? ` What it had made is removed again (${plural(gone, 'collection')}).` : '',
      left.length > 0 ? ` Half-made, and still there: ${named(left)}.` : '',
      half.length > 0 ? ` Half-restored: ${named(half)}.` : '',
    ].join('');
  }

  /** What is there now under the planned names, as the selection of a dump. Empty collections and views, too. */
  present(): { include: string[]; exclude?: string[] } {
    const names = this.plan.namespaces.filter(({ existing }) => existing !== undefined).map(({ to }) => to);
    if (!this.#target.dumpsDatabases) return { include: names };
    const databases = [...new Set(names.map((name) => name.slice(0, name.indexOf('.'))))];
    const exclude = this.plan.untouched.filter((name) => databases.includes(name.slice(0, name.indexOf('.'))));
    return { include: databases, ...(exclude.length > 0 ? { exclude } : {}) };
  }

  #planned(): Set<string> {
    return new Set(this.plan.namespaces.map(({ from }) => from));
  }

  /** Reads the target back to its last document and compares it with the backup. */
  async prove(onProgress?: (progress: Progress) => void): Promise<Comparison> {
    const planned = this.#planned();
    const only = (namespace: Namespace): boolean => planned.has(namespaceName(namespace));
    const { report, signal } = this.#wishes;
    try {
      const live = await this.#target.readBack(
        report.namespaces.filter(only).map((namespace) => renamed(namespace, this.#renames)),
        { ...(onProgress ? { onProgress } : {}), totalDocuments: report.totals.documents },
      );
      return compare(report, live, {
        renames: this.#renames,
        only,
        replayed: this.plan.replaysOplog,
        ...(this.#outcome ? { dropped: this.#outcome.dropped, mayExpire: this.#outcome.failed === 0 } : {}),
      });
    } catch (thrown) {
      if (signal?.aborted) throw new CancelledError('Cancelled while proving the restore.', { cause: thrown });
      throw this.#target.explain(thrown, 'Reading the target back failed');
    }
  }

  /** Drops collections of the target, `db.collection` each. @returns those that it has no way to drop */
  async drop(names: readonly string[]): Promise<string[]> {
    try {
      return await this.#target.drop(names);
    } catch (thrown) {
      throw this.#target.explain(thrown, 'Dropping what the restore had made failed');
    }
  }

  close(): Promise<void> {
    return this.#target.close();
  }
}

/**
 * The sentence of a restore that is not what the backup was; undefined when everything was written and proved.
 * @throws nothing: the step decides which error carries it
 */
export function restoreProblem(outcome: RestoreOutcome, comparison: Comparison): string | undefined {
  if (outcome.failed > 0)
    return `${outcome.failed} document${outcome.failed === 1 ? '' : 's'} could not be restored: ${outcome.refusals[0] ?? 'the target refused them'}.`;
  const [index] = outcome.indexFailures;
  if (index) return `The index ${printable(index.index)} of ${shownName(index)} could not be created: ${index.reason}.`;
  const wrong = comparison.rows.filter(({ verdict }) => verdict === 'different');
  if (wrong.length === 0) return undefined;
  const first = wrong[0] as Comparison['rows'][number];
  return `${wrong.length} of ${plural(comparison.rows.length, 'collection')} ${wrong.length === 1 ? 'is' : 'are'} not what the backup holds; ${printable(first.to)}: ${first.differences.join(', ')}.`;
}
