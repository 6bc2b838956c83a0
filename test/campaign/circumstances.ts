// Circumstances that no code of ours causes: data that vanish, tokens that expire, two runs at once, clocks that jump, disks that fill.
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Db } from 'mongodb';
import { listBackups } from '../../shared/catalog/list.ts';
import { pickBackup } from '../../shared/catalog/pick.ts';
import { LockedError } from '../../shared/stores/errors.ts';
import { FolderStore } from '../../shared/stores/folder/index.ts';
import { openStore } from '../../shared/stores/open.ts';
import { systemClock, type Clock } from '../../shared/tools/clock.ts';
import { FolderVault } from '../../shared/vaults/folder/index.ts';
import { SecretRecipient } from '../../shared/vaults/recipients/secret.ts';
import { startAzurite } from '../backends/azurite.ts';
import { SeededRandom } from '../dataset/seeded-random.ts';
import { folderSite } from './kill-site.ts';
import { KillWorld, startDatabase } from './kill-world.ts';
import type { Part, Trial } from './part.ts';
import { folderWorld, backUp, COMPONENT, PREFIX, prove, timestamp, type World } from './small-backup.ts';

export const shrunk: Part = {
  name: 'shrunk',
  what: 'an empty database, one that lost 90 % of its documents, a collection that vanished',
  async run(trial) {
    const database = await startDatabase();
    try {
      await shrink(trial, new KillWorld('backup', await folderSite(trial.folder).ground(1), database, 1), database.client.db('chat'));
    } finally {
      await database.stop();
    }
  },
};

async function shrink(trial: Trial, world: KillWorld, chat: Db): Promise<void> {
  const store = world.ground.home;
  const first = await world.step('backup', -5);
  trial.holds(`the first backup is ${first.outcome}: ${first.said}`, first.outcome === 'succeeded');
  const doubtful = async (label: string, doubt: RegExp, daysAhead: number): Promise<void> => {
    const { outcome, warnings } = await world.step('backup', daysAhead);
    const said = warnings.join(' ');
    trial.holds(`${label}: ${outcome}: ${said}`, outcome === 'partial' && doubt.test(said), 'detected');
    const listed = await listBackups(store, 'prod', { component: 'mongodb' });
    const last = listed.map(({ state }) => state).pop() ?? 'nothing';
    trial.holds(`${label}: listed as ${last}`, last === 'suspect', 'detected');
    // A restore does not take it by itself, and not the older one in silence either.
    await trial.refused(`${label}: a restore`, { kinds: ['refused'] }, () => pickBackup({ store, prefix: 'prod', component: 'mongodb' }));
  };
  await chat.collection('messages').deleteMany({ _id: { $gte: 30 } as never });
  await doubtful('shrunk by 90 %', /a loss of 90 %/, 0);
  await chat.collection('rooms').insertMany(Array.from({ length: 200 }, (_, index) => ({ _id: index as never })));
  await chat.collection('messages').drop();
  await doubtful('a collection vanished', /Gone since the last verified backup: chat\.messages/, 1);
  await chat.collection('rooms').deleteMany({});
  await doubtful('empty', /no documents at all/, 2);
  await chat.dropDatabase();
  const gone = await world.step('backup', 3);
  const why = gone.error?.message ?? gone.warnings.join(' ');
  trial.holds(`no database: ${gone.outcome}: ${why}`, gone.outcome !== 'succeeded' && /chat|no documents/.test(why), 'detected');
}

export const expiredToken: Part = {
  name: 'expired-token',
  what: 'a bearer token and a SAS that expire in the middle of an upload',
  async run(trial) {
    const azurite = await startAzurite();
    try {
      const address = await azurite.createContainer('tokens');
      const recipients = folderWorld(join(trial.folder, 'keys')).recipients;
      const seconds = 3;
      let asked = 0;
      const credential = {
        // Entra, too, takes a token for some time after the end that it tells.
        getToken: async () => {
          asked += 1;
          return { token: azurite.token({ expiresInSeconds: 2 * seconds }), expiresOnTimestamp: Date.now() + seconds * 1000 };
        },
      };
      const archive = await largeArchive();
      const slow = (): AsyncIterable<Uint8Array> => slowly(archive, 3 * seconds * 1000);
      const world = { store: await openStore(address, { credential: () => credential }), recipients };
      await trial.survives('a token that is renewed', async () => {
        await backUp(world, { source: slow(), compression: { algorithm: 'none' } });
        await prove(world);
      });
      trial.holds(`the token was asked for ${asked} times`, asked > 1);
      const later = timestamp('20241202_120000');
      const sas = { store: await openStore(azurite.sasUrl('tokens', 'racwdl', seconds)), recipients };
      await trial.refused(
        'a SAS that cannot be renewed',
        { kinds: ['failed'], names: /SAS|signature|sign|denied|403|permit|expired/i },
        () => backUp(sas, { timestamp: later, source: slow(), compression: { algorithm: 'none' } }),
      );
      const listed = await listBackups(world.store, PREFIX);
      trial.holds(
        'the backup that was cut off is listed',
        !listed.some((backup) => backup.timestamp === later && backup.state !== 'leftover'),
      );
      await trial.survives('the backup before it', () => prove(world));
    } finally {
      await azurite.stop();
    }
  },
};

export const twoRuns: Part = {
  name: 'two-runs',
  what: 'several runs at once on one component, in a folder and in Azure Blob',
  async run(trial) {
    const azurite = await startAzurite();
    try {
      const address = await azurite.createContainer('two');
      const folder = folderWorld(join(trial.folder, 'two'));
      const blob = { ...folder, store: await openStore(address, { credential: () => azurite.credential }) };
      const times = trial.places(trial.full ? 10 : 2, 2);
      for (const world of [folder, blob]) for (const round of times) await race(trial, world, round);
    } finally {
      await azurite.stop();
    }
  },
};

/** Four runs start together, two of them with one timestamp: those that end well are whole, the others were refused and harmed nobody. */
async function race(trial: Trial, world: World, round: number): Promise<void> {
  const label = `${world.store.kind}, round ${round}`;
  const stamps = [0, 1, 2, 2].map((second) => timestamp(`20250101_00${String(round).padStart(2, '0')}0${second}`));
  const results = await Promise.allSettled(stamps.map(async (stamp) => backUp(world, { timestamp: stamp })));
  let won = 0;
  for (const [index, result] of results.entries()) {
    if (result.status === 'rejected') {
      const reason: unknown = result.reason;
      trial.holds(
        `${label}: run ${index} failed: ${String(reason)}`,
        reason instanceof LockedError || /already/.test(String(reason)),
        'detected',
      );
      continue;
    }
    won += 1;
    await trial.survives(`${label}: run ${index}`, () => prove(world, stamps[index]));
  }
  trial.holds(`${label}: nobody won`, won > 0);
  const listed = await listBackups(world.store, PREFIX);
  const ours = listed.filter((backup) => stamps.includes(backup.timestamp));
  trial.holds(`${label}: ${ours.length} are listed, ${won} won`, ours.length === won && ours.every(({ state }) => state === 'verified'));
}

export const clocks: Part = {
  name: 'clocks',
  what: 'a clock set back, set forward, and jumping during a run, in a folder and in Azure Blob',
  async run(trial) {
    const folder = folderWorld(join(trial.folder, 'clocks'));
    await wrongClocks(trial, folder);
    const azurite = await startAzurite();
    try {
      const address = await azurite.createContainer('clocks');
      await wrongClocks(trial, { ...folder, store: await openStore(address, { credential: () => azurite.credential }) });
    } finally {
      await azurite.stop();
    }
  },
};

async function wrongClocks(trial: Trial, world: World): Promise<void> {
  const year = 365 * 24 * 3600 * 1000;
  const jumps: [string, () => number][] = [
    ['set back a year', () => -year],
    ['set forward a year', () => year],
    ['jumping by years at each look', () => (trial.random.chance(0.5) ? 2 * year : -2 * year)],
    ['set back a second at each look', () => (back -= 1000)],
  ];
  // From an hour ago, so that no second is met twice: a timestamp that is taken is refused, rightly.
  let back = -3_600_000;
  await backUp(world, { timestamp: undefined });
  for (const [jump, offset] of jumps) {
    const label = `${world.store.kind}: ${jump}`;
    const clock: Clock = { ...systemClock, now: () => new Date(Date.now() + offset()) };
    const notices: string[] = [];
    await trial.survives(label, async () => {
      const written = await backUp(world, { timestamp: undefined, clock, onNotice: (notice) => void notices.push(notice) });
      if (written.manifest.durationMs > 60_000 || written.phases.some(({ seconds }) => seconds < 0))
        throw new Error('a duration went with the wall clock');
      await prove(world, written.timestamp);
    });
    if (jump === 'set back a year')
      trial.holds(`${label}: nobody is told that a clock is wrong`, notices.join().includes('clock is wrong'), 'detected');
  }
  // A wrong clock never makes a run take others' data for old: all backups are still there.
  const listed = await listBackups(world.store, PREFIX);
  trial.holds(`${listed.length} of 5 backups are left`, listed.length === 5 && listed.every(({ state }) => state === 'verified'));
  for (const { timestamp: when } of listed) await trial.survives(`${world.store.kind}: ${when} after all`, () => prove(world, when));
}

export const fullDisk: Part = {
  name: 'full-disk',
  what: 'a disk that is full while data, manifest or key are written',
  async run(trial) {
    const disk = join(trial.folder, 'disk');
    mkdirSync(disk);
    const kib = 3072;
    if (spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${kib}k`, 'tmpfs', disk]).status !== 0) {
      trial.skip('mounting a small tmpfs needs root');
      return;
    }
    const unmount = (): void => {
      spawnSync('umount', ['-l', disk]);
    };
    // A second Ctrl-C ends the campaign at once.
    process.once('exit', unmount);
    try {
      const world: World = {
        store: new FolderStore(join(disk, 'store')),
        recipients: [new SecretRecipient(new FolderVault(join(disk, 'vault')))],
      };
      await backUp(world);
      const random = new SeededRandom('full disk');
      const filler = new FolderStore(join(disk, 'filler'));
      const large = await largeArchive(4 * 1024 * 1024);
      const later = timestamp('20241202_120000');
      await fills(trial, world, 'data larger than the disk', async () =>
        backUp(world, { plain: large, timestamp: later, compression: { algorithm: 'none' } }),
      );
      // Less and less is free, down to nothing: the disk fills at the key, at the data, at its metadata, at the manifest.
      for (let step = 0; step < (trial.full ? 30 : 8); step += 1) {
        await fillUp(filler, disk, 4096 * (trial.full ? step : 2 * step), random);
        await fills(trial, world, `about ${step} pages free`, async () => backUp(world, { timestamp: later }));
        for await (const { name } of filler.list('')) await filler.delete(name);
        for await (const { name } of world.store.list(`${PREFIX}/${COMPONENT}/${later}/`)) await world.store.delete(name);
        await world.store.sweep('', new Date(Date.now() + 1000));
      }
      await trial.survives('with room again', async () => {
        await backUp(world, { timestamp: later });
        await prove(world, later);
      });
    } finally {
      unmount();
      process.off('exit', unmount);
    }
  },
};

/** Either it fits and is whole, or it is refused, named, and not listed; the backup from before is whole in any case. */
async function fills(
  trial: Trial,
  world: World,
  label: string,
  work: () => Promise<{ timestamp: ReturnType<typeof timestamp> }>,
): Promise<void> {
  try {
    const { timestamp: when } = await work();
    await prove(world, when);
    trial.survive();
  } catch (thrown) {
    trial.judge(label, { kinds: ['failed'], names: /space|ENOSPC|full/i }, thrown);
    const listed = (await listBackups(world.store, PREFIX)).filter(({ state }) => state !== 'leftover');
    trial.holds(`${label}: ${listed.length} are listed`, listed.length === 1);
  }
  await trial.survives(`${label}: the backup from before`, () => prove(world));
}

/** Fills the disk but for so many bytes. */
async function fillUp(filler: FolderStore, disk: string, leave: number, random: SeededRandom): Promise<void> {
  const { statfs } = await import('node:fs/promises');
  for (let round = 0; round < 5; round += 1) {
    const { bavail, bsize } = await statfs(disk);
    const size = bavail * bsize - leave - 16_384;
    if (size <= 0) break;
    await filler.write(`filler/${round}`, random.bytes(size)).catch(() => undefined);
  }
  for (let round = 0; round < 8; round += 1) {
    const { bavail, bsize } = await statfs(disk);
    if (bavail * bsize <= leave) return;
    const done = await filler.write(`small/${round}`, random.bytes(Math.min(4096, bavail * bsize - leave))).catch(() => undefined);
    if (!done) return;
  }
}

/** An archive that does not fit into one block of a blob. */
async function largeArchive(bytes = 10 * 1024 * 1024): Promise<Buffer> {
  const { datasetArchive } = await import('../dataset/dataset-archive.ts');
  return Buffer.concat([...datasetArchive({ size: bytes })]);
}

async function* slowly(bytes: Buffer, milliseconds: number): AsyncGenerator<Buffer> {
  const pieces = 20;
  const length = Math.ceil(bytes.length / pieces);
  for (let at = 0; at < bytes.length; at += length) {
    await delay(milliseconds / pieces);
    yield bytes.subarray(at, at + length);
  }
}
