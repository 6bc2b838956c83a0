// What a cluster adds to objects by itself, as one table: what is taken away before objects are compared or applied, and which objects are not
// restored at all, because a controller or the API server makes them. Source of the rules: field.md section 5 (Velero's code and issues).
import { typeName, type KubeObject } from '../kubernetes/resources.ts';
import { cloned, mapping, mappings, textAt, type ResourceType } from './objects.ts';

type Typed = Pick<ResourceType, 'group' | 'plural'>;
type Fields = Record<string, unknown>;

/** One rule. `of`: types as kubectl names them (`deployments.apps`), or `*`. */
export interface ScrubRule {
  name: string;
  of: readonly string[];
  scrub(object: KubeObject): void;
}

export interface SkipRule {
  name: string;
  of: readonly string[];
  /** Whether the object is one that is made by itself. */
  skips(object: KubeObject): boolean;
  /** Why it is not restored, to follow `is skipped: `. */
  why: string;
}

const METADATA = [
  ...['generateName', 'selfLink', 'uid', 'resourceVersion', 'generation', 'creationTimestamp'],
  ...['deletionTimestamp', 'deletionGracePeriodSeconds', 'ownerReferences', 'managedFields'],
];
const JOB_LABELS = ['controller-uid', 'batch.kubernetes.io/controller-uid', 'job-name', 'batch.kubernetes.io/job-name'];
const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';
const TOKEN_TYPE = 'kubernetes.io/service-account-token';

export const SCRUB_RULES: readonly ScrubRule[] = [
  {
    name: "a namespace's own finalizer and name label",
    of: ['namespaces'],
    scrub: (object) => {
      drop(object, 'spec');
      dropLabels(object.metadata, 'kubernetes.io/metadata.name');
    },
  },
  {
    name: 'addresses and ports that a service was given',
    of: ['services'],
    scrub: (object) => {
      const spec = mapping(object['spec']);
      if (spec === undefined) return;
      if (spec['clusterIP'] !== 'None') drop(spec, 'clusterIP', 'clusterIPs');
      for (const port of mappings(spec['ports'])) {
        // As the API server keys the ports of a service where it notes who set what.
        const place = `k:${JSON.stringify({ port: port['port'], protocol: port['protocol'] ?? 'TCP' })}`;
        if (!isExplicitPort(object, port['nodePort'], ['f:spec', 'f:ports', place, 'f:nodePort'])) drop(port, 'nodePort');
      }
      if (!isExplicitPort(object, spec['healthCheckNodePort'], ['f:spec', 'f:healthCheckNodePort'])) drop(spec, 'healthCheckNodePort');
    },
  },
  {
    name: 'where a pod ran, and the token that it was given',
    of: ['pods'],
    scrub: (object) => {
      const spec = mapping(object['spec']);
      if (spec === undefined) return;
      drop(spec, 'nodeName', 'priority', 'preemptionPolicy');
      const account = textAt(spec, 'serviceAccountName') ?? 'default';
      const isToken = (name: unknown): boolean =>
        typeof name === 'string' && (name.startsWith('kube-api-access-') || name.startsWith(`${account}-token-`));
      filter(spec, 'volumes', ({ name }) => !isToken(name));
      for (const kind of ['containers', 'initContainers', 'ephemeralContainers'])
        for (const container of mappings(spec[kind])) filter(container, 'volumeMounts', ({ name }) => !isToken(name));
    },
  },
  {
    name: 'by what a job finds its pods',
    of: ['jobs.batch'],
    scrub: (object) => {
      const spec = mapping(object['spec']);
      dropLabels(object.metadata, ...JOB_LABELS);
      if (spec === undefined || spec['manualSelector'] === true) return;
      drop(spec, 'selector');
      dropLabels(mapping(mapping(spec['template'])?.['metadata']), ...JOB_LABELS);
    },
  },
  {
    name: "a service account's generated tokens",
    of: ['serviceaccounts'],
    scrub: (object) => {
      filter(object, 'secrets', ({ name }) => typeof name !== 'string' || !name.startsWith(`${object.metadata.name}-token-`));
    },
  },
  {
    name: 'the token in a secret that is filled by the cluster',
    of: ['secrets'],
    scrub: (object) => {
      if (object['type'] !== TOKEN_TYPE) return;
      const data = mapping(object['data']);
      if (data !== undefined) drop(data, 'token', 'ca.crt', 'namespace');
      if (data !== undefined && Object.keys(data).length === 0) drop(object, 'data');
      dropAnnotations(object.metadata, 'kubernetes.io/service-account.uid');
      dropLabels(object.metadata, 'kubernetes.io/legacy-token-last-used');
    },
  },
  {
    name: 'rules that are gathered from other roles',
    of: ['clusterroles.rbac.authorization.k8s.io'],
    scrub: (object) => {
      if (mapping(object['aggregationRule']) !== undefined) drop(object, 'rules');
    },
  },
  {
    name: 'a schema that keeps unknown fields, as v1 writes it',
    of: ['customresourcedefinitions.apiextensions.k8s.io'],
    scrub: (object) => {
      const spec = mapping(object['spec']);
      if (spec?.['preserveUnknownFields'] !== true) return;
      drop(spec, 'preserveUnknownFields');
      for (const version of mappings(spec['versions'])) {
        const schema = mapping(mapping(version['schema'])?.['openAPIV3Schema']);
        if (schema !== undefined) schema['x-kubernetes-preserve-unknown-fields'] = true;
      }
    },
  },
  {
    name: 'side effects that v1 no longer takes',
    of: ['mutatingwebhookconfigurations.admissionregistration.k8s.io', 'validatingwebhookconfigurations.admissionregistration.k8s.io'],
    scrub: (object) => {
      for (const webhook of mappings(object['webhooks'])) if (webhook['sideEffects'] !== 'NoneOnDryRun') webhook['sideEffects'] = 'None';
    },
  },
  {
    name: 'the volume that a claim was given',
    of: ['persistentvolumeclaims'],
    scrub: (object) => {
      const annotations = object.metadata.annotations;
      const given = ['volume.kubernetes.io/storage-provisioner', 'volume.beta.kubernetes.io/storage-provisioner'];
      // A claim that names its volume itself keeps it.
      const dynamic = given.some((name) => textAt(annotations, name) !== undefined);
      const spec = mapping(object['spec']);
      if (dynamic && spec !== undefined) drop(spec, 'volumeName');
      dropAnnotations(
        object.metadata,
        ...given,
        ...['pv.kubernetes.io/bind-completed', 'pv.kubernetes.io/bound-by-controller', 'volume.kubernetes.io/selected-node'],
      );
      dropFinalizers(object.metadata, 'kubernetes.io/pvc-protection');
    },
  },
  {
    name: 'the claim that a volume is bound to, by its name only',
    of: ['persistentvolumes'],
    scrub: (object) => {
      const claim = mapping(mapping(object['spec'])?.['claimRef']);
      if (claim !== undefined) drop(claim, 'uid', 'resourceVersion');
      dropAnnotations(object.metadata, 'pv.kubernetes.io/bound-by-controller');
      dropFinalizers(object.metadata, 'kubernetes.io/pv-protection');
    },
  },
  {
    name: "a rollout's count",
    of: ['deployments.apps', 'daemonsets.apps'],
    scrub: (object) => {
      dropAnnotations(object.metadata, 'deployment.kubernetes.io/revision', 'deprecated.daemonset.template.generation');
    },
  },
  {
    name: 'what an autoscaler notes of itself',
    of: ['horizontalpodautoscalers.autoscaling'],
    scrub: (object) => {
      dropAnnotations(object.metadata, 'autoscaling.alpha.kubernetes.io/conditions', 'autoscaling.alpha.kubernetes.io/current-metrics');
    },
  },
  // Last, since others look at who set a field.
  {
    name: 'what the API server keeps of every object',
    of: ['*'],
    scrub: (object) => {
      drop(object.metadata, ...METADATA);
      drop(object, 'status');
    },
  },
];

/** Types that are never exported: they tell of the cluster's machines, of moments, or of work in progress. */
export const NEVER_EXPORTED: ReadonlySet<string> = new Set([
  ...['nodes', 'events', 'events.events.k8s.io', 'componentstatuses', 'bindings', 'leases.coordination.k8s.io'],
  ...['leasecandidates.coordination.k8s.io', 'csinodes.storage.k8s.io', 'csistoragecapacities.storage.k8s.io'],
  ...['volumeattachments.storage.k8s.io', 'controllerrevisions.apps', 'certificatesigningrequests.certificates.k8s.io'],
  ...['apiservices.apiregistration.k8s.io', 'ipaddresses.networking.k8s.io', 'storageversions.internal.apiserver.k8s.io'],
  'resourceslices.resource.k8s.io',
  // Their status is half of them, and cert-manager makes them anew (velero#3517).
  ...['orders.acme.cert-manager.io', 'challenges.acme.cert-manager.io', 'certificaterequests.cert-manager.io'],
  // The work of other backup tools.
  ...['backups.velero.io', 'restores.velero.io', 'podvolumebackups.velero.io', 'podvolumerestores.velero.io'],
  ...[
    'deletebackuprequests.velero.io',
    'downloadrequests.velero.io',
    'serverstatusrequests.velero.io',
    'datauploads.velero.io',
    'datadownloads.velero.io',
  ],
]);

export const SKIP_RULES: readonly SkipRule[] = [
  {
    name: 'being deleted',
    of: ['*'],
    skips: ({ metadata }) => metadata['deletionTimestamp'] !== undefined,
    why: 'it is being deleted',
  },
  {
    name: 'excluded by its label',
    of: ['*'],
    skips: ({ metadata }) => textAt(metadata.labels, 'velero.io/exclude-from-backup') === 'true',
    why: 'its label velero.io/exclude-from-backup says so',
  },
  {
    name: 'made by a controller',
    of: [
      'pods',
      'replicasets.apps',
      'replicationcontrollers',
      'jobs.batch',
      'endpointslices.discovery.k8s.io',
      'resourceclaims.resource.k8s.io',
    ],
    skips: ({ metadata }) => mappings(metadata['ownerReferences']).some(({ controller }) => controller === true),
    why: 'its controller makes it anew',
  },
  {
    name: 'a pod of a node',
    of: ['pods'],
    skips: ({ metadata }) => textAt(metadata.annotations, 'kubernetes.io/config.mirror') !== undefined,
    why: 'its node makes it anew',
  },
  {
    name: 'completed',
    of: ['pods', 'jobs.batch'],
    skips: (object) =>
      ['Succeeded', 'Failed'].includes(textAt(object, 'status', 'phase') ?? '') || textAt(object, 'status', 'completionTime') !== undefined,
    why: 'it has completed',
  },
  {
    name: 'made for a service',
    of: ['endpoints', 'endpointslices.discovery.k8s.io'],
    skips: ({ metadata: { labels, annotations, namespace, name } }) =>
      textAt(labels, 'endpoints.kubernetes.io/managed-by') !== undefined ||
      (textAt(labels, 'endpointslice.kubernetes.io/managed-by') ?? '').endsWith('-controller.k8s.io') ||
      textAt(annotations, 'endpoints.kubernetes.io/last-change-trigger-time') !== undefined ||
      (namespace === 'default' && name === 'kubernetes'),
    why: 'it is made for its service',
  },
  {
    name: 'the root certificate of a namespace',
    of: ['configmaps'],
    skips: ({ metadata: { namespace, name } }) =>
      name === 'kube-root-ca.crt' ||
      (namespace === 'kube-system' &&
        ['extension-apiserver-authentication', 'kube-apiserver-legacy-service-account-token-tracking', 'cluster-info'].includes(name)),
    why: 'the cluster makes it',
  },
  {
    name: 'the default service account, as it is made',
    of: ['serviceaccounts'],
    skips: (object) => {
      const { name, labels, annotations } = object.metadata;
      const isEmpty = (value: unknown): boolean => value === undefined || Object.keys(value as object).length === 0;
      return name === 'default' && isEmpty(labels) && isEmpty(annotations) && isEmpty(object['imagePullSecrets']) && !hasOwnSecrets(object);
    },
    why: 'the cluster makes it',
  },
  {
    name: 'a token that was made for a service account',
    of: ['secrets'],
    skips: (object) => {
      const account = textAt(object.metadata.annotations, 'kubernetes.io/service-account.name');
      return (
        object['type'] === TOKEN_TYPE && account !== undefined && /^-token-[a-z0-9]{5}$/.test(object.metadata.name.slice(account.length))
      );
    },
    why: 'the cluster makes it',
  },
  {
    name: "the API server's own rules",
    of: ['clusterroles', 'clusterrolebindings', 'roles', 'rolebindings'].map((one) => `${one}.rbac.authorization.k8s.io`),
    skips: ({ metadata }) => textAt(metadata.labels, 'kubernetes.io/bootstrapping') === 'rbac-defaults',
    why: 'the API server makes it',
  },
  {
    name: "the API server's own flow control",
    of: ['flowschemas.flowcontrol.apiserver.k8s.io', 'prioritylevelconfigurations.flowcontrol.apiserver.k8s.io'],
    skips: ({ metadata }) => textAt(metadata.annotations, 'apf.kubernetes.io/autoupdate-spec') === 'true' || isBuiltInFlow(metadata.name),
    why: 'the API server makes it',
  },
  {
    name: "the API server's own service and priorities",
    of: ['services', 'priorityclasses.scheduling.k8s.io', 'servicecidrs.networking.k8s.io'],
    skips: ({ kind, metadata: { namespace, name } }) =>
      kind === 'PriorityClass' ? name.startsWith('system-') : name === 'kubernetes' && (namespace === undefined || namespace === 'default'),
    why: 'the API server makes it',
  },
  {
    name: 'a volume that was made for a claim',
    of: ['persistentvolumes'],
    skips: ({ metadata }) => textAt(metadata.annotations, 'pv.kubernetes.io/provisioned-by') !== undefined,
    why: 'it was made for its claim, and its data is in no backup of this kind',
  },
];

/** The object without what its cluster added. The object that is given stays as it is. */
export function scrubbed(type: Typed, object: KubeObject): KubeObject {
  const copy = cloned(object);
  for (const rule of SCRUB_RULES) if (isFor(rule, type)) rule.scrub(copy);
  // An empty mapping and none are the same to the API server.
  const { metadata } = copy;
  for (const key of ['labels', 'annotations', 'finalizers']) if (isBare(metadata[key])) drop(metadata, key);
  return copy;
}

/** Why an object is neither exported nor restored; undefined when it is. */
export function skipReason(type: Typed, object: KubeObject): string | undefined {
  if (NEVER_EXPORTED.has(typeName(type))) return 'such objects are not restored';
  return SKIP_RULES.find((rule) => isFor(rule, type) && rule.skips(object))?.why;
}

function isFor({ of }: { of: readonly string[] }, type: Typed): boolean {
  return of[0] === '*' || of.includes(typeName(type));
}

function drop(from: Fields, ...keys: readonly string[]): void {
  for (const key of keys) Reflect.deleteProperty(from, key);
}

function dropLabels(metadata: { labels?: unknown } | undefined, ...names: readonly string[]): void {
  const labels = mapping(metadata?.labels);
  if (labels !== undefined) drop(labels, ...names);
  if (isBare(labels) && metadata !== undefined) delete metadata.labels;
}

function dropAnnotations(metadata: { annotations?: unknown }, ...names: readonly string[]): void {
  const annotations = mapping(metadata.annotations);
  if (annotations !== undefined) drop(annotations, ...names);
}

function dropFinalizers(metadata: Fields, ...names: readonly string[]): void {
  const finalizers = metadata['finalizers'];
  if (Array.isArray(finalizers)) metadata['finalizers'] = finalizers.filter((name) => !names.includes(name as string));
}

/** Keeps the mappings of a list that pass; an empty list goes. */
function filter(of: Fields, key: string, keep: (one: Fields) => boolean): void {
  const list = of[key];
  if (!Array.isArray(list)) return;
  const kept = list.filter((one: unknown) => keep(mapping(one) ?? {}));
  if (kept.length === 0 && list.length > 0) drop(of, key);
  else of[key] = kept;
}

function isBare(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}

function hasOwnSecrets(object: KubeObject): boolean {
  return mappings(object['secrets']).some(({ name }) => typeof name !== 'string' || !name.startsWith('default-token-'));
}

/** `exempt` and `catch-all` are there always, and their parts may be changed by hand: those that were are kept. */
function isBuiltInFlow(name: string): boolean {
  return ['exempt', 'catch-all', 'system', 'leader-election', 'node-high', 'workload-high', 'workload-low', 'global-default'].includes(
    name,
  );
}

/** Whether a person chose this port: it is in what they applied, or a manager is noted to have set it. @param place where that is noted */
function isExplicitPort(object: KubeObject, port: unknown, place: readonly string[]): boolean {
  if (typeof port !== 'number') return false;
  const field = place.at(-1)?.slice('f:'.length) ?? '';
  const applied = textAt(object.metadata.annotations, LAST_APPLIED);
  if (applied !== undefined && new RegExp(`"${field}":\\s*${port}\\b`).test(applied)) return true;
  const noted = (fields: unknown): boolean => place.reduce<unknown>((at, step) => mapping(at)?.[step], fields) !== undefined;
  return mappings(object.metadata['managedFields']).some((one) => noted(one['fieldsV1']));
}
