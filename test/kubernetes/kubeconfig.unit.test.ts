// Which kubeconfig is taken, how several become one, and what is said about one that is not right.
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { openCluster } from '../../shared/kubernetes/cluster.ts';
import { kubeconfigFor } from './scripted-api.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lifeboat-kubeconfig-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

function write(name: string, config: object | string): string {
  const file = join(folder, name);
  writeFileSync(file, typeof config === 'string' ? config : JSON.stringify(config));
  return file;
}

test('of several files the first that knows a name is taken, and one that is missing does no harm', async () => {
  const files = [join(folder, 'missing'), write('one', kubeconfigFor('http://one')), write('two', kubeconfigFor('http://two'))];
  const cluster = await openCluster({}, { env: { KUBECONFIG: files.join(delimiter) } });
  expect([cluster.server, cluster.context]).toEqual(['http://one', 'here']);
});

test.each([
  [{ context: 'nowhere' }, kubeconfigFor('http://one'), /context "nowhere" does not exist/, /It has here/],
  [{}, { ...kubeconfigFor('http://one'), 'current-context': '' }, /has no current context/, /It has here|it has here/],
  [{}, { ...kubeconfigFor('http://one'), clusters: [] }, /names a cluster that is not in it/, /Log in/],
  [{}, 'a: [', /is not right/, /Log in/],
  [{}, kubeconfigFor('http://one', { as: 'a', 'as-groups': ['b'] }), /has as-groups, which is not supported/, /login/],
])('%j: what is wrong is said', async (access, config, said, fix) => {
  const opening = openCluster({ kubeconfig: write('config', config), ...access });
  await expect(opening).rejects.toMatchObject({
    kind: 'usage',
    message: expect.stringMatching(said),
    fix: expect.stringMatching(fix),
  });
});

test('without any, it is said how to log in', async () => {
  const opening = openCluster({ kubeconfig: join(folder, 'none') });
  await expect(opening).rejects.toMatchObject({ kind: 'failed', fix: expect.stringContaining('az aks get-credentials') });
});
