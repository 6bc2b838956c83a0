// Listing: states from names and metadata alone, in few requests, whatever else lies in the store.
import { describe, expect, test } from '@jest/globals';
import { listBackups } from '../../shared/catalog/list.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { world, timestamp } from '../backup/support.ts';

async function put(store: MemoryStore, name: string, metadata: Record<string, string> = {}, bytes = 10): Promise<void> {
  await store.write(name, Buffer.alloc(bytes), { metadata });
}
const committed = { verified: 'full', suspect: '0', storedbytes: '10', plainbytes: '30', kind: 'mongodb' };

describe('listBackups', () => {
  test('tells each state', async () => {
    const store = new MemoryStore();
    const folder = 'prod/mongodb/2024120';
    await put(store, `${folder}1_120000/data`);
    await put(store, `${folder}1_120000/manifest.json`, committed);
    await put(store, `${folder}2_120000/data`);
    await put(store, `${folder}2_120000/manifest.json`, { ...committed, verified: 'sample' });
    await put(store, `${folder}3_120000/data`);
    await put(store, `${folder}3_120000/manifest.json`, { ...committed, suspect: '2' });
    await put(store, `${folder}4_120000/manifest.json`, committed);
    await put(store, `${folder}5_120000/data`, {}, 9);
    await put(store, `${folder}5_120000/manifest.json`, committed);
    await put(store, `${folder}6_120000/data`, { kind: 'mongodb', plainbytes: '30' });
    const states = (await listBackups(store, 'prod')).map((backup) => backup.state);
    expect(states).toEqual(['verified', 'committed', 'suspect', 'damaged', 'damaged', 'leftover']);
  });

  test('shows what a real backup says of itself', async () => {
    const w = world();
    const { manifest } = await w.write(Buffer.from('x'.repeat(1000)));
    expect(await listBackups(w.store, 'prod')).toEqual([
      {
        component: 'mongodb',
        timestamp: manifest.timestamp,
        time: new Date('2024-12-01T12:00:00Z'),
        state: 'verified',
        dataBytes: manifest.sizes.stored,
        kind: 'mongodb',
        created: new Date(manifest.created),
        plainBytes: 1000,
        storedBytes: manifest.sizes.stored,
        durationMs: manifest.durationMs,
        consistency: 'point-in-time',
        verified: 'full',
        suspect: false,
      },
    ]);
  });

  test('passes over strangers, other prefixes, malformed names and malformed metadata', async () => {
    const store = new MemoryStore();
    for (const name of [
      'runs/20241201_120000/data',
      'locks/mongodb',
      'mongodb/latest/data',
      'mongodb/20241301_120000/data',
      'MongoDB/20241201_120000/data',
      'mongodb/20241201_120000/a/b',
      'status.json',
    ]) {
      await put(store, `prod/${name}`);
    }
    await put(store, 'production/mongodb/20241201_120000/data');
    expect(await listBackups(store, 'prod')).toEqual([]);
    await put(store, 'prod/mongodb/20241201_120000/data');
    await put(store, 'prod/mongodb/20241201_120000/manifest.json', { verified: 'yes', plainbytes: '99999999999999999999', created: 'x' });
    expect(await listBackups(store, 'prod')).toMatchObject([
      { state: 'committed', plainBytes: undefined, verified: undefined, created: undefined },
    ]);
  });

  test('takes one component or a time, sorted by time and then by name, with one listing and no other request', async () => {
    const store = new MemoryStore();
    for (const component of ['state', 'mongodb']) {
      for (const day of [3, 1, 2]) {
        await put(store, `${component}/2024120${day}_120000/data`);
        await put(store, `${component}/2024120${day}_120000/manifest.json`, committed);
      }
    }
    const shown = async (query: Parameters<typeof listBackups>[2]): Promise<string[]> =>
      (await listBackups(store, '', query)).map((backup) => `${backup.timestamp.slice(7, 8)} ${backup.component}`);
    expect(await shown({})).toEqual(['1 mongodb', '1 state', '2 mongodb', '2 state', '3 mongodb', '3 state']);
    expect(await shown({ component: 'state', since: new Date('2024-12-02T12:00:00Z') })).toEqual(['2 state', '3 state']);
    expect(store.calls.filter((call) => call.method !== 'write').map((call) => `${call.method} ${call.name}`)).toEqual([
      'list ',
      'list state/',
    ]);
    expect(timestamp('20241202_120000')).toBeDefined();
  });

  test.each(['../etc', 'a//b', '/a', 'a/', 'a\nb'])('refuses the prefix %j', async (prefix) => {
    await expect(listBackups(new MemoryStore(), prefix)).rejects.toThrow('cannot be used');
  });
});
