// Every kind is opened from dist/ on every host, in a real cluster: its objects, and a MongoDB in one of its pods.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { KINDS } from '../../shared/kinds/registry.ts';
import { kubernetesProgram, startKubernetes, type Kubernetes } from '../backends/kubernetes.ts';
import { mongoToolsStandIns, type StandIns } from '../backends/mongo-tools-stand-ins.ts';
import { tempFolder } from '../backends/support.ts';
import { loseNamespace, makeShop } from '../cluster-state/shop.ts';
import { describeIf } from '../support/needs.ts';
import { HOSTS, runBuilt, type HostName, type HostResult } from './host-process.ts';

const tool = await kubernetesProgram();

test('every kind is tried here or with the stores', () => {
  expect(KINDS.names.toSorted()).toEqual(['cluster-state', 'mongodb']);
});

describeIf('program' in tool, 'missing' in tool ? tool.missing : '')('from dist, in a cluster', () => {
  const root = tempFolder('kinds');
  let kubernetes: Kubernetes;
  /** Where pods run programs: controllers make nodes that no kubelet answers for. */
  let withPods: Kubernetes;
  let standIns: StandIns;
  beforeAll(async () => {
    const { program } = tool as { program: string };
    [kubernetes, withPods] = await Promise.all([startKubernetes(program, { controllers: true }), startKubernetes(program)]);
    await makeShop(kubernetes);
    standIns = mongoToolsStandIns({ mongodump: 'honest' });
    const { mongodump, mongorestore } = standIns;
    await withPods.addPod({ namespace: 'db', name: 'mongodb-0', labels: { app: 'mongodb' }, programs: { mongodump, mongorestore } });
  });
  afterAll(async () => {
    await Promise.all([kubernetes.stop(), withPods.stop()]);
    standIns.remove();
    rmSync(root, { recursive: true, force: true });
  });

  const run = (host: HostName, step: string, inputs: Record<string, string>, { kubeconfig } = kubernetes): Promise<HostResult> =>
    runBuilt(host, step, inputs, { KUBECONFIG: kubeconfig });
  const placeOf = (host: HostName, what: string): Record<string, string> => ({
    ...{ store: join(root, `${what}-${host}`), vault: join(root, `${what}-keys-${host}`), name: 'shop' },
  });

  describe.each(HOSTS)('on %s', (host) => {
    test('the objects are backed up, compared, lost and restored', async () => {
      const place = { ...placeOf(host, 'state'), component: 'state', includeNamespaces: 'shop' };
      const made = await run(host, 'backup-cluster-state', place);
      expect([made.outcome, made.errors, made.warnings]).toEqual(['succeeded', [], []]);
      await loseNamespace(kubernetes, 'shop');
      const differs = await run(host, 'diff-cluster-state', place);
      expect([differs.outcome, differs.outputs['equal'], differs.errors]).toEqual(['succeeded', 'false', []]);
      const restored = await run(host, 'restore-cluster-state', { ...place, confirm: 'shop' });
      expect([restored.outcome, restored.errors]).toEqual(['succeeded', []]);
      const checked = await run(host, 'doctor', { ...place, context: 'admin', only: 'cluster-access' });
      expect([checked.outcome, checked.errors]).toEqual(['succeeded', []]);
    });

    test('a MongoDB in a pod is backed up through the API server', async () => {
      const place = { ...placeOf(host, 'pod'), component: 'mongodb' };
      const inputs = { ...place, kubernetesNamespace: 'db', kubernetesSelector: 'app=mongodb' };
      const made = await run(host, 'mongodb-backup', inputs, withPods);
      expect([made.outcome, made.outputs['verified'], made.errors]).toEqual(['succeeded', 'true', []]);
    });
  });
});
