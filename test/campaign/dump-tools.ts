// mongodump and API server stand-ins that misbehave: whatever they do, nothing of it may be stored as a backup, and no secret may be told.
import { join } from 'node:path';
import { mkdirSync } from 'node:fs';
import { begunName } from '../../shared/backup/layout.ts';
import { listBackups } from '../../shared/catalog/list.ts';
import { dumpPod } from '../../shared/mongodb/dump-pod.ts';
import { dumpWithTools } from '../../shared/mongodb/dump-tools.ts';
import { localProgram } from '../../shared/mongodb/tool-program.ts';
import { errorMessage, type ErrorKind, UserError } from '../../shared/step/errors.ts';
import { Secret } from '../../shared/step/input.ts';
import { FolderStore } from '../../shared/stores/folder/index.ts';
import { FolderVault } from '../../shared/vaults/folder/index.ts';
import { SecretRecipient } from '../../shared/vaults/recipients/secret.ts';
import { clusterStandIn, readyPod, type ClusterBehaviour, type ClusterOrders, type ClusterStandIn } from '../backends/cluster-stand-in.ts';
import { mongoToolsStandIns, type StandIns, type DumpBehaviour, type StandInOptions } from '../backends/mongo-tools-stand-ins.ts';
import type { Expected, Part, Trial } from './part.ts';
import { backUp, COMPONENT, PREFIX, prove, smallArchive, type World } from './small-backup.ts';

const PASSWORD = 'sehr-geheim-0815';
/** How long a mongodump that is silent for ever is waited for here; ten minutes in earnest. */
const HANG_MS = 1500;
/** For one that speaks: its start alone takes longer on a busy machine. */
const PATIENCE_MS = 60_000;

const BEHAVIOURS: readonly [DumpBehaviour, readonly ErrorKind[]][] = [
  ['twenty-bytes', ['verification']],
  ['cut-archive', ['verification']],
  ['fails-after-archive', ['failed']],
  ['secret-on-stderr', ['failed']],
  ['hangs', ['failed']],
  ['hangs-hard', ['failed']],
];

/** What goes wrong on the way while the archive passes. */
const CUTS: readonly [ClusterBehaviour, readonly ErrorKind[]][] = [
  // Not one byte is no archive that could be damaged.
  ['cut', ['verification', 'failed']],
  ['loses-status', ['failed']],
  ['garbles-status', ['failed']],
  ['websocket-dies', ['failed']],
  ['pod-evicted', ['failed']],
  ['hangs', ['failed']],
];

/** What the cluster refuses before the first byte, and what the error must name. */
const REFUSALS: readonly [what: string, orders: Partial<ClusterOrders>, names: RegExp][] = [
  ['a context that does not exist', { how: 'no-context' }, /aks-prod/],
  ['no kubeconfig', { how: 'no-kubeconfig' }, /There is no kubeconfig/],
  ['an API server out of reach', { how: 'unreachable' }, /127\.0\.0\.1:\d+ cannot be reached/],
  ['a login that has expired', { how: 'logged-out' }, /does not know this login/],
  ['a login that may not list pods', { how: 'may-not-list' }, /cannot list resource "pods"/],
  ['a login that may not exec', { how: 'may-not-exec' }, /pods\/exec/],
  ['a container without mongodump', { how: 'no-program' }, /mongodump/],
  ['no pod', { pods: [] }, /app=mongodb/],
  ['a pod that starts', { pods: [{ ...readyPod(), status: { phase: 'Pending' } }] }, /mongodb-0 is pending/],
  [
    'a pod that goes',
    { pods: [{ ...readyPod(), metadata: { name: 'mongodb-0', deletionTimestamp: '2024-12-01T12:00:00Z' } }] },
    /being deleted/,
  ],
  ['several containers', { pods: [readyPod('mongodb-0', ['mongodb', 'metrics'])] }, /mongodb, metrics/],
];

export const dumpTools: Part = {
  name: 'dump-tools',
  what: 'mongodump and clusters that lie, cut at every namespace boundary, fail late, tell secrets, hang, flood standard error',
  async run(trial) {
    const archive = await smallArchive();
    for (const way of [here, inPod]) {
      for (const [behaviour, kinds] of BEHAVIOURS) {
        if (behaviour === 'hangs-hard' && !trial.full) continue;
        await refusedDump(trial, `${way.name}: ${behaviour}`, { kinds }, (world) =>
          dumped(trial, world, way, { mongodump: behaviour, archive }, behaviour.startsWith('hangs') ? HANG_MS : PATIENCE_MS),
        );
      }
    }
    const boundaries = terminators(archive);
    for (const index of trial.places(boundaries.length - 1, 4)) {
      const cut = boundaries[index] as number;
      const expected = { kinds: ['verification'] } as const;
      await refusedDump(trial, `exit 0 with the archive cut at its boundary ${cut}`, expected, (world) =>
        dumped(trial, world, here, { mongodump: 'honest', archive: archive.subarray(0, cut) }),
      );
      await refusedDump(trial, `a cluster's exit 0 with the stream cut at the boundary ${cut}`, expected, (world) =>
        dumped(trial, world, podWith({ how: 'cut', cutAt: cut }), { mongodump: 'honest', archive }),
      );
    }
    await clusterFaults(trial, archive);
    for (const way of [here, inPod]) await floods(trial, way);
  },
};

async function clusterFaults(trial: Trial, archive: Buffer): Promise<void> {
  const cuts = [0, ...terminators(archive).map((boundary) => boundary - 1)];
  for (const [how, kinds] of CUTS) {
    for (const index of how === 'hangs' ? [0] : trial.places(cuts.length, 2)) {
      const cutAt = cuts[index] as number;
      await refusedDump(trial, `a cluster that ${how} after ${cutAt} bytes`, { kinds }, (world) =>
        dumped(trial, world, podWith({ how, cutAt }), { mongodump: 'honest', archive }, how === 'hangs' ? HANG_MS : PATIENCE_MS),
      );
    }
  }
  await refusedDump(trial, 'a cluster loses the exit code of a mongodump that failed', { kinds: ['failed'] }, (world) =>
    dumped(trial, world, podWith({ how: 'loses-exit-code' }), { mongodump: 'fails-after-archive', archive }),
  );
  for (const [what, orders, names] of REFUSALS) {
    await refusedDump(trial, `a cluster: ${what}`, { kinds: ['failed', 'usage'], names }, (world) =>
      dumped(trial, world, podWith(orders), { mongodump: 'honest', archive }),
    );
  }
}

/** Where blocks, namespaces and the prelude end: a writer that stops there has written nothing but whole pieces. */
function terminators(archive: Buffer): number[] {
  const found: number[] = [];
  for (let at = archive.indexOf('ffffffff', 0, 'hex'); at !== -1; at = archive.indexOf('ffffffff', at + 4, 'hex')) found.push(at + 4);
  return found;
}

let runs = 0;
function freshWorld(trial: Trial): World & { tempDir: string } {
  const root = join(trial.folder, String((runs += 1)));
  const tempDir = join(root, 'temp');
  mkdirSync(tempDir, { recursive: true });
  return {
    store: new FolderStore(join(root, 'store')),
    recipients: [new SecretRecipient(new FolderVault(join(root, 'vault')))],
    tempDir,
  };
}

/** A way to a mongodump. */
interface Way {
  name: string;
  source(tools: StandIns, tempDir: string, hangMs: number): Promise<AsyncIterable<Uint8Array>>;
  /** What was asked for on the way. */
  asked?(): readonly string[];
  /** Ends the way. */
  stop?(): Promise<void>;
}

const here: Way = {
  name: 'mongodump',
  source: (tools, tempDir, hangMs) => {
    const tool = { name: 'mongodump' as const, path: tools.mongodump, version: '100.10.0' };
    const uri = new Secret(`mongodb://root:${PASSWORD}@127.0.0.1:1/`);
    return Promise.resolve(dumpWithTools({ program: localProgram({ tool, uri, tempDir }), oplog: false, hangMs }));
  },
};

/** Through a cluster, from one pod. */
function podWith(orders: Partial<ClusterOrders>): Way {
  let cluster: ClusterStandIn | undefined;
  return {
    name: 'mongodump in a pod',
    asked: () => cluster?.asked ?? [],
    stop: async () => cluster?.stop(),
    source: async (tools, _tempDir, hangMs) => {
      cluster = await clusterStandIn(tools, orders);
      const { kubeconfig, context } = cluster;
      const uri = new Secret(`mongodb://root:${PASSWORD}@localhost/`);
      const address = { kubeconfig, context, namespace: 'db', selector: 'app=mongodb', uri };
      return (await dumpPod({ address, mask: () => undefined, include: ['chat'], hangMs })).source;
    },
  };
}

const inPod = podWith({});

async function dumped(
  trial: Trial,
  world: World & { tempDir: string },
  way: Way,
  options: StandInOptions,
  hangMs = PATIENCE_MS,
): Promise<void> {
  const tools = mongoToolsStandIns(options);
  try {
    const { tempDir, ...place } = world;
    await backUp(place, { source: await way.source(tools, tempDir, hangMs) });
  } finally {
    const told = tools.calls().find(({ args }) => args.join(' ').includes(PASSWORD));
    const asked = way.asked?.().some((path) => decodeURIComponent(path).includes(PASSWORD)) ?? false;
    await way.stop?.();
    tools.remove();
    if (told) trial.slip(`${way.name}: the password is on a command line of ${told.program}`);
    if (asked) trial.slip(`${way.name}: the password is in an address`);
  }
}

async function refusedDump(
  trial: Trial,
  label: string,
  expected: Expected,
  work: (world: World & { tempDir: string }) => Promise<void>,
): Promise<void> {
  const world = freshWorld(trial);
  const thrown = await trial.refused(label, expected, () => work(world));
  const said = `${errorMessage(thrown)} ${thrown instanceof UserError ? (thrown.fix ?? '') : ''}`;
  trial.holds(`${label}: the password is told`, !said.includes(PASSWORD), 'detected');
  const names: string[] = [];
  for await (const { name } of world.store.list(`${PREFIX}/`)) if (name !== begunName(PREFIX, COMPONENT)) names.push(name);
  const keys = await new FolderVault(world.recipients[0]?.location ?? '').list()[Symbol.asyncIterator]().next();
  trial.holds(`${label}: left behind ${names.join(', ')}`, names.length === 0 && keys.done === true, 'detected');
}

/** 100 MB on standard error do no harm: the backup is good and the memory is not filled. */
async function floods(trial: Trial, way: Way): Promise<void> {
  const label = `${way.name}: 100 MB of standard error`;
  const world = freshWorld(trial);
  const before = process.memoryUsage().rss;
  await trial.survives(label, async () => {
    await dumped(trial, world, way, { mongodump: 'noisy', archive: await smallArchive() });
    await prove(world);
  });
  const grown = Math.round((process.memoryUsage().rss - before) / 1e6);
  trial.holds(`${label} took ${grown} MB of memory`, grown < 250);
  trial.holds(`${label}: the backup is not listed`, (await listBackups(world.store, PREFIX)).length === 1);
}
