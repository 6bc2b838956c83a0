// What a restore changes about objects: other namespaces, other storage classes, workloads that wait at 0.
import { typeName, type KubeObject } from '../kubernetes/resources.ts';
import { mapping, mappings, textAt, type ResourceType } from './objects.ts';
import { scrubbed } from './scrub.ts';

export interface Changes {
  /** Old name → new name. */
  namespaces: ReadonlyMap<string, string>;
  storageClasses: ReadonlyMap<string, string>;
  scaleToZero: boolean;
}

export const NO_CHANGES: Changes = { namespaces: new Map(), storageClasses: new Map(), scaleToZero: false };

/** The annotations that note what was wanted of a workload that was brought up at 0. */
export const WANTED_REPLICAS = 'lifeboat/replicas';
export const WANTED_SUSPEND = 'lifeboat/suspend';

type Fields = Record<string, unknown>;
type Typed = Pick<ResourceType, 'group' | 'plural'>;

/** `a=b` pairs as a map. */
export function pairsOf(pairs: readonly string[] | undefined): Map<string, string> {
  return new Map((pairs ?? []).map((pair) => pair.split('=') as [string, string]));
}

/** The object as it is wanted in the target: without what its cluster added, under its new names. */
export function wantedOf(type: Typed, object: KubeObject, changes: Changes): KubeObject {
  const wanted = scrubbed(type, object);
  moveNamespace(type, wanted, changes.namespaces);
  changeStorageClass(wanted, changes.storageClasses);
  if (changes.scaleToZero) scaleToZero(type, wanted);
  return wanted;
}

/** Also where an object names a namespace: whom a role is given to, where a webhook answers, which claim a volume is for. */
function moveNamespace(type: Typed, object: KubeObject, to: Changes['namespaces']): void {
  if (to.size === 0) return;
  const move = (of: Fields | undefined, key = 'namespace'): void => {
    const old = textAt(of, key);
    const moved = old === undefined ? undefined : to.get(old);
    if (of !== undefined && moved !== undefined) of[key] = moved;
  };
  move(object.metadata);
  if (typeName(type) === 'namespaces') move(object.metadata, 'name');
  for (const subject of mappings(object['subjects'])) move(subject);
  for (const webhook of mappings(object['webhooks'])) move(mapping(mapping(webhook['clientConfig'])?.['service']));
  const spec = mapping(object['spec']);
  move(mapping(spec?.['claimRef']));
  const conversion = mapping(mapping(spec?.['conversion'])?.['webhook']);
  move(mapping(mapping(conversion?.['clientConfig'])?.['service']));
}

function changeStorageClass(object: KubeObject, to: Changes['storageClasses']): void {
  if (to.size === 0) return;
  const spec = mapping(object['spec']);
  const claims = [object.kind === 'PersistentVolumeClaim' || object.kind === 'PersistentVolume' ? spec : undefined];
  for (const template of mappings(spec?.['volumeClaimTemplates'])) claims.push(mapping(template['spec']));
  for (const claim of claims) {
    const changed = to.get(textAt(claim, 'storageClassName') ?? '');
    if (claim !== undefined && changed !== undefined) claim['storageClassName'] = changed;
  }
}

const SCALED = new Set(['deployments.apps', 'statefulsets.apps', 'replicasets.apps', 'replicationcontrollers']);

function scaleToZero(type: Typed, object: KubeObject): void {
  const spec = mapping(object['spec']);
  if (spec === undefined) return;
  const note = (name: string, value: string): void => {
    object.metadata.annotations = { ...object.metadata.annotations, [name]: value };
  };
  if (SCALED.has(typeName(type))) {
    // One that waits already keeps what is noted.
    const replicas = typeof spec['replicas'] === 'number' ? spec['replicas'] : 1;
    if (replicas !== 0) note(WANTED_REPLICAS, String(replicas));
    spec['replicas'] = 0;
  }
  if (typeName(type) === 'cronjobs.batch') {
    if (spec['suspend'] !== true) note(WANTED_SUSPEND, 'false');
    spec['suspend'] = true;
  }
}

/** Why an object cannot be had under other names; undefined when it can. */
export function unmovable(type: Typed, object: KubeObject, { namespaces }: Changes): string | undefined {
  const claim = textAt(object, 'spec', 'claimRef', 'namespace');
  return typeName(type) === 'persistentvolumes' && claim !== undefined && namespaces.has(claim)
    ? `its claim is in ${claim}, which is restored under another name, and a volume has one claim`
    : undefined;
}
