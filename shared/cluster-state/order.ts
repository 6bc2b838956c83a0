// In which order types are restored: what others need comes first. Backups are written in that order, so that a restore is one pass.
// Source: Velero's config.go; workloads after what they read, and what could refuse or change others last.
import { typeName } from '../kubernetes/resources.ts';
import type { ResourceType } from './objects.ts';

const RBAC = 'rbac.authorization.k8s.io';

const FIRST = [
  ...['customresourcedefinitions.apiextensions.k8s.io', 'namespaces', 'priorityclasses.scheduling.k8s.io', 'storageclasses.storage.k8s.io'],
  ...['runtimeclasses.node.k8s.io', 'volumesnapshotclasses.snapshot.storage.k8s.io', 'volumesnapshotcontents.snapshot.storage.k8s.io'],
  ...['volumesnapshots.snapshot.storage.k8s.io', 'persistentvolumes', 'persistentvolumeclaims'],
  ...[`clusterroles.${RBAC}`, `roles.${RBAC}`, 'serviceaccounts', `clusterrolebindings.${RBAC}`, `rolebindings.${RBAC}`],
  ...['secrets', 'configmaps', 'limitranges', 'resourcequotas', 'services', 'endpoints', 'endpointslices.discovery.k8s.io'],
];
const LAST = [
  ...['pods', 'replicasets.apps', 'replicationcontrollers', 'daemonsets.apps', 'statefulsets.apps', 'deployments.apps', 'jobs.batch'],
  ...['poddisruptionbudgets.policy', 'ingresses.networking.k8s.io', 'horizontalpodautoscalers.autoscaling', 'cronjobs.batch'],
  ...[
    'validatingadmissionpolicies',
    'validatingadmissionpolicybindings',
    'mutatingadmissionpolicies',
    'mutatingadmissionpolicybindings',
  ].map((one) => `${one}.admissionregistration.k8s.io`),
  ...['mutatingwebhookconfigurations', 'validatingwebhookconfigurations'].map((one) => `${one}.admissionregistration.k8s.io`),
];

/** Sorts types into the order in which they are restored. */
export function inRestoreOrder<T extends Pick<ResourceType, 'group' | 'plural'>>(types: readonly T[]): T[] {
  return types.toSorted((a, b) => rank(a) - rank(b) || (typeName(a) < typeName(b) ? -1 : 1));
}

function rank(type: Pick<ResourceType, 'group' | 'plural'>): number {
  const name = typeName(type);
  const first = FIRST.indexOf(name);
  if (first >= 0) return first;
  const last = LAST.indexOf(name);
  return last >= 0 ? FIRST.length + 1 + last : FIRST.length;
}
