// Access tiers on Azurite, and through a proxy that tells what Azure tells while a blob is brought back.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openStore } from '../../shared/stores/open.ts';
import type { Store } from '../../shared/stores/store.ts';
import { bringBack } from '../../shared/runs/bring-back.ts';
import type { Clock } from '../../shared/tools/clock.ts';
import { startAzurite, type Azurite } from '../backends/azurite.ts';
import { startFaultProxy, type FaultProxy } from '../backends/fault-proxy.ts';

let azurite: Azurite;
let proxy: FaultProxy;
const storeAt = (tier: string): Promise<Store> =>
  openStore(
    `${azurite.sasUrl('tiers', 'racwdl').replace(new URL(azurite.accountUrl).origin, proxy.origin)}${tier === '' ? '' : `&tier=${tier}`}`,
  );
const never = new AbortController().signal;

beforeAll(async () => {
  azurite = await startAzurite();
  proxy = await startFaultProxy({ target: new URL(azurite.accountUrl).origin, certificate: azurite.certificate });
  await azurite.createContainer('tiers');
});
afterAll(async () => {
  await proxy.stop();
  await azurite.stop();
});

async function listed(store: Store, name: string) {
  for await (const info of store.list(name)) return info.tier;
  return undefined;
}

test.each(['cool', 'cold', 'archive'])('data goes to the %s tier when it is told to, and listing and lookup say so', async (tier) => {
  const store = await storeAt(tier);
  expect(store.location).not.toContain('tier=');
  await store.write(`to-${tier}`, Buffer.from('data'), { metadata: { kept: 'yes' } });
  expect(await listed(store, `to-${tier}`)).toMatchObject({ name: 'hot', inferred: true });
  await store.tiering?.settle(`to-${tier}`);
  const expected = {
    name: tier,
    inferred: false,
    since: expect.any(Date) as unknown,
    ...(tier === 'archive' ? { offline: 'archived' } : {}),
  };
  expect(await listed(store, `to-${tier}`)).toEqual(expected);
  expect(await store.stat(`to-${tier}`)).toMatchObject({ tier: expected, metadata: { kept: 'yes' } });
});

test('moving what retention has just removed is nothing', async () => {
  await expect((await storeAt('cool')).tiering?.settle('gone')).resolves.toBeUndefined();
});

test('a tier that there is not is a mistake of the address', async () => {
  await expect(storeAt('freezing')).rejects.toThrow('has the tier "freezing", which there is not');
});

describe('an archived object', () => {
  const request = (store: Store, name: string) => {
    const waits: number[] = [];
    let now = 0;
    const clock: Clock = {
      now: () => new Date(now),
      monotonic: () => now,
      sleep: async (ms) => {
        waits.push(ms);
        now += ms;
      },
    };
    return { waits, store, name, label: 'mongodb 1', waitMs: 0, spell: (input: string) => `--${input}`, clock, signal: never };
  };
  const archived = async (name: string): Promise<Store> => {
    const store = await storeAt('archive');
    await store.write(name, Buffer.from('data'));
    await store.tiering?.settle(name);
    return store;
  };

  test('cannot be read, which the error says with the command that brings it back', async () => {
    const store = await archived('unread');
    await expect(store.read('unread')).rejects.toMatchObject({
      message: expect.stringMatching(/the blob is in the archive tier, which cannot be read directly/) as unknown,
      fix: expect.stringMatching(/az storage blob set-tier .*--rehydrate-priority/) as unknown,
    });
  });

  test('is refused while nobody has asked for it', async () => {
    const store = await archived('refused');
    await expect(bringBack({ ...request(store, 'refused'), priority: undefined })).rejects.toMatchObject({
      kind: 'refused',
      message: expect.stringMatching(
        /^mongodb 1 lies in the archive tier of .*; it can be read up to 15 hours after it is asked for\.$/,
      ) as unknown,
    });
    expect((await store.stat('refused'))?.tier?.offline).toBe('archived');
  });

  test('is asked for and readable', async () => {
    const store = await archived('back');
    expect(await bringBack({ ...request(store, 'back'), priority: 'standard' })).toBe(true);
    expect(await store.stat('back')).toMatchObject({ tier: { name: 'hot', inferred: false } });
  });

  test('is asked for, and the run ends while it is on its way', async () => {
    const store = await archived('asked');
    // Azure tells for hours that it is under way.
    proxy.faults.add({ operation: 'properties', times: 2, effect: { kind: 'rehydrating' } });
    await expect(bringBack({ ...request(store, 'asked'), priority: 'high' })).rejects.toMatchObject({
      kind: 'refused',
      message: expect.stringMatching(/is being brought back .*: under an hour, as a rule\./) as unknown,
    });
    expect(Buffer.from((await store.read('asked')) ?? []).toString()).toBe('data');
  });

  test('is waited for as long as one likes', async () => {
    const store = await archived('waited');
    await store.tiering?.rehydrate('waited', 'standard');
    const wait = { ...request(store, 'waited'), priority: 'standard' as const, waitMs: 3_600_000 };
    proxy.faults.add({ operation: 'properties', times: 4, effect: { kind: 'rehydrating' } });
    expect(await bringBack(wait)).toBe(true);
    expect(wait.waits).toEqual([60_000, 60_000, 60_000]);
    expect(await bringBack(wait)).toBe(false);
  });

  test('has left nobody waiting for ever', async () => {
    const store = await archived('late');
    proxy.faults.add({ operation: 'properties', times: 100, effect: { kind: 'rehydrating' } });
    const wait = { ...request(store, 'late'), priority: 'standard' as const, waitMs: 150_000 };
    await expect(bringBack(wait)).rejects.toThrow(/is being brought back/);
    expect(wait.waits).toEqual([60_000, 60_000, 30_000]);
    proxy.faults.clear();
  });
});
