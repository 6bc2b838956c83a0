// Chooses the pod and the container to work in: running, ready, and without guessing between several containers.
import { UserError } from '../step/errors.ts';
import { PODS, type ClusterNamespace } from './namespace.ts';
import type { KubeObject } from './resources.ts';

/** How a user says which container is meant. */
export interface PodChoice {
  /** A pod by name … */
  pod?: string | undefined;
  /** … or the label selector of some that are alike. */
  selector?: string | undefined;
  /** Needed when the pod has several and does not name its main one. */
  container?: string | undefined;
}

/** A container that takes commands. */
export interface PodContainer {
  pod: string;
  container: string;
}

/** The part of the Pod object that matters here. */
interface Pod {
  metadata: { name: string; annotations?: Record<string, string>; deletionTimestamp?: string };
  spec: { containers: { name: string }[] };
  status?: {
    phase?: string;
    conditions?: { type: string; status: string }[];
    containerStatuses?: { name: string; ready: boolean; state?: { waiting?: { reason?: string } } }[];
  };
}

/** kubectl's own way to name a pod's main container. */
const MAIN_CONTAINER = 'kubectl.kubernetes.io/default-container';

/**
 * The containers that fit, by pod name.
 * @throws UserError when there is no pod, none is ready, or it has several containers and none was named
 */
export async function findContainers(
  namespace: ClusterNamespace,
  choice: PodChoice,
  spell: (input: 'container' | 'selector' | 'namespace') => string,
  signal?: AbortSignal,
): Promise<[PodContainer, ...PodContainer[]]> {
  const pods = await podsOf(namespace, choice, spell, signal);
  const ready = pods.filter(isReady).sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  const [first, ...others] = ready.map((pod) => ({ pod: pod.metadata.name, container: containerOf(pod, choice.container, spell) }));
  if (first) return [first, ...others];
  const states = pods.slice(0, 3).map((pod) => `${pod.metadata.name} is ${stateOf(pod)}`);
  throw new UserError(`No pod is ready in namespace ${namespace.name}: ${states.join(', ')}.`, {
    fix: `See why: kubectl describe pod ${pods[0]?.metadata.name ?? ''} --namespace ${namespace.name}`,
  });
}

async function podsOf(
  namespace: ClusterNamespace,
  { pod, selector = '' }: PodChoice,
  spell: (input: 'selector' | 'namespace') => string,
  signal: AbortSignal | undefined,
): Promise<Pod[]> {
  const { cluster, name } = namespace;
  if (pod !== undefined) return [asPod(await cluster.get(PODS, { namespace: name, name: pod }, signal))];
  const found: Pod[] = [];
  for await (const { items } of cluster.list(PODS, { namespace: name, labelSelector: selector, signal })) found.push(...items.map(asPod));
  if (found.length > 0) return found;
  throw new UserError(`There is no pod with ${selector} in namespace ${name}.`, {
    fix: `Check ${spell('namespace')} and ${spell('selector')}; the labels are shown by: kubectl get pods --namespace ${name} --show-labels`,
  });
}

function asPod(object: KubeObject): Pod {
  return object as KubeObject & Pod;
}

function isReady({ metadata, status }: Pod): boolean {
  if (metadata.deletionTimestamp !== undefined || status?.phase !== 'Running') return false;
  return status.conditions?.some(({ type, status: holds }) => type === 'Ready' && holds === 'True') ?? false;
}

function stateOf({ metadata, status }: Pod): string {
  if (metadata.deletionTimestamp !== undefined) return 'being deleted';
  const waiting = status?.containerStatuses?.find(({ ready }) => !ready)?.state?.waiting?.reason;
  if (waiting !== undefined) return waiting;
  return status?.phase === 'Running' ? 'running, but not ready' : (status?.phase ?? 'in an unknown state').toLowerCase();
}

function containerOf({ metadata, spec }: Pod, wanted: string | undefined, spell: (input: 'container') => string): string {
  const names = spec.containers.map(({ name }) => name);
  const [only] = names;
  const main = wanted ?? metadata.annotations?.[MAIN_CONTAINER] ?? (names.length === 1 ? only : undefined);
  if (main !== undefined && names.includes(main)) return main;
  throw new UserError(
    main === undefined
      ? `Pod ${metadata.name} has ${names.length} containers: ${names.join(', ')}.`
      : `Pod ${metadata.name} has no container ${main}; it has ${names.join(', ')}.`,
    { fix: `Say which one is meant with ${spell('container')}.` },
  );
}
