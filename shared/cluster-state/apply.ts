// Brings one object into a cluster: makes it, changes it, or makes it anew. Done twice it is the same as done once.
import { setTimeout as sleep } from 'node:timers/promises';
import { ApiError, isNotFound } from '../kubernetes/api-error.ts';
import type { Cluster } from '../kubernetes/cluster.ts';
import { typeName, type ApiResource, type KubeObject } from '../kubernetes/resources.ts';
import { UserError } from '../step/errors.ts';
import { conditionsOf, objectName, textAt, type ObjectId } from './objects.ts';
import { judge, judgeAnew, keyOf, type Batch, type Judgement, type Wanted } from './survey.ts';

/** What happens to objects that are there and differ. */
export type Existing = 'skip' | 'update' | 'recreate';

/** What was done with an object. */
export type Done = 'created' | 'changed' | 'recreated' | 'unchanged' | 'kept';

export interface ApplyOptions {
  existing: Existing;
  signal: AbortSignal;
}

/** A namespace takes its time, and what is in it may have finalizers. */
const NAMESPACE_LEAVES_MS = 600_000;
const OBJECT_LEAVES_MS = 60_000;
const ESTABLISHED_MS = 60_000;
const LOOK_MS = 250;
/** A controller may change the object again and again; it is asked for anew each time. */
const MOST_CONFLICTS = 5;

/** @throws ApiError with the server's words; UserError for an object that does not go away; ClusterUnreachableError */
export async function apply(
  cluster: Cluster,
  batch: Batch & { served: ApiResource },
  wanted: Wanted,
  options: ApplyOptions,
): Promise<Done> {
  const known = batch.living.get(keyOf(wanted.id));
  if (known?.leaving) await untilGone(cluster, batch.served, wanted.id, options.signal);
  let judgement: Judgement = known?.leaving ? { verdict: 'missing' } : await judge(cluster, batch, wanted);
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await bring(cluster, batch, wanted, judgement, options);
    } catch (thrown) {
      // Made, changed or removed meanwhile: by a controller, or a run before this one.
      const raced = thrown instanceof ApiError && (thrown.status === 409 || (thrown.status === 404 && judgement.verdict === 'different'));
      if (!raced || attempt === MOST_CONFLICTS) throw thrown;
      judgement = await judgeAnew(cluster, batch, wanted);
    }
  }
}

async function bring(
  cluster: Cluster,
  { type, served }: Batch & { served: ApiResource },
  { id, object }: Wanted,
  judgement: Judgement,
  { existing, signal }: ApplyOptions,
): Promise<Done> {
  if (judgement.verdict === 'equal') return 'unchanged';
  if (judgement.verdict === 'missing') {
    await cluster.create(served, object);
    return 'created';
  }
  if (existing === 'skip') return 'kept';
  const { living, patch, refused } = judgement;
  if (existing === 'recreate' && refused?.status === 422 && typeName(type) !== 'namespaces') {
    await remove(cluster, served, { ...id, uid: textAt(living, 'metadata', 'uid') }, signal);
    await cluster.create(served, object);
    return 'recreated';
  }
  // Only what was looked at is changed.
  const metadata = { ...((patch as { metadata?: object }).metadata ?? {}), resourceVersion: living.metadata['resourceVersion'] };
  await cluster.patch(served, id, { type: 'merge', patch: { ...(patch as object), metadata } });
  return 'changed';
}

/** Deletes an object and waits until it is gone. @throws ApiError; UserError when it does not go */
export async function remove(
  cluster: Cluster,
  served: ApiResource,
  { uid, ...id }: ObjectId & { uid?: string | undefined },
  signal: AbortSignal,
): Promise<void> {
  try {
    await cluster.delete(served, id, { uid, propagation: 'Background', signal });
  } catch (thrown) {
    if (!isNotFound(thrown)) throw thrown;
  }
  await untilGone(cluster, served, id, signal);
}

/** @throws UserError naming what keeps it */
async function untilGone(cluster: Cluster, served: ApiResource, id: ObjectId, signal: AbortSignal): Promise<void> {
  const limit = performance.now() + (typeName(served) === 'namespaces' ? NAMESPACE_LEAVES_MS : OBJECT_LEAVES_MS);
  for (;;) {
    const found = await cluster.find(served, id, signal);
    // One of the same name that is not leaving is a new one.
    if (found?.metadata['deletionTimestamp'] === undefined) return;
    if (performance.now() > limit) throw stuck(served, id, found);
    await sleep(LOOK_MS, undefined, { signal });
  }
}

function stuck(served: ApiResource, id: ObjectId, found: KubeObject): UserError {
  const finalizers = found.metadata['finalizers'];
  const reasons = conditionsOf(found)
    .filter(({ status }) => status === 'True')
    .flatMap((condition) => textAt(condition, 'message') ?? []);
  const waits = Array.isArray(finalizers) && finalizers.length > 0 ? `it waits for ${finalizers.join(', ')}` : reasons.join(' ');
  return new UserError(`${objectName({ ...served, ...id })} is being deleted and does not go away${waits === '' ? '' : `: ${waits}`}.`, {
    fix: 'Whatever answers for its finalizers must run; or take them away, if that is gone for good. Then run the restore again.',
  });
}

/** Waits until definitions are served. @throws UserError naming one that the API server does not take */
export async function untilEstablished(
  cluster: Cluster,
  served: ApiResource,
  names: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const limit = performance.now() + ESTABLISHED_MS;
  for (const name of names) {
    for (;;) {
      const found = await cluster.find(served, { name }, signal);
      const conditions = conditionsOf(found);
      const is = (type: string, status: string) => conditions.find((one) => one['type'] === type && one['status'] === status);
      if (found === undefined || is('Established', 'True')) break;
      if (performance.now() > limit) {
        const why = textAt(is('NamesAccepted', 'False') ?? is('Established', 'False'), 'message');
        throw new UserError(`The definition ${name} is not established${why === undefined ? '' : `: ${why}`}.`, {
          fix: `Look at it: kubectl describe customresourcedefinition ${name}`,
        });
      }
      await sleep(LOOK_MS, undefined, { signal });
    }
  }
}
