// What a backup's summary says of the runs before and of retention, from a store's listing alone.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { MemoryHost } from '../../shared/hosts/memory.ts';
import type { Place } from '../../shared/backup/place.ts';
import { outlookOf, outlookParts, outlookRecord } from '../../shared/runs/outlook.ts';
import { systemClock } from '../../shared/tools/clock.ts';
import { MemoryStore } from '../support/memory-store.ts';

const folder = mkdtempSync(join(tmpdir(), 'lifeboat-outlook-'));
const config = join(folder, 'dr.yml');
const NOW = new Date('2024-12-05T02:30:00Z');
afterAll(() => {
  rmSync(folder, { recursive: true });
});

function writeConfig(retention: string): void {
  writeFileSync(
    config,
    `version: 1\nname: shop\nstores: { primary: { kind: folder, path: ./store } }\nvault: { kind: folder, path: ./keys }\n` +
      `components: { mongodb: { kind: mongodb, source: { uri: "\${env:URI}" }${retention} } }\n`,
  );
}

async function storeWith(sizes: Record<string, number>): Promise<MemoryStore> {
  const store = new MemoryStore();
  for (const [timestamp, size] of Object.entries(sizes)) {
    const metadata = {
      kind: 'mongodb',
      storedbytes: String(size),
      plainbytes: '4096',
      verified: 'full',
      suspect: '0',
      durationms: '60000',
    };
    await store.write(`shop/mongodb/${timestamp}/data`, Buffer.alloc(size), { metadata });
    await store.write(`shop/mongodb/${timestamp}/manifest.json`, Buffer.from('{}'), { metadata });
  }
  store.calls.length = 0;
  return store;
}

async function look(store: MemoryStore, timestamp: string, { signal }: { signal?: AbortSignal } = {}) {
  const host = new MemoryHost({ inputs: { config } });
  const context = {
    ...{ host, inputs: { config, store: 'primary' }, clock: { ...systemClock, now: () => NOW } },
    signal: signal ?? host.signal,
  } as unknown as Parameters<typeof outlookOf>[0];
  const place = { store, prefix: 'shop' } as unknown as Place;
  return { host, outlook: await outlookOf(context, place, { component: 'mongodb', timestamp }) };
}

const FOUR = { '20241202_021700': 1000, '20241203_021700': 1000, '20241204_021700': 1000, '20241205_021700': 1500 };

test('a backup is held against the last one, the average and the rules of dr.yml, by listings alone', async () => {
  writeConfig(', retention: { last: 2 }');
  const store = await storeWith(FOUR);
  const { outlook } = await look(store, '20241205_021700');
  const { shown, folded } = outlookParts(outlook);
  expect(shown?.replaceAll('\u00a0', ' ')).toBe(
    [
      '|  | this one | against the last | against the average of 3 | trend |',
      '| --- | ---: | ---: | ---: | --- |',
      '| stored | 1.46 KiB | +50 % | +50 % | ▁▁▁█ |',
      '| took | 1m 00s | ±0 % | ±0 % | ▅▅▅▅ |',
      '',
      '**Retention** (the last 2): the next apply-retention would remove 2 backups (1.95 KiB): 20241202_021700, 20241203_021700; 2 backups would stay.',
    ].join('\n'),
  );
  expect(folded).toContain('<summary>The last 4 backups</summary>');
  expect(outlookRecord(outlook)).toEqual({
    trend: {
      storedBytes: { values: [1000, 1000, 1000, 1500], againstLastPercent: 50, againstAveragePercent: 50 },
      durationMs: { values: [60_000, 60_000, 60_000, 60_000], againstLastPercent: 0, againstAveragePercent: 0 },
    },
    retention: { policy: 'the last 2', blocked: null, remove: ['20241202_021700', '20241203_021700'], keep: 2 },
  });
  expect(new Set(store.calls.map(({ method }) => method))).toEqual(new Set(['list']));
});

test('a second backup is held against the first one only, which is the average, too', async () => {
  writeConfig('');
  const { outlook } = await look(await storeWith({ '20241204_021700': 1000, '20241205_021700': 1500 }), '20241205_021700');
  expect(outlookParts(outlook).shown).toMatch(/^\|  \| this one \| against the last \| trend \|\n/);
});

test('a first backup without rules says nothing', async () => {
  writeConfig('');
  const { outlook } = await look(await storeWith({ '20241205_021700': 10 }), '20241205_021700');
  expect(outlookParts(outlook)).toEqual({ shown: '', folded: undefined });
  expect(outlookRecord(outlook)).toEqual({ trend: null, retention: null });
});

test('nothing to remove, and a backup after which nothing may go, are said as such', async () => {
  writeConfig(', retention: { preset: 7-4-6 }');
  const { outlook } = await look(await storeWith(FOUR), '20241205_021700');
  expect(outlookParts(outlook).shown).toContain('nothing would go, 4 backups would stay.');
  const doubtful = await storeWith(FOUR);
  const metadata = { kind: 'mongodb', storedbytes: '1', plainbytes: '1', verified: 'full', suspect: '1', durationms: '1' };
  await doubtful.write('shop/mongodb/20241205_022000/data', Buffer.alloc(1), { metadata });
  await doubtful.write('shop/mongodb/20241205_022000/manifest.json', Buffer.from('{}'), { metadata });
  expect(outlookParts((await look(doubtful, '20241205_022000')).outlook).shown).toMatch(
    /nothing is removed before a later one is verified/,
  );
});

test('a store that cannot be listed any more costs the summary its comparison, nothing else', async () => {
  writeConfig(', retention: { preset: 7-4-6 }');
  const store = await storeWith(FOUR);
  store.faults = {
    before: () => {
      throw new Error('503');
    },
  };
  const { host, outlook } = await look(store, '20241205_021700');
  expect(outlook).toEqual({ trend: undefined, retention: undefined });
  expect(host.log).toEqual(['debug: The summary does without a comparison with the last runs: 503']);
});
