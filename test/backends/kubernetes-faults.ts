// A cluster's bad days, on demand, with its own means: webhooks that refuse, an extension of the API that is gone, a server that turns requests away.
// What kills parts of it or cuts its streams is in kubernetes.ts.
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { LIMITED_USER, type Kubernetes } from './kubernetes.ts';

/** Takes a fault back. */
export type Undo = () => Promise<void>;

export interface WebhookFault {
  /** What it is asked about. Default: everything that is made or changed. */
  groups?: string[];
  resources?: string[];
  /** Only in namespaces with this label. Without it everywhere, the system's own included. */
  namespaceLabel?: [name: string, value: string];
  /** `refuses`: says no. `down`: nothing listens at its address, and its rule is to fail then. `silent`: does not answer for 30 s. */
  how: 'refuses' | 'down' | 'silent';
}

/** A validating webhook that lets nothing pass; it is named `refuses.example.org`, or so. */
export async function addWebhook(
  kubernetes: Kubernetes,
  { groups = ['*'], resources = ['*'], namespaceLabel, how }: WebhookFault,
): Promise<Undo> {
  const name = `${how}.example.org`;
  const server = createServer({ cert: kubernetes.pem.certificate, key: kubernetes.pem.key }, (request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (part: string) => (body += part));
    request.on('end', () => {
      if (how === 'silent') return;
      const { request: asked } = JSON.parse(body) as { request: { uid: string } };
      const answer = { uid: asked.uid, allowed: false, status: { code: 403, message: 'nothing is allowed here' } };
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response: answer }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.closeAllConnections();
      server.close(() => {
        resolve();
      });
    });
  if (how === 'down') await close();
  const path = '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations';
  await kubernetes.api('POST', path, {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingWebhookConfiguration',
    metadata: { name },
    webhooks: [
      {
        name,
        clientConfig: { url: `https://127.0.0.1:${port}/`, caBundle: Buffer.from(kubernetes.pem.certificate).toString('base64') },
        rules: [{ apiGroups: groups, apiVersions: ['*'], operations: ['CREATE', 'UPDATE'], resources, scope: '*' }],
        ...(namespaceLabel ? { namespaceSelector: { matchLabels: { [namespaceLabel[0]]: namespaceLabel[1] } } } : {}),
        admissionReviewVersions: ['v1'],
        sideEffects: 'None',
        failurePolicy: 'Fail',
        timeoutSeconds: 30,
      },
    ],
  });
  return async () => {
    await kubernetes.api('DELETE', `${path}/${name}`);
    if (how !== 'down') await close();
  };
}

/** Announces `metrics.k8s.io/v1beta1`, behind which nothing stands: what metrics-server leaves when its pod is gone. */
export async function addDeadApi(kubernetes: Kubernetes): Promise<Undo> {
  const path = '/apis/apiregistration.k8s.io/v1/apiservices';
  const name = 'v1beta1.metrics.k8s.io';
  await kubernetes.api('POST', path, {
    apiVersion: 'apiregistration.k8s.io/v1',
    kind: 'APIService',
    metadata: { name },
    spec: {
      group: 'metrics.k8s.io',
      version: 'v1beta1',
      groupPriorityMinimum: 100,
      versionPriority: 100,
      insecureSkipTLSVerify: true,
      service: { namespace: 'kube-system', name: 'metrics-server' },
    },
  });
  return async () => {
    await kubernetes.api('DELETE', `${path}/${name}`);
  };
}

/**
 * Every request of the user of the context `limited` is answered with 429, by the API server's own priority and fairness: it has one seat,
 * and that is taken. For 30 s at most; needs `allowEverything`.
 */
export async function throttle(kubernetes: Kubernetes): Promise<Undo> {
  const { api } = kubernetes;
  const namespace = { name: 'throttled', labels: { throttled: 'yes' } };
  await api('POST', '/api/v1/namespaces', { metadata: namespace }).catch(unlessThere);
  await limitToOneSeat(api);
  const undo = await addWebhook(kubernetes, {
    how: 'silent',
    groups: [''],
    resources: ['configmaps'],
    namespaceLabel: ['throttled', 'yes'],
  });
  const probe = (): Promise<unknown> => api('GET', '/api/v1/namespaces/default', undefined, LIMITED_USER);
  const holding: Promise<unknown>[] = [];
  // Rules and webhooks are heeded a moment later.
  for (let tries = 0; !(await refused(probe)); tries += 1) {
    if (tries > 100) throw new Error('The API server turns no one away.');
    const held = api('POST', '/api/v1/namespaces/throttled/configmaps', { metadata: { generateName: 'held-' } }, LIMITED_USER);
    holding.push(held.catch(() => undefined));
    await delay(200);
  }
  return async () => {
    await undo();
    await Promise.all(holding);
    await api('DELETE', `${FLOW_CONTROL}/flowschemas/throttled`);
    await api('DELETE', `${FLOW_CONTROL}/prioritylevelconfigurations/throttled`);
  };
}

const FLOW_CONTROL = '/apis/flowcontrol.apiserver.k8s.io/v1';

async function limitToOneSeat(api: Kubernetes['api']): Promise<void> {
  const metadata = { name: 'throttled' };
  const limited = { nominalConcurrencyShares: 0, lendablePercent: 0, borrowingLimitPercent: 0, limitResponse: { type: 'Reject' } };
  await api('POST', `${FLOW_CONTROL}/prioritylevelconfigurations`, { metadata, spec: { type: 'Limited', limited } });
  const everything = {
    subjects: [{ kind: 'User', user: { name: LIMITED_USER } }],
    resourceRules: [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'], clusterScope: true, namespaces: ['*'] }],
    nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }],
  };
  await api('POST', `${FLOW_CONTROL}/flowschemas`, {
    metadata,
    spec: { priorityLevelConfiguration: metadata, matchingPrecedence: 100, distinguisherMethod: { type: 'ByUser' }, rules: [everything] },
  });
}

function refused(probe: () => Promise<unknown>): Promise<boolean> {
  return probe().then(
    () => false,
    (thrown: unknown) => thrown instanceof Error && thrown.message.includes(' 429 '),
  );
}

function unlessThere(thrown: unknown): void {
  if (!(thrown instanceof Error && thrown.message.includes('AlreadyExists'))) throw thrown;
}

/** Lets the user of the context `limited` do everything: then it differs from the administrator only in that it can be throttled. */
export async function allowEverything(kubernetes: Kubernetes): Promise<void> {
  const group = 'rbac.authorization.k8s.io';
  const binding = {
    apiVersion: `${group}/v1`,
    kind: 'ClusterRoleBinding',
    metadata: { name: 'everything' },
    roleRef: { apiGroup: group, kind: 'ClusterRole', name: 'cluster-admin' },
    subjects: [{ kind: 'User', name: LIMITED_USER, apiGroup: group }],
  };
  await kubernetes.api('POST', `/apis/${group}/v1/clusterrolebindings`, binding).catch(unlessThere);
}
