// One golden case for each rule of the two tables.
import type { KubeObject } from '../../shared/kubernetes/resources.ts';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { NEVER_EXPORTED, scrubbed, SCRUB_RULES, SKIP_RULES, skipReason } from '../../shared/cluster-state/scrub.ts';

type Fields = Record<string, unknown>;
const typed = (name: string) => {
  const [plural = '', ...group] = name.split('.');
  return { plural, group: group.join('.') };
};
const metadata = (more: Fields = {}) => ({ name: 'web', namespace: 'shop', ...more });
const made = (kind: string, rest: Fields): KubeObject => ({ apiVersion: 'v1', kind, metadata: metadata(), ...rest });
const HOOKS = 'mutatingwebhookconfigurations.admissionregistration.k8s.io';
const TOKEN = 'kubernetes.io/service-account-token';

/** Rule, type, what a cluster has, what is left of it. */
const GOLDEN: [rule: string, type: string, before: KubeObject, after: Fields][] = [
  [
    'what the API server keeps of every object',
    'configmaps',
    made('ConfigMap', {
      data: { a: '1' },
      status: { phase: 'Active' },
      metadata: metadata({
        ...{ uid: 'u', resourceVersion: '5', generation: 2, creationTimestamp: 't', selfLink: '/x', generateName: 'web-' },
        ...{ deletionGracePeriodSeconds: 30, ownerReferences: [{ name: 'gone' }], managedFields: [{}], annotations: {} },
        ...{ labels: { app: 'web' }, finalizers: ['example.org/guard'] },
      }),
    }),
    { data: { a: '1' }, metadata: metadata({ labels: { app: 'web' }, finalizers: ['example.org/guard'] }) },
  ],
  [
    "a namespace's own finalizer and name label",
    'namespaces',
    made('Namespace', {
      spec: { finalizers: ['kubernetes'] },
      metadata: { name: 'shop', labels: { 'kubernetes.io/metadata.name': 'shop', 'pod-security.kubernetes.io/enforce': 'baseline' } },
    }),
    { metadata: { name: 'shop', labels: { 'pod-security.kubernetes.io/enforce': 'baseline' } } },
  ],
  [
    'addresses and ports that a service was given',
    'services',
    made('Service', {
      spec: { clusterIP: '10.0.0.7', clusterIPs: ['10.0.0.7'], healthCheckNodePort: 31000, ports: [{ port: 80, nodePort: 30080 }] },
    }),
    { spec: { ports: [{ port: 80 }] } },
  ],
  [
    'where a pod ran, and the token that it was given',
    'pods',
    made('Pod', {
      spec: {
        ...{ nodeName: 'node-0', priority: 0, preemptionPolicy: 'PreemptLowerPriority', serviceAccountName: 'bot' },
        volumes: [{ name: 'data' }, { name: 'kube-api-access-x2f4q' }, { name: 'bot-token-abcde' }],
        containers: [{ name: 'c', volumeMounts: [{ name: 'kube-api-access-x2f4q' }] }],
      },
    }),
    { spec: { serviceAccountName: 'bot', volumes: [{ name: 'data' }], containers: [{ name: 'c' }] } },
  ],
  [
    'by what a job finds its pods',
    'jobs.batch',
    made('Job', {
      metadata: metadata({ labels: { 'controller-uid': 'u', 'batch.kubernetes.io/job-name': 'web', app: 'web' } }),
      spec: {
        selector: { matchLabels: { 'batch.kubernetes.io/controller-uid': 'u' } },
        template: {
          metadata: { labels: { 'controller-uid': 'u', 'batch.kubernetes.io/controller-uid': 'u', 'job-name': 'web' } },
          spec: {},
        },
      },
    }),
    { metadata: metadata({ labels: { app: 'web' } }), spec: { template: { metadata: {}, spec: {} } } },
  ],
  [
    "a service account's generated tokens",
    'serviceaccounts',
    made('ServiceAccount', { secrets: [{ name: 'web-token-x2f4q' }, { name: 'registry' }] }),
    { secrets: [{ name: 'registry' }] },
  ],
  [
    'the token in a secret that is filled by the cluster',
    'secrets',
    made('Secret', {
      type: TOKEN,
      metadata: metadata({ annotations: { 'kubernetes.io/service-account.name': 'bot', 'kubernetes.io/service-account.uid': 'u' } }),
      data: { token: 'dA==', 'ca.crt': 'Yw==', namespace: 'c2hvcA==', own: 'eA==' },
    }),
    { type: TOKEN, metadata: metadata({ annotations: { 'kubernetes.io/service-account.name': 'bot' } }), data: { own: 'eA==' } },
  ],
  [
    'rules that are gathered from other roles',
    'clusterroles.rbac.authorization.k8s.io',
    made('ClusterRole', { aggregationRule: { clusterRoleSelectors: [] }, rules: [{ verbs: ['get'] }] }),
    { aggregationRule: { clusterRoleSelectors: [] } },
  ],
  [
    'a schema that keeps unknown fields, as v1 writes it',
    'customresourcedefinitions.apiextensions.k8s.io',
    made('CustomResourceDefinition', {
      spec: { preserveUnknownFields: true, versions: [{ name: 'v1', schema: { openAPIV3Schema: { type: 'object' } } }] },
    }),
    { spec: { versions: [{ name: 'v1', schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } } }] } },
  ],
  [
    'side effects that v1 no longer takes',
    HOOKS,
    made('MutatingWebhookConfiguration', {
      webhooks: [
        { name: 'a', sideEffects: 'Unknown' },
        { name: 'b', sideEffects: 'NoneOnDryRun' },
      ],
    }),
    {
      webhooks: [
        { name: 'a', sideEffects: 'None' },
        { name: 'b', sideEffects: 'NoneOnDryRun' },
      ],
    },
  ],
  [
    'the volume that a claim was given',
    'persistentvolumeclaims',
    made('PersistentVolumeClaim', {
      metadata: metadata({
        annotations: {
          'pv.kubernetes.io/bind-completed': 'yes',
          'pv.kubernetes.io/bound-by-controller': 'yes',
          'volume.kubernetes.io/storage-provisioner': 'disk.csi.azure.com',
          'volume.beta.kubernetes.io/storage-provisioner': 'disk.csi.azure.com',
          'volume.kubernetes.io/selected-node': 'node-0',
          mine: 'stays',
        },
        finalizers: ['kubernetes.io/pvc-protection'],
      }),
      spec: { volumeName: 'pvc-1', storageClassName: 'fast' },
    }),
    { metadata: metadata({ annotations: { mine: 'stays' } }), spec: { storageClassName: 'fast' } },
  ],
  [
    'the claim that a volume is bound to, by its name only',
    'persistentvolumes',
    made('PersistentVolume', {
      metadata: {
        name: 'web',
        annotations: { 'pv.kubernetes.io/bound-by-controller': 'yes' },
        finalizers: ['kubernetes.io/pv-protection'],
      },
      spec: { claimRef: { namespace: 'shop', name: 'data', uid: 'u', resourceVersion: '5' } },
    }),
    { metadata: { name: 'web' }, spec: { claimRef: { namespace: 'shop', name: 'data' } } },
  ],
  [
    "a rollout's count",
    'deployments.apps',
    made('Deployment', { metadata: metadata({ annotations: { 'deployment.kubernetes.io/revision': '3', note: 'stays' } }) }),
    { metadata: metadata({ annotations: { note: 'stays' } }) },
  ],
  [
    'what an autoscaler notes of itself',
    'horizontalpodautoscalers.autoscaling',
    made('HorizontalPodAutoscaler', {
      metadata: metadata({
        annotations: { 'autoscaling.alpha.kubernetes.io/conditions': '[]', 'autoscaling.alpha.kubernetes.io/current-metrics': '[]' },
      }),
    }),
    { metadata: metadata() },
  ],
];

describe('what is taken away:', () => {
  test.each(GOLDEN)('%s (%s)', (_rule, type, before, after) => {
    const kept = structuredClone(before);
    expect(scrubbed(typed(type), before)).toEqual({
      apiVersion: 'v1',
      kind: before.kind,
      ...after,
      metadata: after['metadata'] ?? before.metadata,
    });
    expect(before).toEqual(kept);
  });

  test('each rule has its case', () => {
    expect(new Set(GOLDEN.map(([rule]) => rule))).toEqual(new Set(SCRUB_RULES.map(({ name }) => name)));
    for (const [rule, type] of GOLDEN) {
      const { of } = SCRUB_RULES.find(({ name }) => name === rule) as (typeof SCRUB_RULES)[number];
      expect(of[0] === '*' || of.includes(type)).toBe(true);
    }
  });

  test.each([
    ['an address of None', { clusterIP: 'None', clusterIPs: ['None'] }, {}],
    [
      'a port that was applied',
      { ports: [{ port: 80, nodePort: 30080 }] },
      { annotations: { 'kubectl.kubernetes.io/last-applied-configuration': '{"spec":{"ports":[{"nodePort":30080,"port":80}]}}' } },
    ],
  ])('a service keeps %s', (_what, spec, more) => {
    const service = made('Service', { spec, metadata: metadata(more) });
    expect(scrubbed(typed('services'), service)).toEqual(service);
  });

  test('a service keeps a port that a manager is noted to have set, and only that', () => {
    const ports = [
      { port: 80, nodePort: 30080 },
      { port: 81, nodePort: 30081, protocol: 'UDP' },
    ];
    const managedFields = [{ fieldsV1: { 'f:spec': { 'f:ports': { 'k:{"port":81,"protocol":"UDP"}': { 'f:nodePort': {} } } } } }];
    expect(scrubbed(typed('services'), made('Service', { spec: { ports }, metadata: metadata({ managedFields }) }))['spec']).toEqual({
      ports: [{ port: 80 }, ports[1]],
    });
  });

  test('a claim that names its volume itself keeps it, a job with a selector of its own that', () => {
    expect(scrubbed(typed('persistentvolumeclaims'), made('PersistentVolumeClaim', { spec: { volumeName: 'disk' } }))['spec']).toEqual({
      volumeName: 'disk',
    });
    const spec = { manualSelector: true, selector: { matchLabels: { a: 'b' } }, template: {} };
    expect(scrubbed(typed('jobs.batch'), made('Job', { spec }))['spec']).toEqual(spec);
  });

  test('whatever an object holds, nothing breaks, and once is enough', () => {
    const types = [...new Set(SCRUB_RULES.flatMap(({ of }) => of)), 'configmaps'].map(typed);
    const anything = fc.jsonValue({ maxDepth: 4 });
    const body = fc.record(
      { spec: anything, data: anything, secrets: anything, webhooks: anything, status: anything },
      { requiredKeys: [] },
    );
    const meta = fc.record(
      { labels: anything, annotations: anything, finalizers: anything, ownerReferences: anything },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(fc.constantFrom(...types), body, meta, (type, rest, more) => {
        const object = { apiVersion: 'v1', kind: 'X', ...rest, metadata: { name: 'web', ...more } } as KubeObject;
        skipReason(type, object);
        const once = scrubbed(type, object);
        expect(scrubbed(type, once)).toEqual(once);
      }),
    );
  });
});

/** Rule, type, one that is skipped, one of the same type that is not. */
const SKIPPED: [rule: string, type: string, skipped: KubeObject, kept: KubeObject][] = [
  ['being deleted', 'configmaps', made('ConfigMap', { metadata: metadata({ deletionTimestamp: 't' }) }), made('ConfigMap', {})],
  [
    'excluded by its label',
    'configmaps',
    made('ConfigMap', { metadata: metadata({ labels: { 'velero.io/exclude-from-backup': 'true' } }) }),
    made('ConfigMap', { metadata: metadata({ labels: { 'velero.io/exclude-from-backup': 'false' } }) }),
  ],
  [
    'made by a controller',
    'replicasets.apps',
    made('ReplicaSet', { metadata: metadata({ ownerReferences: [{ kind: 'Deployment', controller: true }] }) }),
    made('ReplicaSet', { metadata: metadata({ ownerReferences: [{ kind: 'Deployment' }] }) }),
  ],
  [
    'a pod of a node',
    'pods',
    made('Pod', { metadata: metadata({ annotations: { 'kubernetes.io/config.mirror': 'x' } }) }),
    made('Pod', {}),
  ],
  ['completed', 'jobs.batch', made('Job', { status: { completionTime: 't' } }), made('Job', { status: { active: 1 } })],
  ['completed', 'pods', made('Pod', { status: { phase: 'Failed' } }), made('Pod', { status: { phase: 'Running' } })],
  [
    'made for a service',
    'endpointslices.discovery.k8s.io',
    made('EndpointSlice', {
      metadata: metadata({ labels: { 'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io' } }),
    }),
    made('EndpointSlice', { metadata: metadata({ labels: { 'endpointslice.kubernetes.io/managed-by': 'me' } }) }),
  ],
  [
    'the root certificate of a namespace',
    'configmaps',
    made('ConfigMap', { metadata: metadata({ name: 'kube-root-ca.crt' }) }),
    made('ConfigMap', {}),
  ],
  [
    'the default service account, as it is made',
    'serviceaccounts',
    made('ServiceAccount', { metadata: metadata({ name: 'default' }), secrets: [{ name: 'default-token-x2f4q' }] }),
    made('ServiceAccount', { metadata: metadata({ name: 'default' }), imagePullSecrets: [{ name: 'registry' }] }),
  ],
  [
    'a token that was made for a service account',
    'secrets',
    made('Secret', {
      type: TOKEN,
      metadata: metadata({ name: 'bot-token-x2f4q', annotations: { 'kubernetes.io/service-account.name': 'bot' } }),
    }),
    made('Secret', {
      type: TOKEN,
      metadata: metadata({ name: 'bot-long-lived', annotations: { 'kubernetes.io/service-account.name': 'bot' } }),
    }),
  ],
  [
    "the API server's own rules",
    'clusterroles.rbac.authorization.k8s.io',
    made('ClusterRole', { metadata: { name: 'view', labels: { 'kubernetes.io/bootstrapping': 'rbac-defaults' } } }),
    made('ClusterRole', {}),
  ],
  [
    "the API server's own flow control",
    'flowschemas.flowcontrol.apiserver.k8s.io',
    made('FlowSchema', { metadata: { name: 'probes', annotations: { 'apf.kubernetes.io/autoupdate-spec': 'true' } } }),
    made('FlowSchema', { metadata: { name: 'mine' } }),
  ],
  [
    "the API server's own service and priorities",
    'priorityclasses.scheduling.k8s.io',
    made('PriorityClass', { metadata: { name: 'system-node-critical' } }),
    made('PriorityClass', { metadata: { name: 'high' } }),
  ],
  [
    "the API server's own service and priorities",
    'services',
    made('Service', { metadata: { name: 'kubernetes', namespace: 'default' } }),
    made('Service', { metadata: { name: 'kubernetes', namespace: 'shop' } }),
  ],
  [
    'a volume that was made for a claim',
    'persistentvolumes',
    made('PersistentVolume', { metadata: { name: 'pvc-1', annotations: { 'pv.kubernetes.io/provisioned-by': 'disk.csi.azure.com' } } }),
    made('PersistentVolume', { metadata: { name: 'static' } }),
  ],
];

describe('what is not restored:', () => {
  test.each(SKIPPED)('%s (%s)', (rule, type, skipped, kept) => {
    expect(skipReason(typed(type), skipped)).toBe(SKIP_RULES.find(({ name }) => name === rule)?.why);
    expect(skipReason(typed(type), kept)).toBeUndefined();
  });

  test('each rule has its case', () => {
    expect(new Set(SKIPPED.map(([rule]) => rule))).toEqual(new Set(SKIP_RULES.map(({ name }) => name)));
  });

  test.each([...NEVER_EXPORTED])('%s', (type) => {
    expect(skipReason(typed(type), made('X', {}))).toBe('such objects are not restored');
  });
});
