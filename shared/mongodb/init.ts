// What `lifeboat init` asks of a MongoDB: whether a connection string reaches it, or only the cluster's API server.
import type { Asking, InitComponent, KindInit } from '../backup/kind-init.ts';
import { scalar } from '../schema/yaml-text.ts';
import { inGroup } from '../step/input.ts';
import { kubernetesInputs, sourceProblems } from './inputs.ts';

/** The label that Helm charts of MongoDB give their pods. */
const USUAL_SELECTOR = 'app.kubernetes.io/name=mongodb';

/** A pod as dr.yml names it: by labels or by name. */
interface Pod {
  namespace: string;
  selector?: string | undefined;
  pod?: string | undefined;
  container?: string | undefined;
  context?: string | undefined;
}

const inputs = inGroup('MongoDB inside a cluster, reached through its API server instead of a connection string', {
  ...kubernetesInputs,
  kubernetesSelector: {
    ...kubernetesInputs.kubernetesSelector,
    summary: `Label selector of the pods that run MongoDB; ${USUAL_SELECTOR} when absent.`,
  },
});

export const init: KindInit<typeof inputs> = {
  inputs,
  examples: [
    {
      what: 'For a MongoDB inside a cluster',
      args: '--kubernetes-namespace rocketchat --kubernetes-selector app.kubernetes.io/name=mongodb',
    },
  ],
  check: (given, spell) => [
    ...sourceProblems({ ...given, kubernetesSelector: given.kubernetesSelector ?? usualSelector(given) }, spell, false),
    ...(given.kubernetesSelector !== undefined && given.kubernetesPod !== undefined
      ? [`${spell('kubernetesSelector')} and ${spell('kubernetesPod')} exclude each other.`]
      : []),
  ],
  component: async (given, asking) => mongodbComponent(await podAnswer(given, asking)),
};

/** The component. @param pod absent where a connection string reaches the MongoDB */
export function mongodbComponent(pod?: Pod): InitComponent {
  const others = '# exclude: [rocketchat.rocketchat_sessions] # databases or collections to leave out';
  if (pod === undefined) {
    return {
      kind: 'mongodb',
      yaml: ['source:', '  uri: "${env:MONGODB_URI}" # never a secret itself, only where it comes from', others],
      variables: [{ name: 'MONGODB_URI', looks: 'mongodb://…' }],
    };
  }
  const { context, namespace, selector, container } = pod;
  const names = Object.entries({ context, namespace, selector, pod: pod.pod, container });
  return {
    kind: 'mongodb',
    yaml: [
      'source:',
      '  kubernetes: # mongodump and mongorestore run inside the pod, through the API server',
      ...names.flatMap(([key, value]) => (value === undefined ? [] : [`    ${key}: ${scalar(value)}`])),
      '    # uri: "${env:MONGODB_URI}" # as seen from inside the pod; needed where its environment holds no root password',
      others,
    ],
    variables: [],
    cluster: ['Let the identity find pods and exec into them: docs/operations.md, "MongoDB in the cluster", has the role to apply.'],
  };
}

type Given = Parameters<KindInit<typeof inputs>['component']>[0];

/** Undefined where a connection string reaches the MongoDB. */
async function podAnswer(given: Given, { ask, agrees, tryOut }: Asking): Promise<Pod | undefined> {
  const { kubernetesPod: pod, kubernetesContainer: container, kubernetesContext: context } = given;
  const tries = (change: Partial<Pod>): void => {
    tryOut(mongodbComponent({ namespace: 'default', selector: USUAL_SELECTOR, ...change }));
  };
  const isNamespace = (text: string): void => {
    tries({ namespace: text });
  };
  const inside =
    given.kubernetesNamespace !== undefined || (await agrees('Is MongoDB reachable only from inside a Kubernetes cluster?', false));
  if (!inside) return undefined;
  const namespace =
    given.kubernetesNamespace ?? (await ask('Namespace of its pods', { preset: 'default', check: isNamespace })) ?? 'default';
  const isSelector = (text: string): void => {
    tries({ selector: text });
  };
  const selector =
    given.kubernetesSelector ??
    (pod === undefined ? await ask('Label selector of its pods', { preset: USUAL_SELECTOR, check: isSelector }) : undefined);
  return { namespace, selector, pod, container, context };
}

function usualSelector({ kubernetesNamespace, kubernetesPod }: Given): string | undefined {
  return kubernetesNamespace !== undefined && kubernetesPod === undefined ? USUAL_SELECTOR : undefined;
}
