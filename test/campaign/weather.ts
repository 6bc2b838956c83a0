// Bad weather between a run and its services: busy, throttled, cut, slow and lost answers of the store and of the vault, once and lasting.
import { join } from 'node:path';
import pLimit from 'p-limit';
import { begunName } from '../../shared/backup/layout.ts';
import { listBackups } from '../../shared/catalog/list.ts';
import { FolderStore } from '../../shared/stores/folder/index.ts';
import { openStore } from '../../shared/stores/open.ts';
import { AzureKeyVault } from '../../shared/vaults/azure-key-vault/index.ts';
import { FolderVault } from '../../shared/vaults/folder/index.ts';
import { SecretRecipient } from '../../shared/vaults/recipients/secret.ts';
import { startAzurite } from '../backends/azurite.ts';
import { startFaultProxy, type FaultProxy, type ProxyEffect } from '../backends/fault-proxy.ts';
import { startKeyVault, type KeyVault } from '../backends/key-vault.ts';
import type { Effect } from '../backends/key-vault/faults.ts';
import type { Part, Trial } from './part.ts';
import { backUp, COMPONENT, PREFIX, prove, timestamp, type World } from './small-backup.ts';

/** Every request of a backup and its proof. */
const OPERATIONS = ['upload', 'lease', 'metadata', 'list', 'block', 'commit', 'properties', 'download', 'delete'] as const;
/** What a retry must get over. */
const PASSING: readonly ProxyEffect[] = [
  { kind: 'busy' },
  { kind: 'throttle', retryAfter: 1 },
  { kind: 'cut' },
  { kind: 'cutRequest' },
  { kind: 'cutAnswer' },
  { kind: 'answerLost' },
  { kind: 'delay', ms: 300 },
];
/** shared/stores/azure/retry.ts: a request is sent at most so often, in one round. */
const MOST_ATTEMPTS = 6;
/** Longer than the client waits for a small request (30 s). */
const TOO_LATE_MS = 33_000;
/** Longer than the lock of a backup is good for (60 s). */
const OUTAGE_MS = 70_000;
/** Cases wait most of their time: so many wait at once. */
const AT_ONCE = 8;

/** One case's way to the store: a proxy, a container and a lock of its own. */
interface StoreWeather {
  trial: Trial;
  proxy: FaultProxy;
  /** Through the proxy. */
  world: World;
  /** Past it. */
  clear: World;
  notices: string[];
}

/** Runs a case in a weather of its own. */
type InWeather = (work: (weather: StoreWeather) => Promise<void>, patience?: number) => Promise<void>;

export const weatherStore: Part = {
  name: 'weather-store',
  what: 'busy, throttled, cut, slow, lost and late answers of Azure Blob for each request of a backup, once, lasting, and a service gone for a while',
  async run(trial) {
    const azurite = await startAzurite();
    const recipients = [new SecretRecipient(new FolderVault(join(trial.folder, 'vault')))];
    let containers = 0;
    const limit = pLimit(AT_ONCE);
    const inWeather: InWeather = (work, patience = 0) =>
      limit(async () => {
        const proxy = await startFaultProxy({ target: new URL(azurite.accountUrl).origin, certificate: azurite.certificate });
        try {
          const address = await azurite.createContainer(`weather-${(containers += 1)}`);
          const notices: string[] = [];
          const open = async (url: string): Promise<World> => ({
            store: await openStore(url, {
              credential: () => azurite.credential,
              patience,
              notice: (message) => notices.push(message),
            }),
            recipients,
          });
          const through = address.replace(new URL(address).origin, proxy.origin);
          await work({ trial, proxy, world: await open(through), clear: await open(address), notices });
        } finally {
          await proxy.stop();
        }
      });
    try {
      await Promise.all([
        ...(trial.full ? [...tooLate(inWeather), outage(inWeather)] : []),
        ...lasting(trial, inWeather),
        ...passing(trial, inWeather),
      ]);
    } finally {
      await azurite.stop();
    }
  },
};

/** Moments a second apart, one per backup. */
let moment = Date.UTC(2025, 0, 1);
function nextTimestamp(): ReturnType<typeof timestamp> {
  moment += 1000;
  return timestamp(new Date(moment).toISOString().replaceAll('-', '').replace('T', '_').replaceAll(':', '').slice(0, 15));
}

function passing(trial: Trial, inWeather: InWeather): Promise<void>[] {
  const all = OPERATIONS.flatMap((operation) => PASSING.map((effect) => ({ operation, effect })));
  return trial.places(all.length, 5).map((index) => {
    const { operation, effect } = all[index] as (typeof all)[number];
    const times = 1 + trial.random.below(2);
    return inWeather(async (weather) => {
      weather.proxy.faults.add({ operation, times, effect });
      await survivesWhole(weather, `${effect.kind} at ${operation}`);
    });
  });
}

/** A backup goes well, is there once and whole, and leaves no lock. */
async function survivesWhole({ trial, proxy, world, clear }: StoreWeather, label: string): Promise<void> {
  const when = nextTimestamp();
  const done = await trial.survives(label, async () => {
    await backUp(world, { timestamp: when });
    return prove(world, when);
  });
  proxy.faults.clear();
  if (!done) return;
  trial.holds(
    `${label}: no request was hit`,
    proxy.seen.some(({ effect }) => effect !== undefined),
  );
  const names: string[] = [];
  for await (const { name } of clear.store.list(`${PREFIX}/`)) names.push(name);
  trial.holds(
    `${label}: there is ${names.join(', ')}`,
    names.join() ===
      [`${PREFIX}/${COMPONENT}/${when}/data`, `${PREFIX}/${COMPONENT}/${when}/manifest.json`, begunName(PREFIX, COMPONENT)].join(),
  );
  await trial.survives(`${label}, read without the proxy`, () => prove(clear, when));
}

/** Weather that lasts: a clear failure after a bounded number of attempts, nothing listed, and the next run is as if nothing had been. */
function lasting(trial: Trial, inWeather: InWeather): Promise<void>[] {
  const all = (['block', 'commit', 'list', 'lease'] as const).flatMap((operation) =>
    ([{ kind: 'busy' }, { kind: 'cut' }, { kind: 'throttle', retryAfter: 600 }] as const).map((effect) => ({ operation, effect })),
  );
  // Giving up at once takes no time; the others are tried for ten seconds each.
  const chosen = trial.full ? all : all.filter(({ effect }) => effect.kind === 'throttle').slice(0, 1);
  return chosen.map(({ operation, effect }) =>
    inWeather(async ({ proxy, world, clear }) => {
      const label = `lasting ${effect.kind} at ${operation}`;
      const when = nextTimestamp();
      proxy.faults.add({ operation, times: Infinity, effect });
      await trial.refused(label, { kinds: ['failed'], names: /127\.0\.0\.1/ }, () => backUp(world, { timestamp: when }));
      proxy.faults.clear();
      const attempts = proxy.seen.filter((one) => one.operation === operation && one.effect === effect.kind).length;
      // The lease is also given back, or the uncommitted blocks are dropped: a second bounded series.
      trial.holds(`${label}: ${attempts} attempts`, attempts <= 2 * MOST_ATTEMPTS);
      const listed = await listBackups(clear.store, PREFIX);
      trial.holds(`${label}: ${when} is listed`, !listed.some((backup) => backup.timestamp === when && backup.state !== 'leftover'));
      await trial.survives(`the run after ${label}`, async () => {
        const next = nextTimestamp();
        await backUp(world, { timestamp: next });
        await prove(clear, next);
      });
    }),
  );
}

/** The write happens, the answer comes after the client's own time-out: it asks again and must find its own work. */
function tooLate(inWeather: InWeather): Promise<void>[] {
  return (['block', 'commit', 'lease'] as const).map((operation) =>
    inWeather(async (weather) => {
      weather.proxy.faults.add({ operation, effect: { kind: 'lateAnswer', ms: TOO_LATE_MS } });
      await survivesWhole(weather, `late answer at ${operation}`);
    }),
  );
}

/** Every request fails for longer than the lock is good for, from the middle of the upload on: the run waits, and its lock is still its own. */
async function outage(inWeather: InWeather): Promise<void> {
  await inWeather(async (weather) => {
    const { trial, proxy, notices } = weather;
    const watch = setInterval(() => {
      if (!proxy.seen.some(({ operation }) => operation === 'block')) return;
      clearInterval(watch);
      proxy.faults.add({ times: Infinity, effect: { kind: 'cut' } });
      setTimeout(() => {
        proxy.faults.clear();
      }, OUTAGE_MS);
    }, 1);
    try {
      await survivesWhole(weather, 'an outage longer than the lock');
    } finally {
      clearInterval(watch);
    }
    trial.holds(`an outage longer than the lock: the log says ${notices.join(' ')}`, notices.length >= 2);
  }, 2 * OUTAGE_MS);
}

const VAULT_PASSING: readonly Effect[] = [
  { kind: 'throttle', retryAfter: 1 },
  { kind: 'unavailable', status: 503 },
  { kind: 'unavailable', status: 500 },
  { kind: 'cut' },
  { kind: 'answerLost' },
  { kind: 'cutAnswer' },
  { kind: 'delay', ms: 300 },
  { kind: 'revoked' },
];

export const weatherVault: Part = {
  name: 'weather-vault',
  what: 'busy, throttled, cut, slow and lost answers of the Key Vault while a key is stored and read back, once and lasting',
  async run(trial) {
    const server = await startKeyVault();
    try {
      const all = ['secrets/set', 'secrets/get'].flatMap((operation) => VAULT_PASSING.map((effect) => ({ operation, effect })));
      for (const index of trial.places(all.length, 5)) {
        const { operation, effect } = all[index] as (typeof all)[number];
        const { world, vault } = await vaultWorld(trial, server);
        const when = nextTimestamp();
        server.faults.add({ operation, effect });
        await trial.survives(`${effect.kind} at ${operation}`, async () => {
          await backUp(world, { timestamp: when });
          await prove(world, when);
        });
        server.faults.clear();
        const names: string[] = [];
        for await (const { name } of vault.list()) if (name.includes(when.replace('_', '-'))) names.push(name);
        trial.holds(`${effect.kind} at ${operation}: the keys are ${names.join(', ')}`, names.length === 1);
      }
      await vaultGone(trial, server);
    } finally {
      await server.stop();
    }
  },
};

async function vaultWorld(trial: Trial, server: KeyVault, patience = 20_000): Promise<{ world: World; vault: AzureKeyVault }> {
  const vault = new AzureKeyVault(server.url, {
    credential: await server.issuer.credential(),
    tlsOptions: { ca: server.ca },
    patience,
  });
  return { vault, world: { store: new FolderStore(join(trial.folder, 'store')), recipients: [new SecretRecipient(vault)] } };
}

async function vaultGone(trial: Trial, server: KeyVault): Promise<void> {
  const effects: Effect[] = [
    { kind: 'unavailable', status: 503 },
    { kind: 'cut' },
    { kind: 'firewall' },
    { kind: 'throttle', retryAfter: 3600 },
  ];
  for (const effect of effects.slice(trial.full ? 0 : 2)) {
    const { world } = await vaultWorld(trial, server, 3000);
    const when = nextTimestamp();
    server.faults.add({ times: Infinity, effect });
    const expected = { kinds: ['failed'] as const, names: /localhost/ };
    await trial.refused(`the vault answers ${effect.kind} for ever`, expected, () => backUp(world, { timestamp: when }));
    server.faults.clear();
    const listed = await listBackups(world.store, PREFIX);
    trial.holds(`the vault answers ${effect.kind} for ever: something is left`, !listed.some((backup) => backup.timestamp === when));
  }
}
