// What `doctor` looks at of a cluster: whether it answers, whether its objects may be read and written, and whether its definitions work.
import { typeName } from '../kubernetes/resources.ts';
import type { KindChecks } from '../backup/kind.ts';
import type { Check, Finding } from '../backup/finding.ts';
import type { Cluster } from '../kubernetes/cluster.ts';
import type { StepContext } from '../step/define.ts';
import { listed, plural } from '../step/format.ts';
import type { stateInputs } from './inputs.ts';
import { conditionsOf, textAt } from './objects.ts';
import { Selector } from './selection.ts';
import { fingerprintOf } from './source.ts';
import { openStateCluster, selectionOf } from './target.ts';
import { exportedTypes } from './types.ts';

/** What a backup needs, ready to paste. A restore needs all verbs on what it restores. */
const BACKUP_ROLE = [
  ...['apiVersion: rbac.authorization.k8s.io/v1', 'kind: ClusterRole', 'metadata: { name: lifeboat-backup }', 'rules:'],
  ...['  - { apiGroups: ["*"], resources: ["*"], verbs: [get, list] }', '  - { nonResourceURLs: ["*"], verbs: [get] }'],
].join('\n');
const RESTORE_VERBS = ['create', 'patch', 'delete'] as const;

/** @throws nothing: what goes wrong is a finding of the check that looks */
export async function stateChecks(context: StepContext<typeof stateInputs>): Promise<KindChecks> {
  let opened: Promise<Cluster> | undefined;
  const cluster = (): Promise<Cluster> => (opened ??= openStateCluster(context));
  const check = (name: string, look: (cluster: Cluster, signal: AbortSignal) => Promise<Finding>): Check => ({
    name,
    look: async (signal) => look(await cluster(), signal),
  });
  return Promise.resolve({
    checks: [
      check('cluster-access', access),
      check('cluster-kinds', (found, signal) => kinds(context, found, signal)),
      check('cluster-permissions', (found, signal) => permissions(context, found, signal)),
      check('cluster-definitions', definitions),
    ],
    estimate: async () => Promise.resolve(undefined),
    close: async () => {
      (await opened?.catch(() => undefined))?.close();
    },
  });
}

async function access(cluster: Cluster, signal: AbortSignal): Promise<Finding> {
  const version = await cluster.version(signal);
  return { status: 'ok', seen: `${cluster.context} answers: ${cluster.server}, Kubernetes ${version}, ${await fingerprintOf(cluster)}.` };
}

async function kinds(context: StepContext<typeof stateInputs>, cluster: Cluster, signal: AbortSignal): Promise<Finding> {
  const { types, unread } = exportedTypes(await cluster.discover(signal), new Selector(selectionOf(context)));
  if (types.length === 0)
    return { status: 'failed', seen: 'No kind of object is selected.', fix: 'Check the kinds and namespaces in dr.yml.' };
  if (unread.length === 0) return { status: 'ok', seen: `${plural(types.length, 'kind')} of objects are backed up.` };
  const [{ what, why }] = unread as [(typeof unread)[number]];
  return {
    status: 'warning',
    seen: `${what} cannot be looked into: ${why}${unread.length > 1 ? ` The same goes for ${unread.length - 1} more.` : ''} A backup is partial as long as that is so.`,
    fix: `See to what answers for it (kubectl get apiservices), or leave it out: excludeKinds: ["*.${what.split('/')[0] ?? ''}"].`,
  };
}

async function permissions(context: StepContext<typeof stateInputs>, cluster: Cluster, signal: AbortSignal): Promise<Finding> {
  const everything = { group: '*', resource: '*' };
  const missing: string[] = [];
  if (!(await cluster.may('list', everything, signal))) {
    const { types } = exportedTypes(await cluster.discover(signal), new Selector(selectionOf(context)));
    for (const type of types)
      if (!(await cluster.may('list', { group: type.group, resource: type.plural }, signal))) missing.push(typeName(type));
  }
  if (missing.length > 0) {
    return {
      status: 'failed',
      seen: `This login may not list ${listed(missing)}.`,
      fix: `Give it this role, with a ClusterRoleBinding:\n${BACKUP_ROLE}`,
    };
  }
  const verbs = await Promise.all(RESTORE_VERBS.map(async (verb) => ((await cluster.may(verb, everything, signal)) ? [] : [verb])));
  const cannot = verbs.flat();
  return {
    status: 'ok',
    seen: `Everything that is backed up may be read${cannot.length === 0 ? ', and restored' : `; a restore needs a login that may also ${listed(cannot)}`}.`,
  };
}

/** A definition that is not established has objects that no one can read. */
async function definitions(cluster: Cluster, signal: AbortSignal): Promise<Finding> {
  const { resources } = await cluster.discover(signal);
  const type = resources.find((one) => typeName(one) === 'customresourcedefinitions.apiextensions.k8s.io');
  if (type === undefined) return { status: 'skipped', seen: 'The cluster has no custom resources.' };
  const bad: string[] = [];
  let count = 0;
  for await (const { items } of cluster.list(type, { signal })) {
    for (const object of items) {
      count += 1;
      if (!conditionsOf(object).some((one) => textAt(one, 'type') === 'Established' && textAt(one, 'status') === 'True'))
        bad.push(object.metadata.name);
    }
  }
  if (bad.length === 0) return { status: 'ok', seen: `${plural(count, 'definition')} of custom resources, all established.` };
  return { status: 'warning', seen: `Not established: ${listed(bad)}.`, fix: `Look at it: kubectl describe crd ${bad[0] ?? ''}` };
}
