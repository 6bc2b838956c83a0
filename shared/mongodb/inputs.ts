// Where a MongoDB is, what of it is backed up, and where and how it is restored.
import type { Spell } from '../step/define.ts';
import { inGroup, input } from '../step/input.ts';

/** The MongoDB a step talks to. */
export const mongodbInputs = inGroup('MongoDB', {
  mongodbUri: input.secret({
    summary:
      'MongoDB connection string: mongodb://… or mongodb+srv://…. For a MongoDB in a pod, as seen from inside the pod; often not needed then.',
    // The same input, whether the server is reached from here or from inside its pod.
    config: ['source.uri', 'source.kubernetes.uri'],
  }),
  engine: input.choice(['auto', 'tools', 'driver'], {
    summary: 'tools: the official mongodump and mongorestore; driver: built in, nothing to install; auto: the tools if they are found.',
    config: 'engine',
    default: 'auto',
  }),
  include: input.list({
    summary: 'Only these databases (shop) or collections (shop.orders); * matches anything.',
    example: 'rocketchat',
    config: 'include',
  }),
  exclude: input.list({
    summary: 'Leave out these databases or collections; * matches anything.',
    example: 'rocketchat.rocketchat_sessions',
    config: 'exclude',
  }),
});

/** A MongoDB inside a cluster. */
export const kubernetesInputs = inGroup('MongoDB inside a cluster', {
  kubernetesNamespace: input.string({
    summary:
      'Namespace of the pod that runs MongoDB. Everything then goes through the API server, as with kubectl exec: the database needs no access from outside, and no kubectl is needed.',
    example: 'rocketchat',
    config: 'source.kubernetes.namespace',
  }),
  kubernetesSelector: input.string({
    summary: 'Label selector of the pods that run MongoDB. Of several, a secondary is backed up and the primary is restored.',
    example: 'app.kubernetes.io/name=mongodb',
    config: 'source.kubernetes.selector',
  }),
  kubernetesPod: input.string({
    summary: 'One pod by name, instead of a selector.',
    example: 'mongodb-0',
    config: 'source.kubernetes.pod',
  }),
  kubernetesContainer: input.string({
    summary: 'The container with mongodump and mongorestore. Not needed when the pod has only one, or names its default.',
    example: 'mongodb',
    config: 'source.kubernetes.container',
  }),
  kubernetesContext: input.string({
    summary: 'Context in the kubeconfig; the current one when absent.',
    example: 'aks-prod',
    config: 'source.kubernetes.context',
  }),
});

const KUBERNETES_NAME = /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/;

interface SourceInputs {
  mongodbUri?: unknown;
  kubernetesNamespace?: string | undefined;
  kubernetesSelector?: string | undefined;
  kubernetesPod?: string | undefined;
  kubernetesContainer?: string | undefined;
  kubernetesContext?: string | undefined;
}

/** What is wrong with the inputs that say where the MongoDB is. @param required false when a step can do without one */
export function sourceProblems(inputs: SourceInputs, spell: Spell, required = true): string[] {
  const { mongodbUri, kubernetesNamespace: namespace, kubernetesSelector: selector, kubernetesPod: pod } = inputs;
  const problems: string[] = [];
  const others = (['kubernetesSelector', 'kubernetesPod', 'kubernetesContainer', 'kubernetesContext'] as const).filter(
    (name) => inputs[name] !== undefined,
  );
  if (namespace === undefined && others[0] !== undefined) {
    problems.push(`${spell('kubernetesNamespace')} is missing: ${spell(others[0])} alone does not say where the pod is.`);
  } else if (namespace === undefined && mongodbUri === undefined && required) {
    problems.push(
      `${spell('mongodbUri')} is missing. Connection string of the MongoDB: mongodb://… or mongodb+srv://…; ` +
        `for one inside a cluster, set ${spell('kubernetesNamespace')} and ${spell('kubernetesSelector')} instead.`,
    );
  }
  if (namespace !== undefined && selector === undefined && pod === undefined) {
    problems.push(
      `${spell('kubernetesSelector')} is missing: which pods of ${namespace} run MongoDB? One can be named by ${spell('kubernetesPod')}.`,
    );
  }
  for (const name of ['kubernetesNamespace', 'kubernetesPod', 'kubernetesContainer'] as const) {
    const value = inputs[name];
    if (value !== undefined && !KUBERNETES_NAME.test(value)) {
      problems.push(`${spell(name)} is ${JSON.stringify(value)}: expected a name of lower-case letters, digits and dashes.`);
    }
  }
  return problems;
}

/** Where a restore puts it, when not where it was. */
export const namingInputs = {
  targetDatabase: input.string({ summary: 'Restore the one database of the backup under this name, beside the live data.' }),
  rename: input.list({
    summary: 'Restore under other names: from=to, for databases or collections.',
    example: 'rocketchat=rocketchat_check',
  }),
};

/** What a comparison is told of other names. */
export const compareInputs = {
  rename: input.list({
    summary: 'Compare with other names: from=to, for databases or collections.',
    example: 'rocketchat=rocketchat_check',
  }),
};

/** What is wrong with pairs from=to. */
export function renameProblems(rename: readonly string[] | undefined, spell: Spell): string[] {
  return (rename ?? [])
    .filter((pair) => !/^[^=]+=[^=]+$/.test(pair))
    .map((pair) => `${spell('rename')} has "${pair}": expected from=to, such as shop=shop_check.`);
}
