// A small deployment as one finds it in a cluster: workloads, what they read, who may do what, a custom resource, a release of helm.
import { generate } from 'selfsigned';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Kubernetes } from '../backends/kubernetes.ts';
import { release } from './objects.ts';

interface Made {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string; [key: string]: unknown };
  [key: string]: unknown;
}

const PATHS: Record<string, string> = {
  Namespace: '/api/v1/namespaces',
  ConfigMap: '/api/v1/namespaces/*/configmaps',
  Secret: '/api/v1/namespaces/*/secrets',
  ServiceAccount: '/api/v1/namespaces/*/serviceaccounts',
  Service: '/api/v1/namespaces/*/services',
  PersistentVolumeClaim: '/api/v1/namespaces/*/persistentvolumeclaims',
  Deployment: '/apis/apps/v1/namespaces/*/deployments',
  StatefulSet: '/apis/apps/v1/namespaces/*/statefulsets',
  CronJob: '/apis/batch/v1/namespaces/*/cronjobs',
  Job: '/apis/batch/v1/namespaces/*/jobs',
  Ingress: '/apis/networking.k8s.io/v1/namespaces/*/ingresses',
  NetworkPolicy: '/apis/networking.k8s.io/v1/namespaces/*/networkpolicies',
  HorizontalPodAutoscaler: '/apis/autoscaling/v2/namespaces/*/horizontalpodautoscalers',
  Role: '/apis/rbac.authorization.k8s.io/v1/namespaces/*/roles',
  RoleBinding: '/apis/rbac.authorization.k8s.io/v1/namespaces/*/rolebindings',
  ClusterRole: '/apis/rbac.authorization.k8s.io/v1/clusterroles',
  ClusterRoleBinding: '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings',
  CustomResourceDefinition: '/apis/apiextensions.k8s.io/v1/customresourcedefinitions',
  Widget: '/apis/example.org/v1/namespaces/*/widgets',
};

/** The path of an object's list, or of the object. */
export function pathOf({ kind, metadata: { namespace = '', name } }: Pick<Made, 'kind' | 'metadata'>, one = false): string {
  return `${(PATHS[kind] ?? '').replace('*', namespace)}${one ? `/${name}` : ''}`;
}

/** Makes an object. */
export async function make({ api }: Pick<Kubernetes, 'api'>, object: object): Promise<void> {
  await api('POST', pathOf(object as Made), object);
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');
const containers = [{ name: 'web', image: 'example.org/web:1', env: [{ name: 'MODE', value: 'live' }] }];
const template = { metadata: { labels: { app: 'web' } }, spec: { serviceAccountName: 'bot', containers } };
const selector = { matchLabels: { app: 'web' } };

/** Objects of the shop, in an order in which they can be made. */
export async function shopObjects(namespace: string): Promise<object[]> {
  const { cert, private: key } = await generate([{ name: 'commonName', value: 'chat.example.org' }], { keySize: 2048 });
  const of = (apiVersion: string, kind: string, name: string, rest: object, meta: object = {}): object => ({
    ...{ apiVersion, kind, metadata: { name, ...(PATHS[kind]?.includes('*') ? { namespace } : {}), ...meta } },
    ...rest,
  });
  const rbac = 'rbac.authorization.k8s.io/v1';
  const helm = release(`${namespace}/chat`, { revision: 3, status: 'deployed', values: { replicas: 2 } });
  return [
    of('apiextensions.k8s.io/v1', 'CustomResourceDefinition', 'widgets.example.org', {
      spec: {
        ...{ group: 'example.org', scope: 'Namespaced', names: { plural: 'widgets', singular: 'widget', kind: 'Widget' } },
        versions: [
          {
            ...{ name: 'v1', served: true, storage: true },
            schema: {
              openAPIV3Schema: { type: 'object', properties: { spec: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } } },
            },
          },
        ],
      },
    }),
    of('v1', 'Namespace', namespace, {}, { labels: { team: 'shop' } }),
    of('v1', 'ServiceAccount', 'bot', { automountServiceAccountToken: true }),
    of('v1', 'ConfigMap', 'settings', { data: { greeting: 'hello', long: 'x'.repeat(5000) }, binaryData: { raw: base64('\u0000\u0001') } }),
    of('v1', 'Secret', 'login', { type: 'Opaque', data: { password: base64('hunter2') } }),
    of('v1', 'Secret', 'tls', { type: 'kubernetes.io/tls', data: { 'tls.crt': base64(cert), 'tls.key': base64(key) } }),
    helm,
    of('v1', 'Service', 'web', { spec: { selector: { app: 'web' }, ports: [{ name: 'http', port: 80 }] } }),
    of('v1', 'Service', 'outside', { spec: { type: 'NodePort', selector: { app: 'web' }, ports: [{ port: 81 }] } }),
    of('v1', 'PersistentVolumeClaim', 'uploads', {
      spec: { storageClassName: 'fast', accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
    }),
    of('apps/v1', 'Deployment', 'web', { spec: { replicas: 2, selector, template } }, { annotations: { note: 'mine' } }),
    of('apps/v1', 'StatefulSet', 'db', { spec: { replicas: 1, serviceName: 'db', selector, template } }),
    of('batch/v1', 'CronJob', 'nightly', {
      spec: { schedule: '0 3 * * *', jobTemplate: { spec: { template: { spec: { restartPolicy: 'Never', containers } } } } },
    }),
    of('networking.k8s.io/v1', 'Ingress', 'chat', {
      spec: {
        tls: [{ hosts: ['chat.example.org'], secretName: 'tls' }],
        rules: [
          {
            host: 'chat.example.org',
            http: { paths: [{ path: '/', pathType: 'Prefix', backend: { service: { name: 'web', port: { number: 80 } } } }] },
          },
        ],
      },
    }),
    of('networking.k8s.io/v1', 'NetworkPolicy', 'closed', { spec: { podSelector: {}, policyTypes: ['Ingress'] } }),
    of('autoscaling/v2', 'HorizontalPodAutoscaler', 'web', {
      spec: { scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' }, minReplicas: 2, maxReplicas: 5 },
    }),
    of(rbac, 'Role', 'reader', { rules: [{ apiGroups: [''], resources: ['pods'], verbs: ['get'] }] }),
    of(rbac, 'RoleBinding', 'reader', {
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'reader' },
      subjects: [{ kind: 'ServiceAccount', name: 'bot', namespace }],
    }),
    of(rbac, 'ClusterRole', `${namespace}-viewer`, { rules: [{ apiGroups: [''], resources: ['nodes'], verbs: ['get'] }] }),
    of('example.org/v1', 'Widget', 'one', { spec: { size: 12_345_678_901_234_567_000n.toString(), deep: { list: [1, 2, 3] } } }),
  ];
}

/** Makes all of it. The definition is served a moment after it was made. */
export async function makeShop(kubernetes: Pick<Kubernetes, 'api'>, namespace = 'shop'): Promise<void> {
  for (const object of await shopObjects(namespace)) {
    for (let attempt = 1; ; attempt += 1) {
      try {
        await make(kubernetes, object);
        break;
      } catch (thrown) {
        if (thrown instanceof Error && thrown.message.includes('AlreadyExists')) break;
        if (attempt > 40) throw thrown;
        await sleep(100);
      }
    }
  }
}

/** Deletes a namespace with all that is in it, and waits until it is gone. */
export async function loseNamespace({ api }: Pick<Kubernetes, 'api'>, namespace: string): Promise<void> {
  await api('DELETE', `/api/v1/namespaces/${namespace}`);
  for (let look = 0; look < 600; look += 1) {
    const found = await api('GET', `/api/v1/namespaces/${namespace}`).then(
      () => true,
      () => false,
    );
    if (!found) return;
    await sleep(100);
  }
  throw new Error(`the namespace ${namespace} does not go away`);
}
