// A restore into a living cluster: looks at all of it first, applies type by type, and reads it back.
import { ApiError, ClusterUnreachableError } from '../kubernetes/api-error.ts';
import type { Cluster } from '../kubernetes/cluster.ts';
import { typeName, type ApiResource, type KubeObject } from '../kubernetes/resources.ts';
import { throwIfCancelled, UserError } from '../step/errors.ts';
import type { Progress } from '../step/host.ts';
import { apply, remove, untilEstablished, type Done, type Existing } from './apply.ts';
import { objectOfPath, objectPath } from './archive.ts';
import type { Changes } from './changes.ts';
import { differenceText, type Difference } from './difference.ts';
import { mapping, mappings, objectName, textAt, type ResourceType } from './objects.ts';
import { inRestoreOrder } from './order.ts';
import { Selector, type StateSelection } from './selection.ts';
import { batchesOf, judge, type Batch, type Judgement, type SurveyRequest, type Wanted } from './survey.ts';
import { Throttle } from './throttle.ts';
import { ServedTypes } from './types.ts';

export interface RestoreRequest {
  cluster: Cluster;
  throttle: Throttle;
  /** The plain stream of the backup, from its beginning each time. */
  read: () => AsyncIterable<Uint8Array>;
  /** Objects in the backup. */
  objects: number;
  selection: StateSelection;
  changes: Changes;
  existing: Existing;
  signal: AbortSignal;
}

/** An object that is there and differs. */
export interface Changed {
  name: string;
  path: string;
  differences: Difference[];
}

/** What a restore would do. Lists are cut at `MOST_LISTED`; counts are whole. */
export interface StatePlan {
  created: number;
  changed: number;
  equal: number;
  /** Why objects are not restored, and how many for that reason. */
  skipped: { why: string; objects: number; example: string }[];
  changes: Changed[];
  /** What the server would refuse, asked without storing anything. */
  refused: { name: string; why: string }[];
  /** Who may do everything afterwards. */
  powerful: string[];
  types: { type: string; created: number; changed: number; equal: number; skipped: number }[];
}

/** What is there of a type after a restore. */
export interface TypeRow {
  type: string;
  expected: number;
  equal: number;
  /** Objects that are not as they should be, and why; cut. */
  wrong: string[];
  wrongCount: number;
  notes: string[];
}

const MOST_LISTED = 1000;
/** Objects that were refused and are tried once more at the end; so many are kept for that. */
const MOST_RETRIED = 2000;
const DEFINITIONS = 'customresourcedefinitions.apiextensions.k8s.io';

export class StateRestore {
  readonly #request: RestoreRequest;
  readonly #served: ServedTypes;
  /** Paths in the cluster of what the restore made. */
  readonly #made: string[] = [];
  /** Paths in the archive of what stays as it is, since `existing` says so. */
  readonly #kept = new Set<string>();
  /** Path in the archive → why the server refused it. */
  readonly #failed = new Map<string, string>();
  #changedPaths = new Set<string>();

  constructor(request: RestoreRequest) {
    this.#request = request;
    this.#served = new ServedTypes(request.cluster);
  }

  /** Paths in the cluster of what is going to be changed. */
  get changedPaths(): ReadonlySet<string> {
    return this.#changedPaths;
  }

  /** Paths in the cluster of what is going to be made. */
  get made(): readonly string[] {
    return this.#made;
  }

  /** Looks at every object, and asks the server what it would say, without storing anything. @throws as `batchesOf` */
  async plan(onProgress: (progress: Progress) => void): Promise<StatePlan> {
    const plan = new PlanSums();
    const madeTypes = new Set<string>();
    const madeNamespaces = new Set<string>();
    let done = 0;
    this.#made.length = 0;
    this.#changedPaths = new Set();
    for await (const batch of batchesOf(this.#request.read(), this.#survey())) {
      const found = await this.#request.throttle.all(batch.wanted, (wanted) => this.#foresee(batch, wanted, { madeTypes, madeNamespaces }));
      for (const [at, foreseen] of found.entries()) {
        const wanted = batch.wanted[at] as Wanted;
        plan.add(batch.type, wanted, foreseen);
        if (foreseen.will === 'created') this.#made.push(objectPath(wanted.id));
        if (foreseen.will === 'changed') this.#changedPaths.add(objectPath(wanted.id));
      }
      done += batch.wanted.length;
      onProgress({ phase: 'Planning', done, total: this.#request.objects, unit: 'objects', detail: typeName(batch.type) });
    }
    return plan.plan();
  }

  async #foresee(batch: Batch, wanted: Wanted, made: { madeTypes: Set<string>; madeNamespaces: Set<string> }): Promise<Foreseen> {
    const { cluster, existing } = this.#request;
    const { type, served, unlisted } = batch;
    if (wanted.skipped !== undefined) return { will: 'skipped', why: wanted.skipped };
    if (unlisted !== undefined) return { will: 'skipped', why: unlisted.message };
    if (served === undefined) {
      if (made.madeTypes.has(`${typeName(type)}/${type.version}`)) return { will: 'created' };
      return { will: 'skipped', why: `the cluster does not know ${typeName(type)} ${type.version}` };
    }
    const judgement = await judge(cluster, { ...batch, served }, wanted);
    if (judgement.verdict === 'equal') return { will: 'equal' };
    if (judgement.verdict === 'different') {
      if (existing === 'skip') return { will: 'skipped', why: 'it is there, and existing says skip' };
      const { differences, refused } = judgement;
      const stands = refused !== undefined && !(existing === 'recreate' && refused.status === 422);
      return { will: 'changed', differences, ...(stands ? { refused: refused.message } : {}) };
    }
    noteMade(wanted, type, made);
    // In a namespace that is not there yet nothing can be tried.
    const { namespace } = wanted.id;
    if (namespace !== undefined && made.madeNamespaces.has(namespace)) return { will: 'created' };
    try {
      await cluster.create(served, wanted.object, { dryRun: true });
      return { will: 'created' };
    } catch (thrown) {
      if (!(thrown instanceof ApiError) || thrown.status === 401) throw thrown;
      // Its namespace may be missing from cluster and selection alike.
      return { will: 'created', ...(thrown.status === 409 ? {} : { refused: thrown.message }) };
    }
  }

  /**
   * Applies every object. What the server refuses is tried once more when all others are there, and told by `prove`.
   * @throws ClusterUnreachableError: run again, and it goes on
   */
  async write(
    bytes: AsyncIterable<Uint8Array>,
    onProgress: (progress: Progress) => void,
  ): Promise<Record<Done, number> & { notes: string[] }> {
    const { throttle, objects } = this.#request;
    const counts: Record<Done, number> = { created: 0, changed: 0, recreated: 0, unchanged: 0, kept: 0 };
    const unknown = new Map<string, number>();
    const again: { batch: Batch & { served: ApiResource }; wanted: Wanted }[] = [];
    let done = 0;
    this.#served.forget();
    for await (const batch of batchesOf(bytes, this.#survey())) {
      const { served, unlisted } = batch;
      const wanted = batch.wanted.filter(({ skipped }) => skipped === undefined);
      done += batch.wanted.length;
      if (served === undefined || unlisted !== undefined) {
        const what = `${typeName(batch.type)} ${batch.type.version}`;
        if (served === undefined) unknown.set(what, (unknown.get(what) ?? 0) + wanted.length);
        else for (const { path } of wanted) this.#failed.set(path, unlisted?.message ?? '');
        continue;
      }
      const open = { ...batch, served };
      for (const [at, result] of (await throttle.all(wanted, (one) => this.#applied(open, one))).entries()) {
        const one = wanted[at] as Wanted;
        if (result !== undefined) counts[result] += 1;
        else if (again.length < MOST_RETRIED) again.push({ batch: open, wanted: one });
      }
      await this.#afterDefinitions(open);
      onProgress({ phase: 'Restoring', done, total: objects, unit: 'objects', detail: typeName(batch.type) });
    }
    // What had to wait for others: a quota, a webhook whose pods were not there, a definition that was served a moment later.
    for (const { batch, wanted } of again) {
      this.#failed.delete(wanted.path);
      const result = await this.#applied(batch, wanted);
      if (result !== undefined) counts[result] += 1;
    }
    const notes = [...unknown].map(([what, count]) => `${count} ${what} were not restored: the cluster does not know that kind.`);
    return { ...counts, notes };
  }

  async #applied(batch: Batch & { served: ApiResource }, wanted: Wanted): Promise<Done | undefined> {
    const { cluster, existing, signal } = this.#request;
    throwIfCancelled(signal);
    try {
      const done = await apply(cluster, batch, wanted, { existing, signal });
      if (done === 'kept') this.#kept.add(wanted.path);
      return done;
    } catch (thrown) {
      throwIfCancelled(signal);
      if (!(thrown instanceof UserError) || thrown instanceof ClusterUnreachableError || (thrown as Partial<ApiError>).status === 401)
        throw thrown;
      this.#failed.set(wanted.path, thrown.message);
      return undefined;
    }
  }

  /** Objects of a definition can be made when it is served. */
  async #afterDefinitions({ type, served, wanted }: Batch & { served: ApiResource }): Promise<void> {
    if (typeName(type) !== DEFINITIONS) return;
    await untilEstablished(
      this.#request.cluster,
      served,
      wanted.map(({ id }) => id.name),
      this.#request.signal,
    );
    this.#served.forget();
  }

  /** Reads everything back and holds it against the backup. @throws as `batchesOf` */
  async prove(onProgress: (progress: Progress) => void): Promise<TypeRow[]> {
    this.#served.forget();
    return compareState(this.#survey(), this.#request.read(), {
      kept: this.#kept,
      failed: this.#failed,
      total: this.#request.objects,
      onProgress,
    });
  }

  /** Deletes what an earlier restore had made, the last first. @returns what does not go */
  async remove(paths: readonly string[]): Promise<string[]> {
    const { cluster, signal } = this.#request;
    const ids = paths.flatMap((path) => objectOfPath(path) ?? []);
    const order = inRestoreOrder(ids).toReversed();
    const stays: string[] = [];
    for (const id of order) {
      const served = await this.#served.find(id);
      if (served === undefined) continue;
      try {
        await remove(cluster, served, id, signal);
      } catch (thrown) {
        if (signal.aborted || !(thrown instanceof UserError) || thrown instanceof ClusterUnreachableError) throw thrown;
        stays.push(objectName(id));
      }
    }
    return stays;
  }

  #survey(): SurveyRequest {
    const { cluster, selection, changes, throttle } = this.#request;
    return { cluster, served: this.#served, selector: new Selector(selection), changes, throttle };
  }
}

export interface CompareOptions {
  kept?: ReadonlySet<string>;
  failed?: ReadonlyMap<string, string>;
  total: number;
  onProgress?: (progress: Progress) => void;
}

/** Holds a backup against the living cluster, a row for each type. @throws as `batchesOf` */
export async function compareState(
  survey: SurveyRequest,
  bytes: AsyncIterable<Uint8Array>,
  { kept, failed, total, onProgress }: CompareOptions,
): Promise<TypeRow[]> {
  const rows = new Map<string, TypeRow>();
  let done = 0;
  for await (const batch of batchesOf(bytes, survey)) {
    const type = typeName(batch.type);
    const row = rows.get(type) ?? { type, expected: 0, equal: 0, wrong: [], wrongCount: 0, notes: [] };
    rows.set(type, row);
    const { served } = batch;
    const wanted = batch.wanted.filter(({ skipped }) => skipped === undefined);
    const found = await survey.throttle.all(wanted, async (one): Promise<Judgement> =>
      served === undefined ? { verdict: 'missing' } : judge(survey.cluster, { ...batch, served }, one),
    );
    for (const [at, judgement] of found.entries()) addToRow(row, wanted[at] as Wanted, judgement, { batch, kept, failed });
    done += batch.wanted.length;
    onProgress?.({ phase: 'Reading back', done, total, unit: 'objects', detail: type });
  }
  return [...rows.values()].filter(({ expected, notes }) => expected > 0 || notes.length > 0);
}

function addToRow(
  row: TypeRow,
  wanted: Wanted,
  judgement: Judgement,
  { batch, kept, failed }: { batch: Batch; kept: ReadonlySet<string> | undefined; failed: ReadonlyMap<string, string> | undefined },
): void {
  if (batch.served === undefined) {
    const note = `the cluster does not know ${row.type} ${batch.type.version}`;
    if (!row.notes.includes(note)) row.notes.push(note);
    return;
  }
  if (kept?.has(wanted.path)) {
    const note = 'objects that were there stay as they are';
    if (!row.notes.includes(note)) row.notes.push(note);
    return;
  }
  row.expected += 1;
  if (judgement.verdict === 'equal') {
    row.equal += 1;
    return;
  }
  row.wrongCount += 1;
  if (row.wrong.length >= MOST_LISTED) return;
  const how = judgement.verdict === 'missing' ? 'missing' : judgement.differences.map(differenceText).join(', ');
  const why = batch.unlisted?.message ?? failed?.get(wanted.path);
  row.wrong.push(`${objectName(wanted.id)}: ${how}${why === undefined ? '' : ` (${why})`}`);
}

interface Foreseen {
  will: 'created' | 'changed' | 'equal' | 'skipped';
  why?: string;
  differences?: Difference[];
  refused?: string;
}

/** What becomes possible by an object that is made. */
function noteMade(
  { id, object }: Wanted,
  type: ResourceType,
  { madeTypes, madeNamespaces }: { madeTypes: Set<string>; madeNamespaces: Set<string> },
): void {
  if (typeName(type) === 'namespaces') madeNamespaces.add(id.name);
  if (typeName(type) !== DEFINITIONS) return;
  const versions = mappings(mapping(object['spec'])?.['versions']);
  for (const { name, served } of versions) if (served === true) madeTypes.add(`${id.name}/${String(name)}`);
}

class PlanSums {
  readonly #plan: StatePlan = { created: 0, changed: 0, equal: 0, skipped: [], changes: [], refused: [], powerful: [], types: [] };

  add(type: ResourceType, wanted: Wanted, { will, why, differences, refused }: Foreseen): void {
    const plan = this.#plan;
    const name = objectName(wanted.id);
    const row = this.#rowOf(typeName(type));
    row[will] += 1;
    if (will === 'skipped') {
      const reason = plan.skipped.find((one) => one.why === why);
      if (reason) reason.objects += 1;
      else plan.skipped.push({ why: why ?? '', objects: 1, example: name });
      return;
    }
    plan[will] += 1;
    if (will === 'changed' && plan.changes.length < MOST_LISTED)
      plan.changes.push({ name, path: objectPath(wanted.id), differences: differences ?? [] });
    if (refused !== undefined && plan.refused.length < MOST_LISTED) plan.refused.push({ name, why: refused });
    const power = will === 'equal' ? undefined : powerOf(wanted.object);
    if (power !== undefined) plan.powerful.push(`${name} ${power}`);
  }

  plan(): StatePlan {
    return this.#plan;
  }

  #rowOf(type: string): StatePlan['types'][number] {
    const found = this.#plan.types.find((one) => one.type === type);
    if (found) return found;
    const row = { type, created: 0, changed: 0, equal: 0, skipped: 0 };
    this.#plan.types.push(row);
    return row;
  }
}

/** What a binding gives that should not be given unseen. */
function powerOf(object: KubeObject): string | undefined {
  if (object.kind !== 'ClusterRoleBinding') return undefined;
  const subjects = mappings(object['subjects']).map(({ kind, name, namespace }) =>
    [kind, namespace, name].filter((part) => typeof part === 'string').join(' '),
  );
  const role = textAt(object, 'roleRef', 'name');
  if (mappings(object['subjects']).some(({ name }) => name === 'system:masters'))
    return `gives ${role ?? 'a role'} to system:masters, whom no rule binds`;
  return role === 'cluster-admin' ? `makes ${subjects.join(', ')} an administrator of the whole cluster` : undefined;
}
