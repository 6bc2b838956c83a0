// Restores into a real cluster with its controllers: nothing is lost, nothing changes twice, and bad days end with a sentence.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { objectsOf } from '../../shared/cluster-state/archive.ts';
import { openStateSource } from '../../shared/cluster-state/source.ts';
import { scrubbed } from '../../shared/cluster-state/scrub.ts';
import { MemoryHost } from '../../shared/hosts/memory.ts';
import { openCluster } from '../../shared/kubernetes/cluster.ts';
import { drSource } from '../../shared/session/session.ts';
import type { AnyStep } from '../../shared/step/define.ts';
import { runStep } from '../../shared/step/run.ts';
import { findStep } from '../../shared/steps/index.ts';
import { systemClock } from '../../shared/tools/clock.ts';
import { addDeadApi, addWebhook } from '../backends/kubernetes-faults.ts';
import { kubernetesProgram, startKubernetes, type Kubernetes } from '../backends/kubernetes.ts';
import { describeIf } from '../support/needs.ts';
import { loseNamespace, make, makeShop } from './shop.ts';

const tool = await kubernetesProgram();
const CONFIG_MAPS = '/api/v1/namespaces/shop/configmaps';
const WIDGETS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.example.org';

describeIf('program' in tool, 'missing' in tool ? tool.missing : '')('a restore of the state of a cluster', () => {
  let kubernetes: Kubernetes;
  let folder: string;
  let before: string | undefined;
  let time = Date.now() - 600_000;

  /** Runs a step on the cluster of a kubeconfig. */
  async function run(name: string, inputs: Record<string, string> = {}) {
    time += 1000;
    const now = new Date(time);
    const host = new MemoryHost({ inputs: { config: join(folder, 'dr.yml'), component: 'state', ...inputs } });
    const finish = await runStep(findStep(name) as AnyStep, host, { clock: { ...systemClock, now: () => now }, openConfig: drSource() });
    return { ...finish, problem: finish.error?.message ?? '', outputs: host.outputs, summary: host.summaryText, log: host.log };
  }
  const backUp = async (inputs: Record<string, string> = {}): Promise<string> => {
    const ran = await run('backup-cluster-state', inputs);
    expect([ran.problem, ran.warnings]).toEqual(['', []]);
    return ran.outputs['timestamp'] ?? '';
  };
  const restore = (inputs: Record<string, string> = {}) => run('restore-cluster-state', { confirm: 'shop', replace: 'true', ...inputs });

  /** All of the namespace as it is after scrub, and what belongs to no namespace but is the shop's. */
  async function everything(): Promise<Map<string, unknown>> {
    const source = await openStateSource(await openCluster({}), { selection: {} });
    const found = new Map<string, unknown>();
    for await (const { path, id, object } of objectsOf(source.bytes)) {
      if (id.namespace === 'shop' || /shop|widgets/.test(id.name)) found.set(path, scrubbed(id, object));
    }
    await source.close();
    return found;
  }

  beforeAll(async () => {
    kubernetes = await startKubernetes((tool as { program: string }).program, { controllers: true });
    before = process.env['KUBECONFIG'];
    process.env['KUBECONFIG'] = kubernetes.kubeconfig;
    folder = mkdtempSync(join(tmpdir(), 'lifeboat-state-'));
    for (const name of ['store', 'keys']) mkdirSync(join(folder, name), { mode: 0o700 });
    writeFileSync(
      join(folder, 'dr.yml'),
      'version: 1\nname: shop\nstores: { primary: { kind: folder, path: ./store } }\nvault: { kind: folder, path: ./keys }\n' +
        'components: { state: { kind: cluster-state } }\n',
    );
    await makeShop(kubernetes);
  }, 60_000);

  afterAll(async () => {
    if (before === undefined) delete process.env['KUBECONFIG'];
    else process.env['KUBECONFIG'] = before;
    rmSync(folder, { recursive: true, force: true });
    await kubernetes.stop();
  });

  test('brings everything back as it was, after scrub; once more changes nothing', async () => {
    const original = await everything();
    expect(original.size).toBeGreaterThan(18);
    const timestamp = await backUp();
    await loseNamespace(kubernetes, 'shop');
    await kubernetes.api('DELETE', WIDGETS);
    await kubernetes.api('DELETE', '/apis/rbac.authorization.k8s.io/v1/clusterroles/shop-viewer');
    const ran = await restore({ timestamp });
    expect([ran.problem, ran.warnings]).toEqual(['', []]);
    expect(await everything()).toEqual(original);

    const again = await run('restore-cluster-state', { timestamp, dryRun: 'true' });
    expect(again.result).toMatchObject({ plan: { created: 0, changed: 0, refused: [] } });
    const twice = await run('restore-cluster-state', { timestamp, confirm: 'shop' });
    expect([twice.problem, twice.warnings, twice.outputs['safetyTimestamp']]).toEqual(['', [], '']);
    // The inventory is in the manifest, and so on the page.
    expect((await run('backup-cluster-state')).summary).toMatch(/Helm release chat \| revision 3 \| shop/);
  }, 180_000);

  test('shows what differs, a secret as a hash, and takes only what is selected', async () => {
    const timestamp = await backUp();
    const secret = '/api/v1/namespaces/shop/secrets/login';
    await kubernetes.api('PATCH', secret, { data: { password: Buffer.from('hunter3').toString('base64') } });
    await kubernetes.api('PATCH', `${CONFIG_MAPS}/settings`, { data: { greeting: 'bye' }, metadata: { labels: { stray: 'yes' } } });
    const plan = await run('restore-cluster-state', { timestamp, dryRun: 'true' });
    const { summary } = plan;
    expect(summary).toMatch(/secrets shop\/login is in the way \(allow it with replace\): data.password #[0-9a-f]{8} → #[0-9a-f]{8}/);
    expect(summary).toMatch(/configmaps shop\/settings is .*metadata.labels is gone .*data.greeting "bye" → "hello"/);
    for (const secretText of ['hunter', Buffer.from('hunter3').toString('base64'), Buffer.from('hunter2').toString('base64')])
      expect(JSON.stringify([plan.result, plan.summary, plan.log])).not.toContain(secretText);

    const one = await restore({ timestamp, includeKinds: 'configmaps', includeNamespaces: 'shop', includeNames: 'set*' });
    expect([one.problem, one.outputs['items']]).toEqual(['', '1']);
    expect(await kubernetes.api('GET', `${CONFIG_MAPS}/settings`)).toMatchObject({ data: { greeting: 'hello' } });
    expect(((await kubernetes.api('GET', secret)) as { data: { password: string } }).data.password).toBe(
      Buffer.from('hunter3').toString('base64'),
    );
    const kept = await restore({ timestamp, existing: 'skip', replace: 'false' });
    expect(kept.problem).toBe('');
    expect(((await kubernetes.api('GET', secret)) as { data: { password: string } }).data.password).not.toBe(
      Buffer.from('hunter2').toString('base64'),
    );
    expect((await restore({ timestamp })).problem).toBe('');
  }, 120_000);

  test('what changed since a backup, and between two, is told with secrets as hashes', async () => {
    const older = await backUp();
    await kubernetes.api('PATCH', `${CONFIG_MAPS}/settings`, { data: { greeting: 'moin' } });
    await kubernetes.api('PATCH', '/api/v1/namespaces/shop/secrets/login', { data: { password: 'aHVudGVyNA==' } });
    await kubernetes.api('DELETE', '/apis/networking.k8s.io/v1/namespaces/shop/networkpolicies/closed');
    await make(kubernetes, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'new', namespace: 'shop' }, data: {} });
    const newer = await backUp();
    for (const against of [{}, { against: newer }]) {
      const ran = await run('diff-cluster-state', { timestamp: older, includeNamespaces: 'shop', ...against });
      expect([ran.problem, ran.outputs]).toEqual(['', expect.objectContaining({ equal: 'false', added: '1', changed: '2', removed: '1' })]);
      const { changes } = ran.result as { changes: { name: string; what: string; differences: string[] }[] };
      expect(changes.map(({ name, what }) => `${what} ${name}`).sort()).toEqual([
        'added configmaps shop/new',
        'changed configmaps shop/settings',
        'changed secrets shop/login',
        'removed networkpolicies.networking.k8s.io shop/closed',
      ]);
      expect(changes.flatMap(({ differences }) => differences).join()).toMatch(/data.greeting "hello" → "moin"/);
      expect(JSON.stringify([ran.result, ran.summary, ran.log])).not.toMatch(/hunter|aHVudGVy/);
    }
    expect((await run('diff-cluster-state', { timestamp: newer })).outputs['equal']).toBe('true');
    expect((await restore({ timestamp: older })).problem).toBe('');
    await kubernetes.api('DELETE', `${CONFIG_MAPS}/new`);
  }, 120_000);

  test('goes beside the living one, with workloads at 0 and another storage class', async () => {
    const timestamp = await backUp();
    const beside = { timestamp, includeNamespaces: 'shop', namespace: 'shop=shop-check' };
    const ran = await restore({ ...beside, scaleToZero: 'true', storageClass: 'fast=slow' });
    expect(ran.problem).toBe('');
    const deployments = '/apis/apps/v1/namespaces/shop-check/deployments/web';
    expect(await kubernetes.api('GET', deployments)).toMatchObject({
      metadata: { annotations: { 'lifeboat/replicas': '2', note: 'mine' } },
      spec: { replicas: 0 },
    });
    const claim = '/api/v1/namespaces/shop-check/persistentvolumeclaims/uploads';
    expect(await kubernetes.api('GET', claim)).toMatchObject({ spec: { storageClassName: 'slow' } });
    const binding = '/apis/rbac.authorization.k8s.io/v1/namespaces/shop-check/rolebindings/reader';
    expect(await kubernetes.api('GET', binding)).toMatchObject({ subjects: [{ namespace: 'shop-check' }] });
    expect(JSON.stringify(ran.log)).toMatch(/Helm release chat still says that it is in shop/);
    // Wanted numbers come back with a restore that does not ask for 0.
    expect((await restore({ ...beside, includeKinds: 'deployments' })).problem).toBe('');
    const up = (await kubernetes.api('GET', deployments)) as { metadata: { annotations: object }; spec: object };
    expect([up.spec, up.metadata.annotations]).toEqual([
      expect.objectContaining({ replicas: 2 }),
      expect.not.objectContaining({ 'lifeboat/replicas': '2' }),
    ]);
    await loseNamespace(kubernetes, 'shop-check');
  }, 120_000);

  test('is stopped half-way by an API server that dies, and goes on to the same end', async () => {
    const original = await everything();
    const timestamp = await backUp();
    await loseNamespace(kubernetes, 'shop');
    const stop = AbortSignal.timeout(600);
    const first = restore({ timestamp });
    await new Promise((resolve) => {
      stop.addEventListener('abort', resolve);
    });
    await kubernetes.killApiServer();
    await kubernetes.startApiServer();
    await first;
    expect((await restore({ timestamp })).problem).toBe('');
    expect(await everything()).toEqual(original);
  }, 180_000);

  test('a webhook that refuses everything: the rest is restored, and what is not is named', async () => {
    const timestamp = await backUp();
    await kubernetes.api('DELETE', `${CONFIG_MAPS}/settings`);
    await kubernetes.api('DELETE', '/api/v1/namespaces/shop/secrets/login');
    const undo = await addWebhook(kubernetes, { groups: [''], resources: ['configmaps'], how: 'refuses' });
    try {
      const ran = await restore({ timestamp });
      expect(ran.exitCode).toBe(4);
      expect(ran.problem).toMatch(/configmaps shop\/settings: missing \(.*nothing is allowed here/);
      expect(JSON.stringify(ran.log)).toMatch(/The cluster would refuse configmaps shop\/settings/);
    } finally {
      await undo();
    }
    expect(await kubernetes.api('GET', '/api/v1/namespaces/shop/secrets/login')).toMatchObject({ type: 'Opaque' });
    expect((await restore({ timestamp })).problem).toBe('');
  }, 120_000);

  test('a field that cannot be changed is named, and recreate makes the object anew', async () => {
    const timestamp = await backUp();
    await kubernetes.api('DELETE', '/apis/apps/v1/namespaces/shop/statefulsets/db');
    await make(kubernetes, {
      ...{ apiVersion: 'apps/v1', kind: 'StatefulSet', metadata: { name: 'db', namespace: 'shop' } },
      spec: {
        ...{ replicas: 1, serviceName: 'other', selector: { matchLabels: { app: 'web' } } },
        template: { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'web', image: 'example.org/web:1' }] } },
      },
    });
    const ran = await restore({ timestamp });
    expect([ran.exitCode, ran.problem]).toEqual([4, expect.stringMatching(/statefulsets.apps shop\/db: .*serviceName/)]);
    expect((await restore({ timestamp, existing: 'recreate' })).problem).toBe('');
  }, 120_000);

  test('an object of 1.4 MB and a custom resource whose kind is gone', async () => {
    await make(kubernetes, {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'large', namespace: 'shop' },
      data: { x: 'QUFB'.repeat(260_000) },
    });
    const timestamp = await backUp();
    await kubernetes.api('DELETE', '/api/v1/namespaces/shop/secrets/large');
    await kubernetes.api('DELETE', WIDGETS);
    const ran = await restore({ timestamp, excludeKinds: 'customresourcedefinitions' });
    expect([ran.outcome, ran.problem]).toEqual(['partial', '']);
    expect(ran.warnings.join()).toMatch(/1 widgets.example.org v1 were not restored: the cluster does not know that kind/);
    expect(await kubernetes.api('GET', '/api/v1/namespaces/shop/secrets/large')).toMatchObject({ kind: 'Secret' });
    expect((await restore({ timestamp })).problem).toBe('');
  }, 120_000);

  test('who would get all power is pointed out in the plan', async () => {
    const role = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' };
    const binding = (name: string, subject: object): object => ({
      ...{ apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRoleBinding', metadata: { name }, roleRef: role, subjects: [subject] },
    });
    const group = { apiGroup: 'rbac.authorization.k8s.io', kind: 'Group', name: 'system:masters' };
    await make(kubernetes, binding('shop-masters', group));
    await make(kubernetes, binding('shop-admin', { kind: 'ServiceAccount', name: 'bot', namespace: 'shop' }));
    const timestamp = await backUp();
    for (const name of ['shop-masters', 'shop-admin'])
      await kubernetes.api('DELETE', `/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/${name}`);
    const warnings = JSON.stringify((await run('restore-cluster-state', { timestamp, dryRun: 'true' })).log);
    expect(warnings).toMatch(/shop-masters gives cluster-admin to system:masters/);
    expect(warnings).toMatch(/shop-admin makes ServiceAccount shop bot an administrator/);
  }, 60_000);

  test('an extension of the API that is gone makes the backup partial, and can be left out; figures of the moment are not missed', async () => {
    const undo = await addDeadApi(kubernetes);
    const services = '/apis/apiregistration.k8s.io/v1/apiservices';
    const name = 'v1.broken.example.org';
    const service = { namespace: 'default', name: 'broken' };
    const spec = {
      group: 'broken.example.org',
      version: 'v1',
      groupPriorityMinimum: 100,
      versionPriority: 100,
      insecureSkipTLSVerify: true,
      service,
    };
    try {
      expect((await backUp({ includeKinds: '*' })).length).toBeGreaterThan(0);
      await kubernetes.api('POST', services, { apiVersion: 'apiregistration.k8s.io/v1', kind: 'APIService', metadata: { name }, spec });
      const ran = await run('backup-cluster-state');
      expect([ran.outcome, ran.problem]).toEqual(['partial', '']);
      expect(ran.warnings.join()).toMatch(/broken.example.org\/v1 could not be read: /);
      expect((await run('backup-cluster-state', { excludeKinds: '*.broken.example.org' })).outcome).toBe('succeeded');
    } finally {
      await undo();
      await kubernetes.api('DELETE', `${services}/${name}`);
    }
  }, 60_000);

  test('a kind that may not be read makes the backup partial, and is named', async () => {
    const allow = (name: string, rules: object[]): object => ({
      ...{ apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRole', metadata: { name }, rules },
    });
    await make(
      kubernetes,
      allow('shop-backup', [{ apiGroups: ['', 'apps'], resources: ['configmaps', 'namespaces', 'deployments'], verbs: ['get', 'list'] }]),
    );
    await make(kubernetes, {
      ...{ apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRoleBinding', metadata: { name: 'shop-backup' } },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'shop-backup' },
      subjects: [{ kind: 'User', name: 'backup-ci', apiGroup: 'rbac.authorization.k8s.io' }],
    });
    const ran = await run('backup-cluster-state', { context: 'limited', includeKinds: 'configmaps,namespaces,secrets' });
    expect([ran.outcome, ran.problem]).toEqual(['partial', '']);
    expect(ran.warnings.join()).toMatch(/^secrets could not be read: .*cannot list resource "secrets"/);
    const doctor = await run('doctor', { context: 'limited', only: 'cluster-permissions' });
    expect(JSON.stringify(doctor.result)).toMatch(/may not list .*kind: ClusterRole/);
  }, 60_000);
});
