// A store for copies whose folder is not there: never begun, or a disk that is not mounted.
import { describe, expect, test } from '@jest/globals';
import { storeMark } from '../../shared/backup/begin.ts';
import { recordCopies } from '../../shared/backup/copy-record.ts';
import { isUnbegun } from '../../shared/backup/unbegun.ts';
import { lookEverywhere } from '../../shared/catalog/everywhere.ts';
import { noRoot, StoreError } from '../../shared/stores/errors.ts';
import type { KeyRecipient } from '../../shared/vaults/vault.ts';
import { MemoryStore } from '../support/memory-store.ts';

const problem = noRoot('/mnt/b');
const now = new Date('2024-12-01T12:00:00Z');

function placed(location: string) {
  return { store: Object.assign(new MemoryStore(), { location }), prefix: 'prod', label: location };
}

describe('a store for copies whose folder is not there', () => {
  const [home, copies] = [placed('/a'), placed('/mnt/b')];
  const ask = (more: Partial<Parameters<typeof isUnbegun>[2]> = {}, said: unknown = problem) =>
    isUnbegun(said, copies, { component: 'mongodb', others: [home], ...more });
  const vault = (knows: string): KeyRecipient =>
    ({ backupsIn: async (mark: string) => (mark === storeMark(copies.store) ? [knows] : []) }) as unknown as KeyRecipient;

  test('never got one where nothing knows of any', async () => {
    expect(await ask()).toBe(true);
  });

  test.each([
    ['it fails for another reason', {}, new StoreError('refused')],
    ['no other store can be asked', { others: [] }, problem],
    ['a vault has keys of backups that were made there', { recipients: [vault('20241201_120000')] }, problem],
    ['a vault does not answer', { recipients: [{ backupsIn: () => Promise.reject(new Error('x')) } as unknown as KeyRecipient] }, problem],
    ['another store is not there, either', { others: [Object.assign(placed('/c'), { store: failing() })] }, problem],
  ])('may have some when %s', async (_what, more, said) => {
    expect(await ask(more, said)).toBe(false);
  });

  test.each(['mongodb', 'mongodb-safety'])('has had some when another store has a record of copies of %s', async (component) => {
    const other = placed('/d');
    await recordCopies(other, { ...copies, store: Object.assign(new MemoryStore(), { location: '/mnt/b' }) }, component, now);
    expect(await ask({ others: [other] })).toBe(false);
  });

  function failing(): MemoryStore {
    const store = Object.assign(new MemoryStore(), { location: '/c' });
    store.faults.before = () => {
      throw noRoot('/c');
    };
    return store;
  }

  test('a look at all stores sees nothing there, beside the home store only', async () => {
    const gone = { ...copies, store: failing() };
    const signal = new AbortController().signal;
    const seen = await lookEverywhere([home, gone], 'mongodb', signal);
    expect([seen.seen.map(({ place }) => place.label), seen.unseen]).toEqual([['/a', '/mnt/b'], []]);
    const alone = await lookEverywhere([gone, home], 'mongodb', signal);
    expect([alone.seen.map(({ place }) => place.label), alone.unseen.map(({ label }) => label)]).toEqual([['/a'], ['/mnt/b']]);
  });
});
