// A backup that is being read stays: retention and readers see each other's marks, whoever came second.
import { expect, test } from '@jest/globals';
import { holdsOn } from '../../shared/catalog/hold.ts';
import { markInUse, type Use } from '../../shared/catalog/in-use.ts';
import { pruneBackup } from '../../shared/catalog/prune.ts';
import { StoreError } from '../../shared/stores/errors.ts';
import { noise, timestamp, world, type World } from '../backup/support.ts';
import { failNth } from '../support/memory-store.ts';

const FIRST = timestamp('20241201_120000');
const use: Use = { component: 'mongodb', timestamp: FIRST, what: 'restored', by: { id: 'run 1' } };

async function worldWithOne(): Promise<World> {
  const made = world();
  await made.write(noise(1000), { timestamp: FIRST });
  return made;
}

function prune({ store, vault }: World) {
  const request = { component: 'mongodb', others: [], othersKnown: true, recipients: [vault], by: { id: 'run 2' }, now: new Date() };
  return pruneBackup({ ...request, place: { store, prefix: 'prod' } }, FIRST);
}

test('retention leaves a backup alone that is in use since the plan was made, and takes it afterwards', async () => {
  const made = await worldWithOne();
  const release = await markInUse({ store: made.store, prefix: 'prod' }, use);
  expect(await prune(made)).toEqual({ timestamp: FIRST, result: 'stays', keysForgotten: 0, notice: 'held: being restored' });
  expect([...made.store.objects.keys()].filter((name) => name.startsWith('prod/mongodb'))).toEqual([made.data, made.manifest]);
  await release();
  expect(await holdsOn(made.store, 'prod', use)).toEqual([]);
  expect((await prune(made)).result).toBe('removed');
});

test('a backup that retention has begun to remove is not read', async () => {
  const made = await worldWithOne();
  await made.store.write(`prod/mongodb/${FIRST}/prune.json`, Buffer.from('{}'));
  await expect(markInUse({ store: made.store, prefix: 'prod' }, use)).rejects.toThrow(/is being removed by retention/);
  expect(await holdsOn(made.store, 'prod', use)).toEqual([]);
  // What a killed run left beside a whole backup keeps nobody from it.
  made.store.age(`prod/mongodb/${FIRST}/prune.json`, new Date(Date.now() - 3_600_000));
  await markInUse({ store: made.store, prefix: 'prod' }, use);
});

test('the mark of a run that was killed ends within the hour', async () => {
  const made = await worldWithOne();
  await markInUse({ store: made.store, prefix: 'prod' }, use);
  const [hold] = await holdsOn(made.store, 'prod', use);
  expect(hold?.until?.getTime()).toBeLessThanOrEqual(Date.now() + 3_600_000);
  expect(hold?.until?.getTime()).toBeGreaterThan(Date.now() + 3_500_000);
});

test('a store that may only be read is read without a mark', async () => {
  const made = await worldWithOne();
  made.store.faults.before = failNth('write', 0, new StoreError('not permitted'));
  const told: string[] = [];
  const release = await markInUse({ store: made.store, prefix: 'prod' }, { ...use, onUnmarked: ({ message }) => told.push(message) });
  await release();
  expect(told).toEqual(['not permitted']);
});
