// Holds the objects of an archive against a living cluster, type by type: what is missing there, equal, or different, and where.
import { ApiError } from '../kubernetes/api-error.ts';
import type { Cluster } from '../kubernetes/cluster.ts';
import { typeName, type ApiResource, type KubeObject } from '../kubernetes/resources.ts';
import { objectsOf } from './archive.ts';
import { unmovable, wantedOf, type Changes } from './changes.ts';
import { differencesOf, digestOf, mergePatch, type Difference } from './difference.ts';
import type { ObjectId, ResourceType } from './objects.ts';
import { scrubbed, skipReason } from './scrub.ts';
import type { Selector } from './selection.ts';
import type { Throttle } from './throttle.ts';
import type { ServedTypes } from './types.ts';

/** What is looked for, and how. */
export interface SurveyRequest {
  cluster: Cluster;
  served: ServedTypes;
  selector: Selector;
  changes: Changes;
  throttle: Throttle;
}

/** An object of an archive as it is wanted in the cluster. */
export interface Wanted {
  /** In the archive. */
  path: string;
  /** Its place in the cluster. */
  id: ObjectId;
  object: KubeObject;
  /** Why it is not restored although it is selected. */
  skipped?: string;
}

/** Objects of one type that follow each other in an archive. */
export interface Batch {
  type: ResourceType;
  /** As the cluster serves it; undefined when it does not. */
  served: ApiResource | undefined;
  /** By `namespace/name`. */
  living: ReadonlyMap<string, Living>;
  /** Why it cannot be listed. */
  unlisted?: ApiError;
  wanted: Wanted[];
}

/** What is kept of an object that is there. */
interface Living {
  digest: string;
  /** It is asked to go away. */
  leaving: boolean;
}

/** How a wanted object and the living one compare. */
export type Judgement =
  | { verdict: 'equal' }
  | { verdict: 'missing' }
  | {
      verdict: 'different';
      differences: Difference[];
      /** What turns the living one into the wanted one. */
      patch: unknown;
      living: KubeObject;
      /** What the server says to that. */
      refused?: ApiError;
    };

/** Objects in work at a time; each may have 1.5 MB. */
const BATCH = 48;

/**
 * The selected objects of an archive, a few at a time, with what the cluster has of their type.
 * @throws VerificationError as `readArchive`; ApiError, ClusterUnreachableError
 */
export async function* batchesOf(bytes: AsyncIterable<Uint8Array>, request: SurveyRequest): AsyncGenerator<Batch> {
  let batch: Batch | undefined;
  for await (const { path, id, object } of objectsOf(bytes)) {
    const type: ResourceType = { ...id, kind: object.kind, namespaced: id.namespace !== undefined };
    if (!request.selector.meansType(type) || !request.selector.meansObject(type, object)) continue;
    if (batch !== undefined && !isSameType(batch.type, type)) {
      yield batch;
      batch = undefined;
    } else if (batch?.wanted.length === BATCH) {
      yield batch;
      batch = { ...batch, wanted: [] };
    }
    batch ??= await openBatch(type, request);
    batch.wanted.push(wantedFor({ path, id, object }, type, request.changes));
  }
  if (batch !== undefined) yield batch;
}

function wantedFor({ path, id, object }: { path: string; id: ObjectId; object: KubeObject }, type: ResourceType, changes: Changes): Wanted {
  const wanted = wantedOf(type, object, changes);
  const { namespace, name } = wanted.metadata;
  const skipped = skipReason(type, object) ?? unmovable(type, object, changes);
  return { path, id: { ...id, namespace, name }, object: wanted, ...(skipped === undefined ? {} : { skipped }) };
}

async function openBatch(type: ResourceType, { served, cluster }: SurveyRequest): Promise<Batch> {
  const found = await served.find(type);
  const living = new Map<string, Living>();
  if (found === undefined) return { type, served: found, living, wanted: [] };
  try {
    for await (const { items } of cluster.list(found)) {
      for (const object of items) {
        const leaving = object.metadata['deletionTimestamp'] !== undefined;
        living.set(keyOf(object.metadata), { digest: digestOf(scrubbed(type, object)), leaving });
      }
    }
  } catch (thrown) {
    // A login that may not see one kind is no reason to leave all others lost.
    if (!(thrown instanceof ApiError) || thrown.status === 401) throw thrown;
    return { type, served: found, living, unlisted: thrown, wanted: [] };
  }
  return { type, served: found, living, wanted: [] };
}

function isSameType(a: ResourceType, b: ResourceType): boolean {
  return a.version === b.version && typeName(a) === typeName(b) && a.kind === b.kind;
}

export function keyOf({ namespace, name }: { namespace?: string | undefined; name: string }): string {
  return `${namespace ?? ''}/${name}`;
}

/**
 * Holds one wanted object against the living one. Where both differ the server is asked, without storing anything, what it would make of it:
 * what it fills in by itself is no difference.
 */
export async function judge(
  cluster: Cluster,
  { type, served, living }: Batch & { served: ApiResource },
  { id, object }: Wanted,
): Promise<Judgement> {
  const known = living.get(keyOf(id));
  if (known === undefined) return { verdict: 'missing' };
  if (known.digest === digestOf(object) && !known.leaving) return { verdict: 'equal' };
  return judgeAnew(cluster, { type, served }, { id, object });
}

/** The same by asking for the object itself. */
export async function judgeAnew(
  cluster: Cluster,
  { type, served }: Pick<Batch, 'type'> & { served: ApiResource },
  { id, object }: Pick<Wanted, 'id' | 'object'>,
): Promise<Judgement> {
  const found = await cluster.find(served, id);
  if (found === undefined) return { verdict: 'missing' };
  const before = scrubbed(type, found);
  const patch = mergePatch(before, object);
  if (patch === undefined) return { verdict: 'equal' };
  const different = { verdict: 'different' as const, patch, living: found };
  try {
    const after = scrubbed(type, await cluster.patch(served, id, { type: 'merge', patch, dryRun: true }));
    if (digestOf(after) === digestOf(before)) return { verdict: 'equal' };
    return { ...different, differences: differencesOf(before, after) };
  } catch (thrown) {
    if (!(thrown instanceof ApiError)) throw thrown;
    if (thrown.status === 404) return { verdict: 'missing' };
    return { ...different, differences: differencesOf(before, object), refused: thrown };
  }
}
