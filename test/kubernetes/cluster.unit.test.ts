// What the client does on an API server's bad days: told by a server that answers as each case needs it.
import { afterEach, describe, expect, test } from '@jest/globals';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { openCluster, type Cluster, type ClusterOptions } from '../../shared/kubernetes/cluster.ts';
import { parseExactJson } from '../../shared/kubernetes/json.ts';
import type { ApiResource, KubeObject } from '../../shared/kubernetes/resources.ts';
import { CancelledError } from '../../shared/step/errors.ts';
import { refuse, scriptedApi, type ScriptedApi, type Script } from './scripted-api.ts';

const PODS: ApiResource = { group: '', version: 'v1', plural: 'pods', kind: 'Pod', namespaced: true, verbs: ['list'] };

let api: ScriptedApi;
let cluster: Cluster;
let waits: { status: number | undefined; waitMs: number }[];

afterEach(async () => {
  cluster.close();
  await api.stop();
});

async function open(script: Script, { user = {}, ...options }: { user?: object } & ClusterOptions = {}): Promise<void> {
  waits = [];
  api = await scriptedApi(script, user);
  // Time that passes at once.
  let now = 0;
  const clock = {
    now: () => new Date(0),
    monotonic: () => now,
    sleep: (ms: number) => {
      now += ms;
      return Promise.resolve();
    },
  };
  cluster = await openCluster({ kubeconfig: api.kubeconfig }, { clock, onWait: (why) => waits.push(why), ...options });
}

/** Answers each request by the next of these. */
function inTurn(...scripts: Script[]): Script {
  let at = 0;
  return (asked, response) => (scripts[at++] ?? good)(asked, response);
}

const good: Script = () => ({ kind: 'Pod', metadata: { name: 'a' } });
const busy: Script = (_asked, response) => refuse(response, 429, 'TooManyRequests', 'too many', { 'retry-after': '7' });
const trouble: Script = (_asked, response) =>
  refuse(response, 503, 'ServiceUnavailable', 'the server is currently unable to handle the request');
const drop: Script = (_asked, response) => {
  response.socket?.destroy();
  return undefined;
};
const half: Script = (_asked, response) => {
  response.writeHead(200, { 'content-length': '1000' }).write('{"kind":');
  setTimeout(() => response.socket?.destroy(), 10);
  return undefined;
};

const read = (): Promise<unknown> => cluster.request({ method: 'GET', path: '/api/v1/pods' });
const write = (): Promise<unknown> => cluster.request({ method: 'POST', path: '/api/v1/namespaces/a/pods', body: {} });

describe('what reads', () => {
  test.each([
    ['too much to do', busy],
    ['trouble', trouble],
    ['a connection that breaks', drop],
    ['an answer that breaks off', half],
  ])('is repeated after %s', async (_name, bad) => {
    await open(inTurn(good, bad, bad, good));
    await read();
    expect(await read()).toMatchObject({ kind: 'Pod' });
    expect(api.asked).toHaveLength(4);
  });

  test('is given up when the trouble stays', async () => {
    await open(trouble);
    await expect(read()).rejects.toMatchObject({ status: 503, fix: expect.stringContaining('kubectl get apiservices') });
    expect(api.asked).toHaveLength(5);
  });
});

describe('what changes something', () => {
  test('waits as long as it is asked to when it was turned away', async () => {
    await open(inTurn(busy, good));
    await write();
    expect(waits).toEqual([{ status: 429, waitMs: 7000 }]);
  });

  test.each([
    ['trouble', trouble, { status: 503 }],
    ['a connection that breaks', drop, { message: expect.stringContaining('cannot be reached') }],
  ])('is not repeated after %s: it may have happened', async (_name, bad, error) => {
    await open(inTurn(bad, good));
    await expect(write()).rejects.toMatchObject(error);
    expect(api.asked).toHaveLength(1);
  });

  test('is repeated where that changes nothing more', async () => {
    await open(inTurn(drop, trouble, good));
    await cluster.patch(PODS, { namespace: 'a', name: 'b' }, { type: 'apply', patch: { metadata: {} }, dryRun: true });
    const [last] = api.asked.slice(-1);
    expect(api.asked).toHaveLength(3);
    expect(last?.headers['content-type']).toBe('application/apply-patch+yaml');
    expect(Object.fromEntries(last?.query ?? [])).toEqual({ fieldManager: 'lifeboat', dryRun: 'All', force: 'false' });
    expect(JSON.parse(last?.body ?? '')).toEqual({ apiVersion: 'v1', kind: 'Pod', metadata: {} });
  });
});

describe('a login', () => {
  const plugin = (words: string): object => ({
    exec: { apiVersion: 'client.authentication.k8s.io/v1', command: process.execPath, args: ['-e', words], interactiveMode: 'Never' },
  });
  const token = `console.log(JSON.stringify({ status: { token: JSON.parse(process.env.KUBERNETES_EXEC_INFO).kind + process.hrtime.bigint() } }))`;

  test('of a plugin is made anew when the server does not know it any more', async () => {
    await open(
      inTurn(good, (_asked, response) => refuse(response, 401, 'Unauthorized', 'Unauthorized'), good),
      { user: plugin(token) },
    );
    await read();
    await read();
    const [first, second, third] = api.asked.map(({ headers }) => headers.authorization);
    expect(first).toMatch(/^Bearer ExecCredential\d+$/);
    expect(second).toBe(first);
    expect(third).not.toBe(first);
  });

  test('that is not known stays so', async () => {
    await open((_asked, response) => refuse(response, 401, 'Unauthorized', 'Unauthorized'));
    await expect(read()).rejects.toMatchObject({ status: 401, fix: expect.stringContaining('Log in to the cluster first') });
    expect(api.asked).toHaveLength(2);
  });

  test.each([
    [{ exec: { apiVersion: 'v1', command: 'kubelogin-nowhere' } }, /kubelogin-nowhere, which is not installed/],
    [plugin('console.error("AADSTS700082: expired"); process.exit(1)'), /failed: AADSTS700082: expired\./],
  ])('that cannot be made is told by its cause', async (user, said) => {
    await open(good, { user });
    await expect(read()).rejects.toMatchObject({ kind: 'failed', message: expect.stringMatching(said) });
  });

  test('lies in a file beside the kubeconfig', async () => {
    await open(good, { user: { tokenFile: 'token' } });
    writeFileSync(join(api.folder, 'token'), 'secret');
    await read();
    expect(api.asked[0]?.headers.authorization).toBe('Bearer secret');
  });
});

test('a permission that is missing is named with what to allow', async () => {
  const message = 'deployments.apps is forbidden: User "u" cannot list resource "deployments" in API group "apps" in the namespace "db"';
  await open((_asked, response) => refuse(response, 403, 'Forbidden', message));
  await expect(read()).rejects.toMatchObject({
    reason: 'Forbidden',
    message: `The cluster refused: ${message}.`,
    fix: expect.stringContaining('Allow the verb list on deployments.apps in namespace db'),
  });
});

test('a run that is cancelled does not wait for the server', async () => {
  const cancel = new AbortController();
  await open(() => {
    cancel.abort(new CancelledError());
    return undefined;
  });
  await expect(cluster.request({ method: 'GET', path: '/api', signal: cancel.signal })).rejects.toBeInstanceOf(CancelledError);
});

describe('a list', () => {
  const page = (names: string[], metadata: object, padding = ''): object => ({
    metadata,
    items: names.map((name) => ({ metadata: { name }, padding })),
  });

  test('that the server has forgotten goes on at a later moment, and says so', async () => {
    await open(
      inTurn(
        () => page(['a'], { resourceVersion: '1', continue: 'x' }),
        (_asked, response) => {
          response.writeHead(410, { 'content-type': 'application/json' });
          response.end(JSON.stringify({ kind: 'Status', reason: 'Expired', message: 'too old', code: 410, metadata: { continue: 'y' } }));
          return undefined;
        },
        () => page(['b'], { resourceVersion: '9' }),
      ),
    );
    const seen: unknown[] = [];
    for await (const { items, laterMoment, resourceVersion } of cluster.list(PODS, { namespace: 'n' })) {
      seen.push([items.map(({ kind, apiVersion, metadata }) => [kind, apiVersion, metadata.name]), laterMoment, resourceVersion]);
    }
    expect(seen).toEqual([
      [[['Pod', 'v1', 'a']], false, '1'],
      [[['Pod', 'v1', 'b']], true, '9'],
    ]);
    expect(api.asked.map(({ path, query }) => [path, query.get('continue')])).toEqual([
      ['/api/v1/namespaces/n/pods', null],
      ['/api/v1/namespaces/n/pods', 'x'],
      ['/api/v1/namespaces/n/pods', 'y'],
    ]);
  });

  test.each([
    ['small', '', '500'],
    ['large', 'x'.repeat(2 ** 20), '3'],
  ])('of %s objects comes in pages of a size that fits', async (_name, padding, limit) => {
    await open(
      inTurn(
        () => page(['a', 'b'], { continue: 'x' }, padding),
        () => page([], {}),
      ),
    );
    for await (const { items } of cluster.list(PODS)) expect(items.length).toBeLessThan(3);
    expect(api.asked.map(({ query }) => query.get('limit'))).toEqual(['100', limit]);
  });

  test('may come compressed', async () => {
    await open((_asked, response) => {
      response.setHeader('content-encoding', 'gzip').end(gzipSync(JSON.stringify(page(['a'], {}))));
      return undefined;
    });
    const objects: KubeObject[] = [];
    for await (const { items } of cluster.list(PODS)) objects.push(...items);
    expect(objects).toHaveLength(1);
    expect(api.asked[0]?.headers['accept-encoding']).toBe('gzip');
  });
});

describe('discovery of an old server', () => {
  test('goes version by version, takes the preferred one, and names what it cannot look into', async () => {
    const resource = (name: string): object => ({ name, kind: name.toUpperCase(), namespaced: true, verbs: ['list'] });
    const answers: Record<string, object> = {
      '/api': { kind: 'APIVersions', versions: ['v1'] },
      '/api/v1': { kind: 'APIResourceList', resources: [resource('pods'), resource('pods/exec')] },
      '/apis': {
        kind: 'APIGroupList',
        groups: [
          { name: 'g', versions: [{ version: 'v1beta1' }, { version: 'v1' }], preferredVersion: { version: 'v1' } },
          { name: 'down', versions: [{ version: 'v1' }] },
        ],
      },
      '/apis/g/v1': { resources: [resource('a')] },
      '/apis/g/v1beta1': { resources: [resource('a'), resource('old')] },
    };
    await open((asked, response) => {
      const answer = answers[asked.path];
      if (answer) return answer;
      return asked.path.includes('apiregistration') ? refuse(response, 403, 'Forbidden', 'no') : trouble(asked, response);
    });
    const { resources, failed } = await cluster.discover();
    expect(resources.map(({ group, version, plural }) => `${group}/${version}/${plural}`)).toEqual(['/v1/pods', 'g/v1/a', 'g/v1beta1/old']);
    expect(failed).toEqual([{ group: 'down', version: 'v1', why: expect.stringContaining('unable to handle the request') }]);
  });
});

describe('numbers', () => {
  test.each(['{"a":12345678901234567890,"b":[-9007199254740993,1]}', '{"a":9007199254740992}', '{"text":" 1234567890123456789"}'])(
    'of %s come out as they went in',
    async (text) => {
      await open(good);
      expect(JSON.stringify(parseExactJson(text))).toBe(text);
    },
  );
});
