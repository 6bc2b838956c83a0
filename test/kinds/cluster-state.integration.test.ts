// The state of a cluster goes through the same suite as every other kind, on a real API server with its controllers.
import { clusterState } from '../../shared/cluster-state/kind.ts';
import { kubernetesProgram, startKubernetes, type Kubernetes } from '../backends/kubernetes.ts';
import { loseNamespace, makeShop } from '../cluster-state/shop.ts';
import { describeIf } from '../support/needs.ts';
import { describeKind } from './conformance.ts';

const tool = await kubernetesProgram();
const PATHS = ['/api/v1/namespaces/shop/configmaps', '/api/v1/namespaces/shop/secrets', '/apis/apps/v1/namespaces/shop/deployments'];

interface Listed {
  items: { metadata: { name: string; annotations?: Record<string, string> }; data?: object; spec?: object }[];
}

describeIf('program' in tool, 'missing' in tool ? tool.missing : '')('cluster-state', () => {
  describeKind(clusterState, async () => {
    const kubernetes = await startKubernetes((tool as { program: string }).program, { controllers: true });
    const before = process.env['KUBECONFIG'];
    process.env['KUBECONFIG'] = kubernetes.kubeconfig;
    await makeShop(kubernetes);
    return {
      keys: 'includeNamespaces: [shop]',
      options: {},
      content: () => contentOf(kubernetes),
      change: async () => {
        const path = '/api/v1/namespaces/shop/configmaps/settings';
        await kubernetes.api('PUT', path, {
          apiVersion: 'v1',
          kind: 'ConfigMap',
          metadata: { name: 'settings' },
          data: { greeting: 'bye' },
        });
        await kubernetes.api('DELETE', '/api/v1/namespaces/shop/secrets/login');
      },
      lose: () => loseNamespace(kubernetes, 'shop'),
      close: async () => {
        if (before === undefined) delete process.env['KUBECONFIG'];
        else process.env['KUBECONFIG'] = before;
        await kubernetes.stop();
      },
    };
  });
});

/** What a user put there; the cluster adds more by itself. */
async function contentOf({ api }: Kubernetes): Promise<unknown> {
  const lists = await Promise.all(PATHS.map((path) => api('GET', path) as Promise<Listed>));
  return lists.map(({ items }) =>
    items
      .filter(({ metadata: { name } }) => name !== 'kube-root-ca.crt')
      .map(({ metadata, data, spec }) => ({ name: metadata.name, note: metadata.annotations?.['note'], data, spec })),
  );
}
