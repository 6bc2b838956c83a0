// The client against a real API server: everything it can be asked, and the server's bad days.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { setTimeout as delay } from 'node:timers/promises';
import { openCluster, type Cluster } from '../../shared/kubernetes/cluster.ts';
import type { ApiResource, KubeObject } from '../../shared/kubernetes/resources.ts';
import { addDeadApi, addWebhook, allowEverything, throttle, type Undo } from '../backends/kubernetes-faults.ts';
import { kubernetesProgram, startKubernetes, type Kubernetes } from '../backends/kubernetes.ts';
import { runProgram } from '../backends/support.ts';
import { describeIf } from '../support/needs.ts';

const program = await kubernetesProgram();
const CONFIG_MAPS: ApiResource = { group: '', version: 'v1', plural: 'configmaps', kind: 'ConfigMap', namespaced: true, verbs: ['list'] };
const NAMESPACES: ApiResource = { ...CONFIG_MAPS, plural: 'namespaces', kind: 'Namespace', namespaced: false };
const DEPLOYMENTS: ApiResource = { ...CONFIG_MAPS, group: 'apps', plural: 'deployments', kind: 'Deployment' };
const MANY = 250;

describeIf(!('missing' in program), 'missing' in program ? program.missing : '')('a real cluster', () => {
  let kubernetes: Kubernetes;
  let cluster: Cluster;
  let waits: (number | undefined)[] = [];
  /** Tests are tried twice: what stays in the cluster gets a new name each time. */
  let made = 0;

  beforeAll(async () => {
    if ('missing' in program) return;
    kubernetes = await startKubernetes(program.program, { controllers: true });
    cluster = await openCluster({ kubeconfig: kubernetes.kubeconfig }, { onWait: ({ status }) => waits.push(status) });
  });

  afterAll(async () => {
    cluster.close();
    await kubernetes.stop();
  });

  const configMap = (namespace: string, name: string): KubeObject => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, namespace },
  });

  async function newNamespace(labels: Record<string, string> = {}): Promise<string> {
    const name = `test-${(made += 1)}`;
    await cluster.create(NAMESPACES, { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } });
    return name;
  }

  async function during<T>(fault: Promise<Undo>, work: () => Promise<T>): Promise<T> {
    const undo = await fault;
    try {
      return await work();
    } finally {
      await undo();
    }
  }

  test('says what it is', async () => {
    expect(await cluster.version()).toBe('v1.36.3');
    expect(await cluster.fingerprint()).toMatch(/^[0-9a-f-]{36}$/);
    expect(cluster.server).toBe(kubernetes.server);
  });

  test('says what it has, and which part of it does not answer', async () => {
    const { resources, failed } = await during(addDeadApi(kubernetes), async () => {
      // The API server takes a moment to look.
      for (;;) {
        const found = await cluster.discover();
        if (found.failed.length > 0) return found;
        await delay(200);
      }
    });
    expect(failed).toEqual([
      {
        group: 'metrics.k8s.io',
        version: 'v1beta1',
        why: expect.stringContaining('service/metrics-server in "kube-system" is not present'),
      },
    ]);
    const names = resources.map(({ group, version, plural }) => `${group}/${version}/${plural}`);
    expect(names).toEqual(expect.arrayContaining(['/v1/configmaps', 'apps/v1/deployments', 'autoscaling/v2/horizontalpodautoscalers']));
    expect(new Set(resources.map(({ group, plural }) => `${group}/${plural}`)).size).toBe(resources.length);
    expect(resources.filter(({ plural }) => plural.includes('/'))).toEqual([]);
    expect(resources.find(({ plural }) => plural === 'namespaces')).toMatchObject({ kind: 'Namespace', namespaced: false });
  });

  test('lists of one moment, page by page, also when it is killed and comes back in between', async () => {
    const namespace = await newNamespace();
    await Promise.all(Array.from({ length: MANY }, (_, index) => cluster.create(CONFIG_MAPS, configMap(namespace, `cm-${index}`))));
    const names = new Set<string>();
    const moments = new Set<string>();
    let pages = 0;
    for await (const { items, resourceVersion, laterMoment } of cluster.list(CONFIG_MAPS, { namespace, limit: 60 })) {
      for (const { metadata } of items) names.add(metadata.name);
      expect([items[0]?.kind, items[0]?.apiVersion, laterMoment]).toEqual(['ConfigMap', 'v1', false]);
      moments.add(resourceVersion);
      if ((pages += 1) !== 2) continue;
      await kubernetes.killApiServer();
      // Nothing of the next page is sent before the server is there again.
      void delay(1000).then(() => kubernetes.startApiServer());
    }
    // With kube-root-ca.crt.
    expect([names.size, moments.size, pages]).toEqual([MANY + 1, 1, 5]);
    expect(waits).toContain(undefined);
  });

  test('takes, changes and gives up objects', async () => {
    const namespace = await newNamespace();
    const where = { namespace, name: 'a' };
    await cluster.create(CONFIG_MAPS, configMap(namespace, 'a'), { dryRun: true });
    expect(await cluster.find(CONFIG_MAPS, where)).toBeUndefined();
    await cluster.create(CONFIG_MAPS, configMap(namespace, 'a'));
    await expect(cluster.create(CONFIG_MAPS, configMap(namespace, 'a'))).rejects.toMatchObject({ status: 409, reason: 'AlreadyExists' });
    const patch = { metadata: { name: 'a' }, data: { x: '1' } };
    const applied = await cluster.patch(CONFIG_MAPS, where, { type: 'apply', patch, fieldManager: 'one' });
    expect(applied).toMatchObject({ data: { x: '1' } });
    const other = { type: 'apply', patch: { ...patch, data: { x: '2' } }, fieldManager: 'two' } as const;
    await expect(cluster.patch(CONFIG_MAPS, where, other)).rejects.toMatchObject({ reason: 'Conflict' });
    await cluster.patch(CONFIG_MAPS, where, { ...other, force: true });
    await expect(cluster.replace(CONFIG_MAPS, applied)).rejects.toMatchObject({ status: 409 });
    const { metadata } = await cluster.get(CONFIG_MAPS, where);
    await expect(cluster.delete(CONFIG_MAPS, where, { uid: 'another' })).rejects.toMatchObject({ status: 409 });
    await cluster.delete(CONFIG_MAPS, where, { uid: metadata.uid });
    await expect(cluster.get(CONFIG_MAPS, where)).rejects.toMatchObject({ status: 404, reason: 'NotFound' });
  });

  test('gives back every number as it was given', async () => {
    const group = `numbers-${(made += 1)}.example.org`;
    const schema = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
    const names = { plural: 'numbers', singular: 'number', kind: 'Number', listKind: 'NumberList' };
    const definitions: ApiResource = {
      ...CONFIG_MAPS,
      group: 'apiextensions.k8s.io',
      plural: 'customresourcedefinitions',
      namespaced: false,
    };
    await cluster.create(definitions, {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: { name: `numbers.${group}` },
      spec: {
        group,
        scope: 'Cluster',
        names,
        versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: schema } }],
      },
    });
    const numbers: ApiResource = { ...CONFIG_MAPS, group, plural: 'numbers', kind: 'Number', namespaced: false };
    const object = {
      apiVersion: `${group}/v1`,
      kind: 'Number',
      metadata: { name: 'n' },
      long: JSON.rawJSON('9007199254740993'),
      half: 0.5,
    };
    for (let tries = 0; ; tries += 1) {
      try {
        await cluster.create(numbers, object);
        break;
      } catch (thrown) {
        // A new kind is served a moment later.
        if (tries > 50) throw thrown;
        await delay(100);
      }
    }
    for await (const { items } of cluster.list(numbers)) expect(JSON.stringify(items[0])).toMatch(/"half":0.5.*"long":9007199254740993/);
  });

  test('runs what a Deployment wants, and has helm', async () => {
    const namespace = await newNamespace();
    const labels = { app: 'web' };
    const spec = { containers: [{ name: 'web', image: 'nginx' }] };
    await cluster.create(DEPLOYMENTS, {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'web', namespace },
      spec: { replicas: 2, selector: { matchLabels: labels }, template: { metadata: { labels }, spec } },
    });
    const ready = async (): Promise<unknown> =>
      ((await cluster.get(DEPLOYMENTS, { namespace, name: 'web' }))['status'] as { readyReplicas?: number }).readyReplicas;
    while ((await ready()) !== 2) await delay(200);
    const env = { PATH: kubernetes.path, KUBECONFIG: kubernetes.kubeconfig };
    expect(JSON.parse(await runProgram('helm', ['list', '--all-namespaces', '--output=json'], { env }))).toEqual([]);
  });

  test('that turns requests away is waited for, and told of', async () => {
    await allowEverything(kubernetes);
    waits = [];
    const limited = await openCluster(
      { kubeconfig: kubernetes.kubeconfig, context: 'limited' },
      { onWait: ({ status }) => waits.push(status) },
    );
    try {
      const undo = await throttle(kubernetes);
      const writing = limited.request({ method: 'POST', path: '/api/v1/namespaces', body: { metadata: { generateName: 'test-' } } });
      while (!waits.includes(429)) await delay(50);
      await undo();
      expect(await writing).toMatchObject({ kind: 'Namespace' });
    } finally {
      limited.close();
    }
  });

  test.each([
    ['refuses', { status: 403, message: expect.stringContaining('denied the request: nothing is allowed here') }],
    ['down', { status: 500, message: expect.stringContaining('failed calling webhook') }],
  ] as const)('whose webhook %s is told by the name of the webhook', async (how, error) => {
    const label = ['webhook', how] as const;
    const namespace = await newNamespace({ [label[0]]: label[1] });
    const fault = addWebhook(kubernetes, { how, groups: [''], resources: ['configmaps'], namespaceLabel: [...label] });
    await during(fault, async () => {
      for (;;) {
        try {
          // A new webhook is asked a moment later.
          await cluster.create(CONFIG_MAPS, configMap(namespace, `cm-${(made += 1)}`), { dryRun: true });
          await delay(100);
        } catch (thrown) {
          expect(thrown).toMatchObject({ ...error, fix: expect.stringContaining(`webhook ${how}.example.org`) });
          return;
        }
      }
    });
  });

  test('that is not there is told, with what to look at', async () => {
    const away = await openCluster({ kubeconfig: kubernetes.kubeconfig });
    await kubernetes.killApiServer();
    try {
      await expect(away.version()).rejects.toMatchObject({
        message: expect.stringContaining('cannot be reached: no connection (ECONNREFUSED)'),
        fix: expect.stringContaining('Check that this machine reaches the API server'),
      });
    } finally {
      away.close();
      await kubernetes.startApiServer();
    }
  });
});
