// mongodump stand-ins that misbehave: whatever they do, nothing of it may be stored as a backup, and no secret may be told.
import { join } from 'node:path';
import { mkdirSync } from 'node:fs';
import { listBackups } from '../../shared/catalog/list.ts';
import { dumpWithTools } from '../../shared/mongodb/dump-tools.ts';
import { errorMessage, type ErrorKind, UserError } from '../../shared/step/errors.ts';
import { Secret } from '../../shared/step/input.ts';
import { FolderStore } from '../../shared/stores/folder.ts';
import { FolderVault } from '../../shared/vaults/folder.ts';
import { SecretRecipient } from '../../shared/vaults/secret-recipient.ts';
import { mongoToolsStandIns, type DumpBehaviour, type StandInOptions } from '../../test/backends/mongo-tools-stand-ins.ts';
import type { Part, Trial } from './part.ts';
import { backUp, PREFIX, prove, smallArchive, type World } from './small-backup.ts';

const PASSWORD = 'sehr-geheim-0815';
/** How long a silent mongodump is waited for here; ten minutes in earnest. */
const HANG_MS = 1500;

const BEHAVIOURS: readonly [DumpBehaviour, readonly ErrorKind[]][] = [
  ['twenty-bytes', ['verification']],
  ['cut-archive', ['verification']],
  ['fails-after-archive', ['failed']],
  ['secret-on-stderr', ['failed']],
  ['hangs', ['failed']],
  ['hangs-hard', ['failed']],
];

export const dumpTools: Part = {
  name: 'dump-tools',
  what: 'mongodump that lies, cuts at every namespace boundary, fails late, tells secrets, hangs, floods standard error',
  async run(trial) {
    // A kubectl stand-in joins here when dumps are made inside a pod.
    for (const [behaviour, kinds] of BEHAVIOURS) {
      if (behaviour === 'hangs-hard' && !trial.full) continue;
      await refusedDump(trial, behaviour, kinds, { mongodump: behaviour });
    }
    const archive = await smallArchive();
    const boundaries = terminators(archive);
    for (const index of trial.places(boundaries.length - 1, 4)) {
      const cut = boundaries[index] as number;
      await refusedDump(trial, `exit 0 with the archive cut at its boundary ${cut}`, ['verification'], {
        mongodump: 'honest',
        archive: archive.subarray(0, cut),
      });
    }
    await floods(trial);
  },
};

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

async function dumped(world: World & { tempDir: string }, options: StandInOptions, hangMs = HANG_MS): Promise<void> {
  const standIns = mongoToolsStandIns(options);
  try {
    const { tempDir, ...place } = world;
    const uri = new Secret(`mongodb://root:${PASSWORD}@127.0.0.1:1/`);
    const tool = { name: 'mongodump' as const, path: standIns.mongodump, version: '100.10.0' };
    await backUp(place, { source: dumpWithTools({ tool, uri, tempDir, oplog: false, hangMs }) });
  } finally {
    standIns.remove();
  }
}

async function refusedDump(trial: Trial, label: string, kinds: readonly ErrorKind[], options: StandInOptions): Promise<void> {
  const world = freshWorld(trial);
  const thrown = await trial.refused(label, { kinds }, () => dumped(world, options));
  const said = `${errorMessage(thrown)} ${thrown instanceof UserError ? (thrown.fix ?? '') : ''}`;
  trial.holds(`${label}: the password is told`, !said.includes(PASSWORD), 'detected');
  const names: string[] = [];
  for await (const { name } of world.store.list(`${PREFIX}/`)) names.push(name);
  const keys = await new FolderVault(world.recipients[0]?.location ?? '').list()[Symbol.asyncIterator]().next();
  trial.holds(`${label}: left behind ${names.join(', ')}`, names.length === 0 && keys.done === true, 'detected');
}

/** 100 MB on standard error do no harm: the backup is good and the memory is not filled. */
async function floods(trial: Trial): Promise<void> {
  const world = freshWorld(trial);
  const before = process.memoryUsage().rss;
  await trial.survives('100 MB of standard error', async () => {
    await dumped(world, { mongodump: 'noisy', archive: await smallArchive() }, 60_000);
    await prove(world);
  });
  const grown = Math.round((process.memoryUsage().rss - before) / 1e6);
  trial.holds(`100 MB of standard error took ${grown} MB of memory`, grown < 250);
  trial.holds('100 MB of standard error: the backup is not listed', (await listBackups(world.store, PREFIX)).length === 1);
}
