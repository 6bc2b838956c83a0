// Locks and their holders: killed, put to sleep, and met by somebody whose clock is wrong; on the file system and as leases of Azure Blob.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ContainerClient } from '@azure/storage-blob';
import { LockedError } from '../../shared/stores/errors.ts';
import { FolderStore } from '../../shared/stores/folder/index.ts';
import { openStore } from '../../shared/stores/open.ts';
import type { Lock, Store } from '../../shared/stores/store.ts';
import { startAzurite } from '../backends/azurite.ts';
import type { Part, Trial } from './part.ts';
import { withWrongClock } from './wrong-clock.ts';

const HOLDER = fileURLToPath(new URL('lock-holder.ts', import.meta.url));
const YEAR = 365 * 24 * 3600 * 1000;
const OFFSETS: readonly [string, number][] = [
  ['set back a year', -YEAR],
  ['set forward a year', YEAR],
  ['set forward two minutes', 120_000],
];

interface Place {
  store: Store;
  /** What another process opens it with. */
  address: string;
  env: Record<string, string>;
  /** The shortest expiry that this kind of lock has, milliseconds. */
  expiresAfter: number;
  /** Ends all expiries now, where waiting for them takes too long for the bounded form. */
  expire?: () => Promise<void>;
  /** Every holder that was started: one that sleeps would never end by itself. */
  holders: ChildProcess[];
}

export const locks: Part = {
  name: 'locks',
  what: 'a lock whose holder was killed or put to sleep, and wrong clocks around it, in a folder and in Azure Blob',
  async run(trial) {
    const folder = join(trial.folder, 'store');
    await holders(trial, { store: new FolderStore(folder), address: folder, env: {}, expiresAfter: 3000, holders: [] });
    const azurite = await startAzurite();
    try {
      const address = await azurite.createContainer('locks');
      const container = new ContainerClient(address, azurite.credential);
      const expire = async (): Promise<void> => {
        for await (const { name } of container.listBlobsFlat()) await container.getBlobClient(name).getBlobLeaseClient().breakLease(0);
      };
      // A SAS says its own times: the tokens of this process would be as wrong as its clock.
      const signed = azurite.sasUrl('locks', 'racwdl');
      await holders(trial, {
        store: await openStore(signed),
        address: signed,
        env: { NODE_EXTRA_CA_CERTS: azurite.certificate.certFile },
        expiresAfter: 15_000,
        holders: [],
        ...(trial.full ? {} : { expire }),
      });
    } finally {
      await azurite.stop();
    }
  },
};

async function holders(trial: Trial, place: Place): Promise<void> {
  try {
    await killedHolder(trial, place);
    await sleepingHolder(trial, place);
    await livingHolder(trial, place);
  } finally {
    for (const child of place.holders) child.kill('SIGKILL');
  }
}

/** Nobody gets the lock of a killed process before its expiry, whatever their clock says; then one does, and is told whose it was. */
async function killedHolder(trial: Trial, place: Place): Promise<void> {
  const { child } = await hold(place, 'killed');
  child.kill('SIGKILL');
  await once(child, 'close');
  const killedAt = performance.now();
  for (const [label, offset] of OFFSETS) await refusedWith(trial, place, 'killed', `${label}, the holder was killed`, child, offset);
  await expired(place, killedAt);
  for (const [label, offset] of OFFSETS.slice(0, 1)) {
    await taken(trial, place, 'killed', `${label}, after the expiry`, child, offset);
  }
}

/** A holder that slept beyond its expiry learns that the lock is another's now, and takes nothing back. */
async function sleepingHolder(trial: Trial, place: Place): Promise<void> {
  const { child, said } = await hold(place, 'asleep');
  child.kill('SIGSTOP');
  await expired(place, performance.now());
  const lock = await taken(trial, place, 'asleep', 'the holder sleeps', child, 0, false);
  child.kill('SIGCONT');
  const deadline = performance.now() + 10 * place.expiresAfter;
  while (!said().includes('lost') && performance.now() < deadline) await delay(50);
  trial.holds(`${place.store.kind}: a holder that woke up was not told that it lost its lock`, said().includes('lost'), 'detected');
  trial.holds(`${place.store.kind}: who took the lock of a sleeping holder lost it when that one woke up`, lock?.lost.aborted === false);
  child.kill('SIGKILL');
  await once(child, 'close');
  await lock?.release();
}

/** A lock that is renewed stays its holder's for longer than its expiry, also when the holder's own clock jumps. */
async function livingHolder(trial: Trial, place: Place): Promise<void> {
  if (place.expire) return;
  const { child, said } = await hold(place, 'alive');
  await delay(1.5 * place.expiresAfter);
  for (const [label, offset] of OFFSETS) await refusedWith(trial, place, 'alive', `${label}, the holder lives`, child, offset);
  trial.holds(`${place.store.kind}: a living holder lost its lock`, !said().includes('lost'));
  child.kill('SIGKILL');
  await once(child, 'close');
  const mine = await place.store.lock('mine', { owner: 'us', expiresAfter: place.expiresAfter });
  await withWrongClock(YEAR, () => delay(1.2 * place.expiresAfter));
  trial.holds(`${place.store.kind}: a lock was lost because its holder's clock was set forward`, !mine.lost.aborted);
  await mine.release();
}

async function hold({ address, env, expiresAfter, holders }: Place, name: string): Promise<{ child: ChildProcess; said: () => string }> {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', HOLDER, address, name, String(expiresAfter)], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  holders.push(child);
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
  while (!text.includes('held')) {
    if (child.exitCode !== null) throw new Error(`the holder of ${name} ended: ${text}`);
    await delay(20);
  }
  return { child, said: () => text };
}

async function expired({ expiresAfter, expire }: Place, since: number): Promise<void> {
  if (expire) await expire();
  else await delay(Math.max(0, since + expiresAfter + 500 - performance.now()));
}

async function refusedWith(trial: Trial, place: Place, name: string, label: string, holder: ChildProcess, offset: number): Promise<void> {
  const { store, expiresAfter } = place;
  const what = `${store.kind}: ${label}`;
  const thrown = await trial.refused(what, { kinds: ['refused'], names: new RegExp(`locked by process ${holder.pid}\\b`) }, () =>
    withWrongClock(offset, async () => {
      const lock = await store.lock(name, { owner: 'a thief', expiresAfter });
      await lock.release();
    }),
  );
  const seconds = Number(/free (?:with)?in (\d+) seconds/.exec(thrown instanceof LockedError ? (thrown.fix ?? '') : '')?.[1] ?? NaN);
  trial.holds(`${what}: it is told to wait ${seconds} seconds`, seconds >= 0 && seconds <= Math.max(15, expiresAfter / 1000), 'detected');
}

async function taken(
  trial: Trial,
  { store, expiresAfter }: Place,
  name: string,
  label: string,
  holder: ChildProcess,
  offset: number,
  release = true,
): Promise<Lock | undefined> {
  const previous: string[] = [];
  const lock = await trial.survives(`${store.kind}: ${label}`, () =>
    withWrongClock(offset, () => store.lock(name, { owner: 'the next', expiresAfter, onTakeover: (owner) => void previous.push(owner) })),
  );
  trial.holds(`${store.kind}: ${label}: taken over from ${previous.join()}`, previous.join() === `process ${holder.pid ?? 0}`, 'detected');
  if (release) await lock?.release();
  return lock;
}
