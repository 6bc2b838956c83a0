// Choosing a backup: the latest verified one, never an older one by surprise; errors that name near choices.
import { describe, expect, test } from '@jest/globals';
import { pickBackup, type PickRequest } from '../../shared/catalog/pick.ts';
import { listRuns, writeRunRecord } from '../../shared/catalog/runs.ts';
import { RefusedError } from '../../shared/step/errors.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { timestamp } from '../backup/support.ts';

type State = 'verified' | 'none' | 'suspect' | 'leftover' | 'damaged';
const at = (day: number) => timestamp(`2024120${day}_120000`);

/** A store whose nth day has a backup in that state. */
async function storeWith(...states: State[]): Promise<MemoryStore> {
  const store = new MemoryStore();
  for (const [index, state] of states.entries()) {
    const folder = `prod/mongodb/${at(index + 1)}`;
    if (state !== 'damaged') await store.write(`${folder}/data`, Buffer.alloc(1));
    if (state === 'leftover') continue;
    const metadata = { verified: state === 'none' ? 'none' : 'full', suspect: state === 'suspect' ? '1' : '0', storedbytes: '1' };
    await store.write(`${folder}/manifest.json`, Buffer.alloc(1), { metadata });
  }
  return store;
}

const pick = (store: MemoryStore, request: Partial<PickRequest> = {}) =>
  pickBackup({ store, prefix: 'prod', component: 'mongodb', ...request });

async function record(
  store: MemoryStore,
  day: number,
  outcome: 'failed' | 'succeeded' | 'cancelled',
  component = 'mongodb',
): Promise<string> {
  const moment = new Date(0);
  return writeRunRecord(store, 'prod', at(day), {
    step: 'mongodb-backup',
    outcome,
    component,
    backup: at(day),
    started: moment,
    finished: moment,
    run: { id: '1' },
  });
}

describe('pickBackup', () => {
  test('takes the latest verified backup', async () => {
    await expect(pick(await storeWith('none', 'verified', 'verified'))).resolves.toMatchObject({
      backup: { timestamp: at(3) },
      notices: [],
    });
  });

  test('refuses while a wrong clock has dated a backup ahead: which one is newer, nobody knows', async () => {
    const store = await storeWith('verified', 'verified');
    const now = new Date('2024-12-01T13:00:00Z');
    await expect(pick(store, { now })).rejects.toThrow(RefusedError);
    await expect(pick(store, { now })).rejects.toThrow(
      `The latest verified backup of mongodb is ${at(1)}, older than the newest attempt, ${at(2)}, which a wrong clock has dated ahead of now.`,
    );
    await expect(pick(store, { now, allowOlder: true })).resolves.toMatchObject({ backup: { timestamp: at(1) } });
    await expect(pick(store, { now, timestamp: at(2) })).resolves.toMatchObject({ backup: { timestamp: at(2) } });
    // A few minutes are no wrong clock.
    await expect(pick(store, { now: new Date('2024-12-02T11:57:00Z') })).resolves.toMatchObject({ backup: { timestamp: at(2) } });
  });

  test.each<[State, string]>([
    ['leftover', 'was never completed'],
    ['suspect', 'is marked suspect'],
    ['none', 'was not fully read back'],
  ])('refuses to go behind a newer one that is %s, unless told', async (state, why) => {
    const store = await storeWith('verified', state);
    const refusal = pick(store);
    await expect(refusal).rejects.toThrow(RefusedError);
    await expect(refusal).rejects.toThrow(
      `The latest verified backup of mongodb is ${at(1)}, older than the newest attempt, ${at(2)}, which ${why}.`,
    );
    await expect(pick(store, { allowOlder: true })).resolves.toMatchObject({
      backup: { timestamp: at(1) },
      notices: [expect.stringContaining(why)],
    });
  });

  test('passes over newer ones that are damaged, and says so; not where an attempt that failed or is suspect is newer, too', async () => {
    const sentence = `The newest backup of mongodb, ${at(3)}, has lost its data: ${at(1)}, the last good one, is taken instead.`;
    const store = await storeWith('verified', 'damaged', 'damaged');
    await expect(pick(store)).resolves.toMatchObject({ backup: { timestamp: at(1) }, notices: [], skipped: sentence });
    for (const state of ['suspect', 'leftover', 'none'] as const) {
      await expect(pick(await storeWith('verified', state, 'damaged'))).rejects.toThrow(RefusedError);
      await expect(pick(await storeWith('verified', 'damaged', state))).rejects.toThrow(RefusedError);
    }
    await expect(pick(await storeWith('damaged', 'verified'))).resolves.toMatchObject({ backup: { timestamp: at(2) }, skipped: undefined });
    await record(store, 4, 'failed');
    await expect(pick(store)).rejects.toThrow(`older than the newest attempt, ${at(4)}, which failed.`);
  });

  test('refuses to go behind a run that failed and left nothing but its record', async () => {
    const store = await storeWith('verified');
    await record(store, 1, 'failed');
    await record(store, 3, 'failed', 'state');
    await expect(pick(store)).resolves.toMatchObject({ backup: { timestamp: at(1) } });
    await record(store, 2, 'failed');
    await expect(pick(store)).rejects.toThrow(`${at(2)}, which failed.`);
  });

  test('takes the one that was named, with its doubts', async () => {
    const store = await storeWith('verified', 'suspect', 'verified');
    await expect(pick(store, { timestamp: at(1) })).resolves.toMatchObject({ backup: { timestamp: at(1) }, notices: [] });
    await expect(pick(store, { timestamp: at(2) })).resolves.toMatchObject({ notices: [expect.stringContaining('marked suspect')] });
  });

  test('names near choices when there is none of that name', async () => {
    const store = await storeWith('verified', 'verified', 'leftover', 'verified', 'verified', 'verified', 'verified', 'verified');
    await expect(pick(store, { timestamp: timestamp('20241204_130000') })).rejects.toMatchObject({
      message: 'There is no backup of mongodb at 20241204_130000 in memory:.',
      fix: `Near it: ${[7, 6, 5, 4, 2, 1].map((day) => `${at(day)} (verified)`).join(', ')}.`,
    });
    await expect(pick(store, { timestamp: at(3) })).rejects.toThrow('was never completed: it has no manifest');
  });

  test('says what there is when nothing is verified, and when there is nothing', async () => {
    await expect(pick(await storeWith('none', 'suspect'))).rejects.toMatchObject({
      message: 'There is no verified backup of mongodb in memory:.',
      fix: `There are: ${at(2)} (suspect), ${at(1)} (committed). Name one by its timestamp.`,
    });
    await expect(pick(new MemoryStore())).rejects.toMatchObject({
      fix: expect.stringContaining('check store, name and component and, for a folder, whether its disk is mounted'),
    });
  });
});

describe('run records', () => {
  test('are listed by metadata, and two in one second do not meet', async () => {
    const store = new MemoryStore();
    expect(await record(store, 1, 'failed')).toBe(`prod/runs/${at(1)}-mongodb-backup.json`);
    expect(await record(store, 1, 'succeeded')).toBe(`prod/runs/${at(1)}-mongodb-backup.2.json`);
    expect(await listRuns(store, 'prod')).toMatchObject([
      { step: 'mongodb-backup', timestamp: at(1), outcome: 'failed', component: 'mongodb', backup: at(1) },
      { step: 'mongodb-backup', outcome: 'succeeded' },
    ]);
    expect(JSON.parse(store.bytes(`prod/runs/${at(1)}-mongodb-backup.json`).toString())).toMatchObject({
      formatVersion: 1,
      outcome: 'failed',
      run: { id: '1' },
    });
  });
});
