// MongoDB inside a cluster, end to end: the real steps and API server, and the real mongodump and mongorestore in the pod.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { MongoClient } from 'mongodb';
import { readPoint } from '../../shared/catalog/points.ts';
import type { Timestamp } from '../../shared/step/timestamp.ts';
import { FolderStore } from '../../shared/stores/folder/index.ts';
import { startFerretDb } from '../backends/ferretdb.ts';
import { kubernetesProgram, LIMITED_USER, startKubernetes, type Kubernetes } from '../backends/kubernetes.ts';
import { mongoToolsStandIns } from '../backends/mongo-tools-stand-ins.ts';
import { mongoTools } from '../backends/mongo-tools.ts';
import { canBuildMongoJavaServer, startMongoJavaServer } from '../backends/mongo-java-server.ts';
import { buildArchive } from '../mongodb/archives.ts';
import { run, startBench, type Bench, type Place } from '../steps/bench.ts';
import { describeIf } from '../support/needs.ts';

const [cluster, tools] = [await kubernetesProgram(), await mongoTools()];
const missing = 'missing' in cluster ? cluster.missing : 'missing' in tools ? tools.missing : undefined;
const NAMESPACE = 'rocketchat';
const POD = { namespace: NAMESPACE, name: 'mongodb-0' };
const SELECTOR = 'app.kubernetes.io/name=mongodb';

describeIf(missing === undefined, missing ?? '')('a MongoDB inside a cluster', () => {
  let kubernetes: Kubernetes;
  let bench: Bench;
  let folder: string;
  let programs: Record<string, string>;
  let environment: Record<string, string>;
  /** Tests are tried twice: what stays in the cluster gets a new name each time. */
  let made = 0;
  const before = { KUBECONFIG: process.env['KUBECONFIG'] };

  beforeAll(async () => {
    if ('missing' in cluster || 'missing' in tools) return;
    [kubernetes, bench] = await Promise.all([startKubernetes(cluster.program), startBench()]);
    const { port, user = '' } = bench.mongo;
    programs = { mongodump: tools.mongodump, mongorestore: tools.mongorestore };
    // As in Bitnami's image, with the password in a mounted file.
    environment = { MONGODB_ROOT_USER: user, MONGODB_ROOT_PASSWORD_FILE: 'password', MONGODB_PORT_NUMBER: String(port) };
    folder = await addMongoPod(NAMESPACE, ['mongodb', 'metrics']);
    process.env['KUBECONFIG'] = kubernetes.kubeconfig;
  });

  beforeEach(async () => {
    const messages = Array.from({ length: 500 }, (_, index) => ({ _id: index, text: `grüß dich ${index}`, room: index % 7 }));
    const rooms = Array.from({ length: 7 }, (_, index) => ({ _id: index, name: `#${index}` }));
    for (const [name, documents] of Object.entries({ messages, rooms })) {
      await bench.client.db(name).dropDatabase();
      await bench.client.db(name).collection<{ _id: number }>(name).insertMany(documents);
    }
  });

  afterEach(() => {
    kubernetes.cutOutput(POD, undefined);
  });

  afterAll(async () => {
    Object.assign(process.env, before);
    await bench.stop();
    await kubernetes.stop();
  });

  const inPod = ({ reading }: Place): Record<string, string> => ({
    ...reading,
    kubernetesNamespace: NAMESPACE,
    kubernetesSelector: SELECTOR,
    kubernetesContainer: 'mongodb',
    // Two runs of mongodump, one archive.
    include: 'messages, rooms',
  });

  test('is backed up, lost, restored and proved, without a way in but the API server', async () => {
    const place = bench.place();
    const backup = await run('mongodb-backup', inPod(place));
    expect(backup).toMatchObject({ said: '', exitCode: 0, outputs: { documents: '507', verified: 'true' } });
    expect(backup.log.join('\n')).toContain(`kubernetes:${NAMESPACE}/${SELECTOR}`);
    expect(backup.summary).toContain(
      `--kubernetes-namespace ${NAMESPACE} --kubernetes-selector ${SELECTOR} --kubernetes-container mongodb`,
    );

    for (const database of ['messages', 'rooms']) await bench.client.db(database).dropDatabase();
    const restore = await run('mongodb-restore', { ...inPod(place), confirm: 'shop' });
    expect(restore).toMatchObject({ said: '', exitCode: 0, outputs: { documents: '507' } });
    expect(await run('backup-integrity-check', inPod(place))).toMatchObject({ said: '', exitCode: 0, outputs: { equal: 'true' } });
    // Nothing of ours stays in the pod; the two hidden ones are wine's.
    expect(readdirSync(folder).filter((name) => !['.config', '.local'].includes(name))).toEqual(['.env', 'bin', 'password']);
  });

  test('is replaced only when that is allowed; what was there comes back by a rollback', async () => {
    const place = bench.place();
    expect((await run('mongodb-backup', inPod(place))).exitCode).toBe(0);
    const messages = bench.client.db('messages').collection<{ _id: number }>('messages');
    await messages.deleteMany({ _id: { $lt: 100 } });
    const refused = await run('mongodb-restore', { ...inPod(place), confirm: 'shop' });
    expect(refused).toMatchObject({ exitCode: 5 });
    expect(refused.said).toContain('messages.messages (400 documents)');
    expect(await run('mongodb-restore', { ...inPod(place), confirm: 'shop', replace: 'true' })).toMatchObject({ said: '', exitCode: 0 });
    expect(await messages.countDocuments()).toBe(500);
    const rolledBack = await run('mongodb-restore', { ...inPod(place), confirm: 'shop', replace: 'true', rollback: 'true' });
    expect(rolledBack).toMatchObject({ said: '', exitCode: 0 });
    expect(await messages.countDocuments()).toBe(400);
  });

  test.each([
    ['drops what the restore had made where the pod has mongosh', true],
    ['says what it cannot drop where it has not', false],
  ])('a rollback %s', async (_what, hasShell) => {
    const place = bench.place();
    const standIns = mongoToolsStandIns({});
    try {
      const namespace = `shell-${(made += 1)}`;
      await addMongoPod(namespace, ['mongodb'], hasShell ? { ...programs, mongosh: standIns.mongosh } : programs);
      const inputs = { ...inPod(place), kubernetesNamespace: namespace };
      expect((await run('mongodb-backup', inputs)).exitCode).toBe(0);
      await bench.client.db('rooms').dropDatabase();
      expect(await run('mongodb-restore', { ...inputs, confirm: 'shop', replace: 'true' })).toMatchObject({ said: '', exitCode: 0 });
      const back = await run('mongodb-restore', { ...inputs, confirm: 'shop', replace: 'true', rollback: 'true' });
      expect(back).toMatchObject({ said: '', exitCode: hasShell ? 0 : 3 });
      expect(back.finish.warnings).toEqual(
        hasShell ? [] : [expect.stringContaining('getSiblingDB("rooms").getCollection("rooms").drop()')],
      );
      const left = await bench.client.db('rooms').listCollections().toArray();
      expect(left.map(({ name }) => name)).toEqual(hasShell ? [] : ['rooms']);
      const calls = standIns.calls().filter(({ program }) => program === 'mongosh');
      expect(calls.map(({ args }) => args.join(' '))).toEqual(hasShell ? ['--quiet --norc --nodb'] : []);
    } finally {
      standIns.remove();
    }
  });

  (canBuildMongoJavaServer() ? test : test.skip)(
    'comes back with its indexes, by a connection string as it is seen from the pod',
    async () => {
      const server = await startMongoJavaServer();
      const client = await new MongoClient(server.uri).connect();
      const pod = { namespace: `plain-${(made += 1)}`, name: 'plain-0' };
      try {
        await kubernetes.addPod({
          ...pod,
          programs: 'missing' in tools ? {} : { mongodump: tools.mongodump, mongorestore: tools.mongorestore },
        });
        const orders = client.db('shop').collection<{ _id: number }>('orders');
        await orders.insertMany([{ _id: 1 }, { _id: 2 }]);
        await orders.createIndex({ at: -1 }, { name: 'by-time' });
        const { reading } = bench.place();
        const inputs = { ...reading, mongodbUri: server.uri, kubernetesNamespace: pod.namespace, kubernetesPod: pod.name, include: 'shop' };
        expect(await run('mongodb-backup', inputs)).toMatchObject({ said: '', exitCode: 0 });
        const renaming = { ...inputs, rename: 'shop=shop_check', confirm: 'shop' };
        expect(await run('mongodb-restore', renaming)).toMatchObject({ said: '', exitCode: 0, outputs: { documents: '2' } });
        const restored = client.db('shop_check').collection('orders');
        expect((await restored.indexes()).map(({ name }) => name)).toEqual(expect.arrayContaining(['by-time']));
      } finally {
        await client.close();
        await server.stop();
      }
    },
  );

  test('everything is of one moment on a replica set, and collection by collection on a standalone server', async () => {
    const set = await startFerretDb({ replicaSet: 'rs0' });
    const client = await new MongoClient(set.uri).connect();
    try {
      await client.db('local').createCollection('oplog.rs', { capped: true, size: 10_000_000 });
      for (const name of ['orders', 'customers']) await client.db('shop').collection<{ _id: number }>(name).insertOne({ _id: 1 });
      const pod = { kubernetesNamespace: NAMESPACE, kubernetesPod: POD.name, kubernetesContainer: 'mongodb' };
      const ofSet = await run('mongodb-backup', { ...bench.place().reading, ...pod, mongodbUri: `mongodb://127.0.0.1:${set.port}/` });
      expect(ofSet).toMatchObject({ said: '', exitCode: 0, finish: { result: { consistency: 'point-in-time' } } });
      const standalone = await run('mongodb-backup', { ...bench.place().reading, ...pod });
      expect(standalone).toMatchObject({ said: '', exitCode: 0, finish: { result: { consistency: 'per-collection' } } });
      expect(standalone.log.join('\n')).toContain('mongodump found no oplog there that it may read');
    } finally {
      await client.close();
      await set.stop();
    }
  });

  test('a mongorestore that says it restored all is not believed', async () => {
    const place = bench.place();
    const standIns = mongoToolsStandIns({ mongorestore: 'says-all-restored', documents: 507 });
    try {
      const namespace = `lying-${(made += 1)}`;
      await addMongoPod(namespace, ['mongodb'], { ...programs, mongorestore: standIns.mongorestore });
      const inputs = { ...inPod(place), kubernetesNamespace: namespace };
      expect((await run('mongodb-backup', inputs)).exitCode).toBe(0);
      for (const database of ['messages', 'rooms']) await bench.client.db(database).dropDatabase();
      const { exitCode, said } = await run('mongodb-restore', { ...inputs, confirm: 'shop' });
      expect([exitCode, said]).toEqual([4, expect.stringContaining('messages.messages: missing on the server')]);
    } finally {
      standIns.remove();
    }
  });

  test('dr.yml names the pod; a connection string given beside it leads to another database', async () => {
    const { store, vault, reading } = bench.place();
    const config = join(store, '..', 'dr.yml');
    const source = { kubernetes: { namespace: NAMESPACE, selector: SELECTOR, container: 'mongodb' } };
    const components = { mongodb: { kind: 'mongodb', source, include: ['messages'] } };
    const stores = { primary: { kind: 'folder', path: store } };
    writeFileSync(config, JSON.stringify({ version: 1, name: 'shop', stores, vault: { kind: 'folder', path: vault }, components }));
    const fromPod = await run('mongodb-backup', { config });
    expect(fromPod).toMatchObject({ said: '', exitCode: 0, outputs: { documents: '500' } });
    expect(fromPod.log.join('\n')).toContain(`kubernetes:${NAMESPACE}/`);
    const direct = await run('backup-integrity-check', { config, mongodbUri: bench.mongo.uri });
    expect(direct).toMatchObject({ said: '', exitCode: 0 });
    expect(direct.summary).toContain(`127.0.0.1:${bench.mongo.port}`);
    expect((await run('mongodb-restore', { config, dryRun: 'true', name: reading['name'] ?? '' })).log.join('\n')).toContain(
      'messages.messages: 500 documents are in the way',
    );
  });

  test('users and roles go to mongorestore on their own, without the option that would remove all others', async () => {
    const archive = await buildArchive([
      { db: 'admin', collection: 'system.users', documents: [{ _id: 'shop.clerk' }] },
      { db: 'admin', collection: 'system.version', documents: [{ _id: 'authSchema', currentVersion: 5 }] },
      { db: 'shop', collection: 'orders', documents: [{ _id: 1 }, { _id: 2 }] },
    ]);
    const standIns = mongoToolsStandIns({ mongodump: 'honest', mongorestore: 'says-all-restored', archive, documents: 2 });
    try {
      const namespace = `users-${(made += 1)}`;
      const { mongodump, mongorestore } = standIns;
      await kubernetes.addPod({ namespace, name: 'mongodb-0', programs: { mongodump, mongorestore } });
      const inputs = { ...bench.place().reading, kubernetesNamespace: namespace, kubernetesPod: 'mongodb-0' };
      expect(await run('mongodb-backup', inputs)).toMatchObject({ said: '', exitCode: 0 });
      const restored = await run('mongodb-restore', { ...inputs, replace: 'true', confirm: 'shop' });
      expect(restored).toMatchObject({ said: '', exitCode: 0 });
      expect(restored.log.join('\n')).toContain('Users and roles of the backup replace those of the same name on the target');
      const calls = (): string[][] =>
        standIns
          .calls()
          .filter(({ program, args }) => program === 'mongorestore' && args.includes('--archive'))
          .map(({ args }) => args.slice(1));
      expect(calls()).toEqual([['--archive', '--drop'], ['--archive']]);
      // Beside the living data they are none of its business.
      const beside = await run('mongodb-restore', { ...inputs, rename: 'shop=shop_check', confirm: 'shop' });
      expect(beside.log.join('\n')).toContain(
        'Users and roles of the backup are not restored: that needs the whole backup under its own names',
      );
      expect(calls().slice(2)).toEqual([['--archive', '--nsFrom=shop.*', '--nsTo=shop_check.*']]);
    } finally {
      standIns.remove();
    }
  });

  test('backup-all goes through the pod as well', async () => {
    const { store, vault } = bench.place();
    const config = join(store, '..', 'dr.yml');
    const source = { kubernetes: { namespace: NAMESPACE, selector: SELECTOR, container: 'mongodb' } };
    const components = {
      talk: { kind: 'mongodb', source, include: ['messages'] },
      rooms: { kind: 'mongodb', source, include: ['rooms'] },
    };
    const stores = { primary: { kind: 'folder', path: store } };
    writeFileSync(config, JSON.stringify({ version: 1, name: 'shop', stores, vault: { kind: 'folder', path: vault }, components }));
    const ran = await run('backup-all', { config });
    expect(ran).toMatchObject({ said: '', exitCode: 0, outputs: { components: '2', failed: '0' } });
    expect(ran.log.join('\n')).toContain(`kubernetes:${NAMESPACE}/${SELECTOR}`);
    const point = await readPoint(new FolderStore(store), 'shop', ran.outputs['timestamp'] as Timestamp);
    expect(point).toMatchObject({
      complete: true,
      components: [
        { component: 'talk', verified: true, documents: 500 },
        { component: 'rooms', verified: true, documents: 7 },
      ],
    });
  });

  test('a stream that the way cuts off with exit code 0 is no backup', async () => {
    const place = bench.place();
    kubernetes.cutOutput(POD, 20_000);
    const { exitCode, said } = await run('mongodb-backup', { ...inPod(place), include: 'messages' });
    expect([exitCode, said]).toEqual([4, expect.stringContaining('ends in the middle')]);
    expect(await place.listed()).toEqual({ backups: [], leftovers: 0 });
  });

  test('the password is on no command line in the pod, and in no log', async () => {
    const password = 'very-secret 0815';
    const standIns = mongoToolsStandIns({ mongodump: 'honest' });
    try {
      const namespace = `seen-${(made += 1)}`;
      const environment = { MONGO_INITDB_ROOT_USERNAME: 'admin', MONGO_INITDB_ROOT_PASSWORD: password };
      await kubernetes.addPod({ namespace, name: 'mongodb-0', programs: { mongodump: standIns.mongodump }, environment });
      const place = { ...bench.place().reading, kubernetesNamespace: namespace, kubernetesPod: 'mongodb-0' };
      const { exitCode, log, summary } = await run('mongodb-backup', place);
      expect(exitCode).toBe(0);
      const commands = standIns.calls().map(({ args }) => args.join(' '));
      const uri = '--uri=mongodb://admin@localhost:27017/?authSource=admin';
      expect(commands).toEqual([`${uri} --archive --db=local --collection=oplog.rs`, `${uri} --archive --oplog`]);
      for (const told of [...log, summary]) expect(told).not.toContain(password);
    } finally {
      standIns.remove();
    }
  });

  test('what the login lacks is said with the role that has it; with the role it works', async () => {
    const place = bench.place();
    const namespace = `limited-${(made += 1)}`;
    await addMongoPod(namespace);
    const limited = { ...inPod(place), kubernetesNamespace: namespace, kubernetesContext: 'limited' };
    const listing = await run('mongodb-backup', limited);
    expect([listing.exitCode, listing.said]).toEqual([1, expect.stringMatching(/cannot list resource "pods".*docs\/operations\.md/s)]);
    const [pods, exec] = await roleOfTheDocumentation();
    await allow(namespace, 'pods', pods);
    const second = await run('mongodb-backup', limited);
    expect([second.exitCode, second.said]).toEqual([1, expect.stringMatching(/"pods\/exec".*the verbs get and create on pods\/exec/s)]);
    const seen = await run('doctor', { ...limited, mongodbUri: 'mongodb://localhost/', only: 'mongodb-connection' });
    expect(seen.said).toContain('may not run programs there');
    await allow(namespace, 'exec', exec);
    expect(await run('mongodb-backup', limited)).toMatchObject({ said: '', exitCode: 0 });
  });

  test.each([
    [{ kubernetesSelector: 'app=nothing' }, /no pod with app=nothing in namespace rocketchat/],
    [{ kubernetesContainer: '' }, /has 2 containers: mongodb, metrics/],
    [{ kubernetesContainer: 'nope' }, /has no container nope; it has mongodb, metrics/],
    [{ kubernetesContext: 'nowhere' }, /context "nowhere" does not exist/],
    [{ kubernetesSelector: '', kubernetesPod: 'mongodb-9' }, /pods "mongodb-9" not found/],
    [{ include: 'nope' }, /no database or collection "nope" on kubernetes:rocketchat/],
    [{ engine: 'driver' }, /built-in engine cannot reach a MongoDB inside a pod/],
  ])('%j is refused by name', async (wrong, said) => {
    const ran = await run('mongodb-backup', { ...inPod(bench.place()), ...wrong });
    expect([ran.outcome, ran.said]).toEqual(['failed', expect.stringMatching(said)]);
  });

  test('doctor looks through the pod', async () => {
    const ran = await run('doctor', { ...inPod(bench.place()), only: 'mongodb-connection,mongodb-login,mongodb-permissions,tools' });
    expect(ran).toMatchObject({ said: '', exitCode: 0, outputs: { ok: '4' } });
  });

  test('a kubelet that goes in mid-dump leaves no backup, whatever the API server says', async () => {
    const standIns = mongoToolsStandIns({ mongodump: 'hangs' });
    try {
      const namespace = `broken-${(made += 1)}`;
      await kubernetes.addPod({ namespace, name: 'mongodb-0', programs: { mongodump: standIns.mongodump } });
      const place = bench.place();
      const pod = { kubernetesNamespace: namespace, kubernetesPod: 'mongodb-0', include: 'drill_rocketchat' };
      const running = run('mongodb-backup', { ...place.reading, ...pod });
      while (standIns.calls().length === 0) await delay(50);
      await kubernetes.restartKubelet();
      const { exitCode, said } = await running;
      expect([exitCode, said]).toEqual([1, expect.stringContaining('The connection to pod mongodb-0 broke before mongodump had ended')]);
      expect(await place.listed()).toEqual({ backups: [], leftovers: 0 });
    } finally {
      standIns.remove();
    }
  });

  async function addMongoPod(namespace: string, containers = ['mongodb'], tools = programs): Promise<string> {
    const pod = { namespace, name: POD.name };
    const labels = { 'app.kubernetes.io/name': 'mongodb' };
    const path = await kubernetes.addPod({ ...pod, labels, containers, programs: tools, environment });
    kubernetes.addFile(pod, 'password', bench.mongo.password ?? '');
    return path;
  }

  /** Gives the user of the context `limited` one rule of a role. */
  async function allow(namespace: string, name: string, rule: object): Promise<void> {
    const group = 'rbac.authorization.k8s.io';
    const path = `/apis/${group}/v1/namespaces/${namespace}`;
    await kubernetes.api('POST', `${path}/roles`, { apiVersion: `${group}/v1`, kind: 'Role', metadata: { name }, rules: [rule] });
    await kubernetes.api('POST', `${path}/rolebindings`, {
      apiVersion: `${group}/v1`,
      kind: 'RoleBinding',
      metadata: { name },
      roleRef: { apiGroup: group, kind: 'Role', name },
      subjects: [{ kind: 'User', name: LIMITED_USER, apiGroup: group }],
    });
  }
});

/** The rules that docs/operations.md tells people to paste. */
async function roleOfTheDocumentation(): Promise<[pods: object, exec: object]> {
  const blocks = readFileSync('docs/operations.md', 'utf8').split('```yaml\n');
  const text = blocks.map((block) => block.split('```')[0] ?? '').find((block) => block.includes('kind: Role'));
  const { parse } = await import('yaml');
  return (parse(text ?? '') as { rules: [object, object] }).rules;
}
