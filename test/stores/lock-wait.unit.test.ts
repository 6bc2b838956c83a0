// Waiting for a lock: in turn, with a word about who holds it, and not for ever.
import { expect, test } from '@jest/globals';
import { LockedError } from '../../shared/stores/errors.ts';
import { lockInTurn } from '../../shared/stores/lock-wait.ts';
import { MemoryStore } from '../support/memory-store.ts';

const options = { owner: 'second', expiresAfter: 60_000 };

test('a run waits until the other one is done, and says once for whom', async () => {
  const store = new MemoryStore();
  const first = await store.lock('locks/mongodb', { owner: 'first', expiresAfter: 60_000 });
  const notices: string[] = [];
  const second = lockInTurn(store, 'locks/mongodb', options, { lockWait: 60_000, onNotice: (notice) => notices.push(notice) });
  setTimeout(() => void first.release(), 700);
  await (await second).release();
  expect(notices).toEqual(['locks/mongodb in memory: is locked by first. Waiting for it, at most 1m 00s.']);
});

test('it is refused when the wait is over, and at once where none is wanted', async () => {
  const store = new MemoryStore();
  await store.lock('locks/mongodb', { owner: 'first', expiresAfter: 60_000 });
  await expect(lockInTurn(store, 'locks/mongodb', options, { lockWait: 300 })).rejects.toThrow(LockedError);
  await expect(lockInTurn(store, 'locks/mongodb', options, {})).rejects.toThrow('is locked by first');
});

test('a cancel ends the wait', async () => {
  const store = new MemoryStore();
  await store.lock('locks/mongodb', { owner: 'first', expiresAfter: 60_000 });
  const cancel = new AbortController();
  const waiting = lockInTurn(store, 'locks/mongodb', { ...options, signal: cancel.signal }, { lockWait: 60_000 });
  cancel.abort();
  await expect(waiting).rejects.toThrow();
});
