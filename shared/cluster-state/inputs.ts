// Which cluster, what of it, and how it is brought back.
import type { Spell } from '../step/define.ts';
import { inGroup, input } from '../step/input.ts';

/** The cluster, and what of it is backed up, restored or compared. */
export const stateInputs = inGroup('Cluster', {
  context: input.string({
    summary: 'Context in the kubeconfig; the current one when absent, and inside a pod its service account.',
    example: 'aks-prod',
    config: 'context',
  }),
  includeNamespaces: input.list({
    summary:
      'Only these namespaces; * matches anything. Objects that belong to no namespace are then left out, unless include-kinds names them.',
    example: 'rocketchat',
    config: 'includeNamespaces',
  }),
  excludeNamespaces: input.list({
    summary: 'Leave out these namespaces; * matches anything.',
    example: 'kube-*',
    config: 'excludeNamespaces',
  }),
  includeKinds: input.list({
    summary: 'Only these kinds, as kubectl names them; * matches anything.',
    example: 'configmaps, deployments.apps',
    config: 'includeKinds',
  }),
  excludeKinds: input.list({
    summary: 'Leave out these kinds, as kubectl names them; * matches anything.',
    example: 'pods, *.metrics.k8s.io',
    config: 'excludeKinds',
  }),
});

/** What of a backup, under which names, and what happens to what is there. */
export const restoreInputs = inGroup('Cluster', {
  includeNames: input.list({ summary: 'Only objects of these names; * matches anything.', example: 'rocketchat-*' }),
  selector: input.string({
    summary: 'Only objects with these labels: name=value, name!=value or name, separated by commas.',
    example: 'app=rocketchat',
  }),
  namespace: input.list({ summary: 'Restore into other namespaces: old=new.', example: 'rocketchat=rocketchat-check' }),
  storageClass: input.list({ summary: 'Give claims another storage class: old=new.', example: 'managed-premium=managed-csi' }),
  existing: input.choice(['skip', 'update', 'recreate'], {
    summary:
      'What happens to objects that are there and differ. skip: they stay; update: they are changed, which replace must allow; recreate: those that cannot be changed are deleted and made anew.',
    default: 'update',
  }),
  scaleToZero: input.flag({
    summary:
      'Bring workloads up with 0 replicas, and note the wanted number in the annotation lifeboat/replicas. Restore again without it to bring them up.',
    default: 'false',
  }),
});

/** What a comparison is told. */
export const compareInputs = inGroup('Cluster', {
  includeNames: restoreInputs.includeNames,
  selector: restoreInputs.selector,
  namespace: input.list({ summary: 'Compare with other namespaces: old=new.', example: 'rocketchat=rocketchat-check' }),
});

const PAIR = /^[^=\s]+=[^=\s]+$/;
const LABEL = /^[A-Za-z0-9._/-]+(?:!?=[A-Za-z0-9._-]*)?$/;

interface TargetInputs {
  namespace?: readonly string[] | undefined;
  storageClass?: readonly string[] | undefined;
  selector?: string | undefined;
  rollback?: boolean | undefined;
}

/** What is wrong with what a restore is told. */
export function restoreProblems(inputs: TargetInputs, spell: Spell): string[] {
  const problems: string[] = [];
  for (const name of ['namespace', 'storageClass'] as const) {
    const pairs = inputs[name] ?? [];
    for (const pair of pairs)
      if (!PAIR.test(pair)) problems.push(`${spell(name)} has "${pair}": expected old=new, such as shop=shop-check.`);
    if (inputs.rollback && pairs.length > 0)
      problems.push(`${spell('rollback')} puts back a safety backup as it was: it takes no new names.`);
  }
  const wrong = labelsOf(inputs.selector).find((label) => !LABEL.test(label));
  if (wrong !== undefined) problems.push(`${spell('selector')} has "${wrong}": expected name=value, name!=value or name.`);
  return problems;
}

/** The parts of a label selector. */
export function labelsOf(selector: string | undefined): string[] {
  return (selector ?? '')
    .split(',')
    .map((label) => label.trim())
    .filter((label) => label !== '');
}
