// A key outlives every copy of its data, whoever prunes where and whatever it was told: copies are known from the records beside the backups.
import { beforeEach, describe, expect, test } from '@jest/globals';
import { backupNames, copyRecordsFolder } from '../../shared/backup/layout.ts';
import type { Place } from '../../shared/backup/place.ts';
import { verifyBackup } from '../../shared/backup/read.ts';
import { copyBackups } from '../../shared/catalog/copy.ts';
import { copyRecords } from '../../shared/backup/copy-record.ts';
import type { PlaceOfRecord } from '../../shared/backup/elsewhere.ts';
import { listBackups } from '../../shared/catalog/list.ts';
import { pruneBackup, type PruneRequest } from '../../shared/catalog/prune.ts';
import { StoreError } from '../../shared/stores/errors.ts';
import { countingInspector, TIME, world, type World } from '../backup/support.ts';
import { MemoryStore } from '../support/memory-store.ts';

const COMPONENT = 'mongodb';
let made: World;
let stores: Record<'home' | 'offsite' | 'third', MemoryStore>;

const named = (name: string): MemoryStore => Object.assign(new MemoryStore(), { location: `memory:${name}` });
const at = (store: MemoryStore): Place => ({ store, prefix: 'prod' });
/** Opens what a record names. */
const open: PlaceOfRecord = async (address, prefix) => {
  const store = Object.values(stores).find(({ location }) => location === address);
  if (!store) throw new StoreError(`There is nothing at ${address}.`);
  return { store, prefix };
};

beforeEach(async () => {
  made = world();
  stores = { home: Object.assign(made.store, { location: 'memory:home' }), offsite: named('offsite'), third: named('third') };
  await made.write(Buffer.from('content'), { timestamp: TIME });
});

const copy = async (from: MemoryStore, to: MemoryStore) => {
  const request = { from: at(from), to: at(to), component: COMPONENT, recipients: [], owner: 'test', now: new Date() };
  return copyBackups({ ...request, signal: new AbortController().signal });
};
/** Prunes as a call from inputs alone does: it names no other store. */
const prune = async (store: MemoryStore, more: Partial<PruneRequest> = {}) =>
  pruneBackup(
    {
      ...{ place: at(store), component: COMPONENT, others: [], othersKnown: false, openRecorded: open },
      ...{ recipients: [made.vault], by: { id: 'run-1' }, now: new Date(), ...more },
    },
    TIME,
  );
const keys = (): number => made.vault.keys.size;

describe('a key', () => {
  test('stays with a copy that nobody named, which opens with it; the last store to lose the data forgets it', async () => {
    await copy(stores.home, stores.offsite);
    await expect(prune(stores.home)).resolves.toMatchObject({ result: 'removed', keysForgotten: 0 });
    const place = { ...at(stores.offsite), component: COMPONENT, timestamp: TIME, recipients: [made.vault] };
    await expect(verifyBackup({ ...place, newInspector: () => countingInspector() })).resolves.toMatchObject({ level: 'full' });
    await expect(prune(stores.offsite)).resolves.toMatchObject({ result: 'removed', keysForgotten: 1 });
    expect(keys()).toBe(0);
  });

  test('stays with a copy of a copy', async () => {
    await copy(stores.home, stores.offsite);
    await copy(stores.offsite, stores.third);
    await expect(prune(stores.offsite)).resolves.toMatchObject({ keysForgotten: 0 });
    await expect(prune(stores.home)).resolves.toMatchObject({ result: 'removed', keysForgotten: 0 });
    await expect(prune(stores.third)).resolves.toMatchObject({ result: 'removed', keysForgotten: 1 });
  });

  test.each<[string, () => Partial<PruneRequest>, string]>([
    [
      'cannot be opened',
      () => ({
        openRecorded: async () => {
          throw new StoreError('The container is gone.');
        },
      }),
      'until memory:offsite can say whether it has a copy: The container is gone.',
    ],
    [
      'cannot be asked by this call',
      () => ({ openRecorded: undefined }),
      'until memory:offsite can say whether it has a copy: it was not named',
    ],
    [
      'is empty, as the folder of a disk that is not mounted',
      () => ({ openRecorded: async (_address, prefix) => ({ store: named('offsite'), prefix }) }),
      'until memory:offsite, which had copies, is there again',
    ],
    [
      'is empty although dr.yml names it',
      () => ({ others: [at(named('offsite'))], othersKnown: true }),
      'until memory:offsite, which had copies, is there again',
    ],
  ])('stays, and the removal is not finished, while the store with the copy %s', async (_what, more, reason) => {
    await copy(stores.home, stores.offsite);
    const outcome = await prune(stores.home, more());
    expect(outcome).toMatchObject({ result: 'unfinished', keysForgotten: 0 });
    expect(outcome.notice).toContain(`its keys stay ${reason}`);
    expect(keys()).toBe(1);
    // It goes on when the store is there again, and has lost the data.
    await expect(prune(stores.home)).resolves.toMatchObject({ result: 'removed', keysForgotten: 0 });
    await expect(prune(stores.offsite)).resolves.toMatchObject({ result: 'removed', keysForgotten: 1 });
  });

  test('stays while a record cannot be read, and goes once a person has removed the record of a store that is gone', async () => {
    await copy(stores.home, stores.offsite);
    const [record] = await copyRecords(at(stores.home), COMPONENT);
    await stores.home.write(record?.name ?? '', Buffer.from('{"formatVersion":1,"store":'));
    const outcome = await prune(stores.home);
    expect(outcome).toMatchObject({
      result: 'unfinished',
      notice: expect.stringContaining(`until ${record?.name ?? ''} in memory:home can be read`),
    });
    await stores.home.delete(record?.name ?? '');
    await expect(prune(stores.home)).resolves.toMatchObject({ result: 'removed', keysForgotten: 1 });
  });

  test('stays wherever a copier is killed: the stores know of each other before the first byte is there', async () => {
    for (let nth = 1; ; nth += 1) {
      made = world();
      stores = { home: Object.assign(made.store, { location: 'memory:home' }), offsite: named('offsite'), third: named('third') };
      await made.write(Buffer.from('content'), { timestamp: TIME });
      let changes = 0;
      const dying = ({ method }: { method: string }): void => {
        if (['put', 'write', 'delete'].includes(method)) changes += 1;
        if (changes >= nth) throw new StoreError('killed');
      };
      stores.home.faults.after = dying;
      stores.offsite.faults.after = dying;
      await copy(stores.home, stores.offsite).catch(() => undefined);
      stores.home.faults = {};
      stores.offsite.faults = {};
      if (changes < nth) break;
      // Whatever marks the killed copier left have ended by then.
      await prune(stores.home, { now: new Date(Date.now() + 86_400_000) });
      const left = await stores.offsite.stat(backupNames('prod', COMPONENT, TIME).data);
      if (left) expect(keys()).toBe(1);
      expect(nth).toBeLessThan(30);
    }
  });
});

describe('records of copies', () => {
  test('are written once in both stores, name no secret, and are not backups', async () => {
    await copy(stores.home, stores.offsite);
    const before = stores.home.calls.length;
    await copy(stores.home, stores.offsite);
    expect(stores.home.calls.slice(before).filter(({ method, name }) => method === 'write' && name.includes('/copies/'))).toEqual([]);
    for (const [store, other] of [
      [stores.home, stores.offsite],
      [stores.offsite, stores.home],
    ] as const) {
      const names = [...store.objects.keys()].filter((name) => name.startsWith(copyRecordsFolder('prod', COMPONENT)));
      expect(names).toHaveLength(1);
      expect(JSON.parse(store.objects.get(names[0] ?? '')?.bytes.toString() ?? '')).toEqual({
        ...{ formatVersion: 1, component: COMPONENT, store: other.location, prefix: 'prod', recorded: expect.any(String) },
      });
      expect((await listBackups(store, 'prod')).map(({ state }) => state)).toEqual(['verified']);
    }
  });
});
