// What dr.yml says of the state of a cluster, besides what it says of every component.
import { z } from 'zod';
import { about, plainText } from '../schema/fields.ts';

const patterns = (what: string, description: string, example: string[]) =>
  about(
    z
      .array(
        plainText(
          { description: `${what}; * matches anything.`, example: example[0] },
          { pattern: String.raw`[^\s,]+`, expected: `expected ${what.toLowerCase()}` },
        ),
        { error: `expected a list, such as [${example.join(', ')}]` },
      )
      .min(1, { error: `expected at least one entry, such as [${example.join(', ')}]` }),
    { description, example },
  ).optional();

export const shape = {
  context: plainText(
    { description: 'Context in the kubeconfig; the current one when absent.', example: 'aks-prod' },
    { expected: 'expected the name of a context, such as aks-prod' },
  ).optional(),
  includeNamespaces: patterns('A namespace', 'Only these namespaces; the whole cluster when absent.', ['rocketchat']),
  excludeNamespaces: patterns('A namespace', 'Leave out these namespaces.', ['kube-*']),
  includeKinds: patterns('A kind, as kubectl names it', 'Only these kinds; all when absent.', ['configmaps', 'deployments.apps']),
  excludeKinds: patterns('A kind, as kubectl names it', 'Leave out these kinds.', ['pods']),
};
