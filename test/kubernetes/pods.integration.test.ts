// Which pod, container and login are taken, told by what an API server stand-in is asked.
import { afterEach, describe, expect, test } from '@jest/globals';
import { openPodMongo, type PodAddress, type PodMongo } from '../../shared/mongodb/pod-mongo.ts';
import { Secret } from '../../shared/step/input.ts';
import { clusterStandIn, readyPod, type ClusterOrders, type ClusterStandIn } from '../backends/cluster-stand-in.ts';
import { mongoToolsStandIns, type StandIns } from '../backends/mongo-tools-stand-ins.ts';

let tools: StandIns | undefined;
let cluster: ClusterStandIn | undefined;
let masked: string[];

afterEach(done);

async function done(): Promise<void> {
  await cluster?.stop();
  tools?.remove();
}

async function open(
  orders: Partial<ClusterOrders>,
  address: Partial<PodAddress> = {},
  role: 'primary' | 'secondary' = 'primary',
): Promise<PodMongo> {
  tools = mongoToolsStandIns({ archive: new Uint8Array(1) });
  cluster = await clusterStandIn(tools, orders);
  masked = [];
  const access = { kubeconfig: cluster.kubeconfig, namespace: 'db', selector: 'app=mongodb', ...address };
  return openPodMongo(
    {
      address: access,
      mask: (secret) => {
        masked.push(secret);
      },
    },
    role,
  );
}

const MEMBERS = [readyPod('mongodb-0'), readyPod('mongodb-1'), readyPod('mongodb-2')];
const HELLO = {
  'mongodb-0': { isWritablePrimary: false, secondary: true },
  'mongodb-1': { isWritablePrimary: true, secondary: false },
  'mongodb-2': { isWritablePrimary: false, secondary: true },
};

describe('of several pods', () => {
  test('the primary is restored and a secondary backed up', async () => {
    const orders = { pods: MEMBERS, hello: HELLO };
    expect((await open(orders, {}, 'primary')).container.pod).toBe('mongodb-1');
    await done();
    expect((await open(orders, {}, 'secondary')).container.pod).toBe('mongodb-0');
  });

  test('one that is kept behind on purpose is not backed up', async () => {
    const delayed = { ...HELLO, 'mongodb-0': { secondary: true, hidden: true, secondaryDelaySecs: 3600 } };
    expect((await open({ pods: MEMBERS, hello: delayed }, {}, 'secondary')).container.pod).toBe('mongodb-2');
  });

  test('the first is taken where no mongosh can tell', async () => {
    expect((await open({ pods: MEMBERS })).container.pod).toBe('mongodb-0');
  });

  test('one that is not ready is left out', async () => {
    const [first, ...others] = MEMBERS;
    const starting = { ...first, status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'False' }] } } as (typeof MEMBERS)[0];
    expect((await open({ pods: [starting, ...others] })).container.pod).toBe('mongodb-1');
  });

  test('any does, and nobody is asked, when the tools look for the primary themselves', async () => {
    const uri = new Secret('mongodb://u:p@localhost/?replicaSet=rs0');
    expect((await open({ pods: MEMBERS, hello: HELLO }, { uri })).container.pod).toBe('mongodb-0');
    expect(cluster?.asked).toEqual([expect.stringContaining('/api/v1/namespaces/db/pods?labelSelector=app%3Dmongodb')]);
  });
});

describe('the container', () => {
  test('is the one that the pod names as its main one', async () => {
    const pod = readyPod('mongodb-0', ['metrics', 'mongodb']);
    pod.metadata.annotations = { 'kubectl.kubernetes.io/default-container': 'mongodb' };
    expect((await open({ pods: [pod] })).container.container).toBe('mongodb');
  });
});

describe('the login', () => {
  test.each([
    [
      'of Bitnami',
      { MONGODB_ROOT_PASSWORD: 'a b', MONGODB_PORT_NUMBER: '27018' },
      'mongodb://root:a%20b@localhost:27018/?authSource=admin',
    ],
    [
      'of the official image',
      { MONGO_INITDB_ROOT_USERNAME: 'admin', MONGO_INITDB_ROOT_PASSWORD: 'p@ss' },
      'mongodb://admin:p%40ss@localhost:27017/?authSource=admin',
    ],
    ['of nobody', { MONGODB_ROOT_PASSWORD: '' }, 'mongodb://localhost:27017/'],
  ])("%s is taken from the pod's environment and masked", async (_whose, environment, uri) => {
    expect((await open({ environment })).uri.reveal()).toBe(uri);
    const password = Object.entries(environment).find(([name, value]) => name.endsWith('PASSWORD') && value !== '')?.[1];
    expect(masked).toEqual(password === undefined ? [] : [password, encodeURIComponent(password)]);
  });

  test('that is given wins, and the environment is not looked at', async () => {
    const { uri } = await open({ environment: { MONGODB_ROOT_PASSWORD: 'x' } }, { uri: new Secret('mongodb://u:p@localhost/') });
    expect(uri.reveal()).toBe('mongodb://u:p@localhost/');
    expect(cluster?.asked).toHaveLength(1);
  });
});
