// What a prune promises on any kind of store: one suite for all of them.
import { randomBytes } from 'node:crypto';
import { beforeEach, describe, expect, test } from '@jest/globals';
import { backupNames, begunName } from '../../shared/backup/layout.ts';
import { countingInspector } from '../backup/support.ts';
import { openBackup } from '../../shared/backup/read.ts';
import { writeBackup } from '../../shared/backup/write.ts';
import { applySection, gatherFacts } from '../../shared/catalog/apply-retention.ts';
import { holdsAt, listHolds, releaseHolds, writeHold } from '../../shared/catalog/hold.ts';
import { markInUse } from '../../shared/catalog/in-use.ts';
import { listBackups } from '../../shared/catalog/list.ts';
import { pruneBackup, type PruneRequest } from '../../shared/catalog/prune.ts';
import { planSection, removals } from '../../shared/catalog/retention-plan.ts';
import type { Timestamp } from '../../shared/step/timestamp.ts';
import type { Store } from '../../shared/stores/store.ts';
import { systemClock } from '../../shared/tools/clock.ts';
import type { KeyRecipient } from '../../shared/vaults/vault.ts';
import { MemoryRecipient } from '../support/memory-recipient.ts';
import { MemoryStore } from '../support/memory-store.ts';

const COMPONENT = 'mongodb';
const OLD = '20240101_020000' as Timestamp;
const NEW = '20240102_020000' as Timestamp;
const BY = { id: 'run-1' };

/** Everything of this world dies at the nth change from now: `before` it happens, or right `after`. */
class Mortality {
  left = Infinity;
  when: 'before' | 'after' = 'before';
  dead = false;

  async change<T>(work: () => Promise<T>): Promise<T> {
    this.check();
    this.left -= 1;
    if (this.left < 0 && this.when === 'before') this.dead = true;
    this.check();
    const result = await work();
    if (this.left < 0) this.dead = true;
    this.check();
    return result;
  }

  check(): void {
    if (this.dead) throw new Error('killed');
  }

  store(store: Store): Store {
    return new Proxy(store, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name);
        if (typeof value !== 'function') return value;
        const method = value.bind(target) as (...args: unknown[]) => unknown;
        if (name === 'write' || name === 'delete') return (...args: unknown[]) => this.change(async () => method(...args));
        return (...args: unknown[]) => {
          this.check();
          return method(...args);
        };
      },
    });
  }

  recipient(recipient: MemoryRecipient): KeyRecipient {
    return {
      kind: recipient.kind,
      location: recipient.location,
      wrap: (key, context) => recipient.wrap(key, context),
      unwrap: (wrapped) => recipient.unwrap(wrapped),
      matches: (wrapped) => recipient.matches(wrapped),
      forget: (wrapped) => this.change(async () => recipient.forget(wrapped)),
    };
  }
}

/** Runs the suite on a store; `open` gives an empty one. */
export function pruneConformance(open: () => Promise<Store>): void {
  let store: Store;
  let keys: MemoryRecipient;

  beforeEach(async () => {
    store = await open();
    keys = new MemoryRecipient();
    for (const timestamp of [OLD, NEW]) {
      await writeBackup({
        ...{ store, prefix: 'prod', component: COMPONENT, kind: 'mongodb', timestamp, recipients: [keys], owner: 'test' },
        source: (async function* () {
          yield Buffer.from(`content of ${timestamp}`);
        })(),
        newInspector: () => countingInspector(),
        facts: { source: {}, consistency: 'per-collection' },
        tools: { lifeboat: '0' },
      });
    }
  });

  const request = (more: Partial<PruneRequest> = {}): PruneRequest => ({
    ...{
      place: { store, prefix: 'prod' },
      component: COMPONENT,
      others: [],
      othersKnown: true,
      recipients: [keys],
      by: BY,
      now: new Date(),
    },
    ...more,
  });
  const states = async (): Promise<string[]> => (await listBackups(store, 'prod')).map(({ timestamp, state }) => `${timestamp} ${state}`);
  /** All that lies there but the mark that a store on a disk has for ever. */
  const names = async (): Promise<string[]> => {
    const found: string[] = [];
    for await (const { name } of store.list(`prod/${COMPONENT}/`)) if (name !== begunName('prod', COMPONENT)) found.push(name);
    return found;
  };
  const keysOf = (timestamp: string): string[] => [...keys.keys.keys()].filter((id) => id.includes(timestamp));

  /** Copies a backup's objects, as a further store holds them. */
  const copyOf = async (timestamp: Timestamp): Promise<MemoryStore> => {
    const other = otherStore();
    const { data, manifest } = backupNames('prod', COMPONENT, timestamp);
    for (const name of [data, manifest]) {
      const metadata = { ...(await store.stat(name))?.metadata, ...(name === data ? { origin: 'copy' } : {}) };
      await other.write(name, (await store.read(name)) as Uint8Array, { metadata });
    }
    return other;
  };

  describe('a prune', () => {
    test('removes data, manifest and key of one backup and nothing else; again is no error', async () => {
      await expect(pruneBackup(request(), OLD)).resolves.toEqual({ timestamp: OLD, result: 'removed', keysForgotten: 1 });
      expect(await names()).toEqual([`prod/${COMPONENT}/${NEW}/data`, `prod/${COMPONENT}/${NEW}/manifest.json`]);
      expect([keysOf(OLD).length, keysOf(NEW).length]).toEqual([0, 1]);
      await expect(pruneBackup(request(), OLD)).resolves.toMatchObject({ result: 'removed', keysForgotten: 0 });
    });

    test('killed between any two changes leaves a whole backup or none, never a leftover, and the next run finishes it', async () => {
      const original = { store, keys };
      let deaths = 0;
      for (const when of ['before', 'after'] as const) {
        for (let nth = 0; ; nth += 1) {
          // A copy of the world in memory is quick and cannot see the difference.
          ({ store, keys } = await cloneWorld(original.store, original.keys));
          const mortality = new Mortality();
          Object.assign(mortality, { left: nth, when });
          const place = { store: mortality.store(store), prefix: 'prod' };
          await pruneBackup(request({ place, recipients: [mortality.recipient(keys)] }), OLD).catch(() => undefined);
          if (!mortality.dead) break;
          deaths += 1;
          const after = await states();
          expect(after).toContain(`${NEW} verified`);
          expect([`${OLD} verified`, `${OLD} pruning`, undefined]).toContain(after.find((line) => line.startsWith(OLD)));
          const data = await store.stat(backupNames('prod', COMPONENT, OLD).data);
          if (data) expect(keysOf(OLD)).toHaveLength(1);
          await expect(pruneBackup(request(), OLD)).resolves.toMatchObject({ result: 'removed' });
          expect(await states()).toEqual([`${NEW} verified`]);
          expect(await names()).toHaveLength(2);
          expect([keysOf(OLD).length, keysOf(NEW).length]).toEqual([0, 1]);
        }
      }
      // Marker, data, manifest, key, marker: five changes, each with a before and an after.
      expect(deaths).toBe(10);
    });

    test('the same on this very store: killed after the data went, it is finished by the next run', async () => {
      for (const [timestamp, nth] of [
        [OLD, 1],
        [NEW, 2],
      ] as const) {
        const mortality = new Mortality();
        Object.assign(mortality, { left: nth, when: 'after' });
        const place = { store: mortality.store(store), prefix: 'prod' };
        await pruneBackup(request({ place }), timestamp).catch(() => undefined);
        expect(await states()).toContain(`${timestamp} pruning`);
        await expect(pruneBackup(request(), timestamp)).resolves.toMatchObject({ result: 'removed', keysForgotten: 1 });
      }
      expect(await names()).toEqual([]);
      expect(keys.keys.size).toBe(0);
    });

    test('keeps the key while another store has the data, and forgets it with the last copy', async () => {
      const other = await copyOf(OLD);
      const here = { store, prefix: 'prod' };
      const there = { store: other, prefix: 'prod' };
      await expect(pruneBackup(request({ others: [there] }), OLD)).resolves.toMatchObject({ result: 'removed', keysForgotten: 0 });
      expect(keysOf(OLD)).toHaveLength(1);
      await expect(pruneBackup(request({ place: there, others: [here] }), OLD)).resolves.toMatchObject({
        result: 'removed',
        keysForgotten: 1,
      });
      expect(keysOf(OLD)).toEqual([]);
    });

    test('keeps the key of a copy when nobody says where the original is', async () => {
      const place = { store: await copyOf(OLD), prefix: 'prod' };
      const outcome = await pruneBackup(request({ place, othersKnown: false }), OLD);
      expect(outcome).toMatchObject({ result: 'removed', keysForgotten: 0 });
      expect(outcome.notice).toContain('its keys stay');
      expect(keysOf(OLD)).toHaveLength(1);
    });

    test('is unfinished, and goes on later, while another store cannot say whether it has a copy', async () => {
      const other = otherStore();
      other.faults = {
        before: ({ method }) => {
          if (method === 'stat') throw new Error('503');
        },
      };
      const others = [{ store: other, prefix: 'prod' }];
      await expect(pruneBackup(request({ others }), OLD)).resolves.toMatchObject({ result: 'unfinished', keysForgotten: 0 });
      expect(keysOf(OLD)).toHaveLength(1);
      expect(await states()).toContain(`${OLD} pruning`);
      other.faults = {};
      await expect(pruneBackup(request({ others }), OLD)).resolves.toMatchObject({ result: 'removed', keysForgotten: 1 });
    });

    test('is unfinished while no vault is given that has the key', async () => {
      const outcome = await pruneBackup(request({ recipients: [] }), OLD);
      expect(outcome).toMatchObject({ result: 'unfinished' });
      expect(outcome.notice).toContain('no vault that was given has it');
      await expect(pruneBackup(request(), OLD)).resolves.toMatchObject({ result: 'removed', keysForgotten: 1 });
    });

    test('leaves a backup whole that the store will not delete', async () => {
      const refusing = new Proxy(store, {
        get: (target, name) => {
          const value: unknown = Reflect.get(target, name);
          if (typeof value !== 'function') return value;
          const method = value.bind(target) as (...args: unknown[]) => unknown;
          return name === 'delete'
            ? async (object: string) => {
                if (object.endsWith('/data')) throw new Error('this blob is immutable');
                return method(object);
              }
            : method;
        },
      });
      const outcome = await pruneBackup(request({ place: { store: refusing, prefix: 'prod' } }), OLD);
      expect(outcome).toEqual({ timestamp: OLD, result: 'stays', keysForgotten: 0, notice: 'this blob is immutable' });
      expect(await states()).toEqual([`${OLD} verified`, `${NEW} verified`]);
      expect(await names()).toHaveLength(4);
    });
  });

  describe('what is being read', () => {
    const place = () => ({ store, prefix: 'prod' });
    const OLDER = '20231231_020000' as Timestamp;
    const use = { component: COMPONENT, timestamp: OLDER, what: 'restored', by: { id: 'run-2' } };

    test('stays to its last byte, whenever retention comes, and goes once it has been read', async () => {
      const content = randomBytes(9 * 2 ** 20);
      await writeBackup({
        ...{ ...place(), component: COMPONENT, kind: 'mongodb', timestamp: OLDER, recipients: [keys], owner: 'test' },
        source: (async function* () {
          yield content;
        })(),
        newInspector: () => countingInspector(),
        facts: { source: {}, consistency: 'per-collection' },
        tools: { lifeboat: '0' },
      });
      const last = { rules: { last: 2 }, policy: '2 last' };
      const facts = async () => gatherFacts({ component: COMPONENT, place: place(), others: [] });
      const planned = planSection(await facts(), last, new Date());
      expect(removals(planned).map(({ timestamp }) => timestamp)).toEqual([OLDER]);

      const release = await markInUse(place(), use);
      const opened = await openBackup({ ...place(), component: COMPONENT, timestamp: OLDER, recipients: [keys] });
      const plain = opened.plain()[Symbol.asyncIterator]();
      const parts: Uint8Array[] = [Buffer.from((await plain.next()).value as Uint8Array)];
      // A plan of now keeps it, an older one no longer fits, and a prune that was under way sees the mark.
      const oldest = planSection(await facts(), last, new Date()).backups.find(({ timestamp }) => timestamp === OLDER);
      expect(oldest?.reasons.join()).toMatch(/^held until .*: being restored$/);
      await expect(applySection({ ...request(), planned, owner: 'test', clock: systemClock })).rejects.toThrow('being restored');
      await expect(pruneBackup(request(), OLDER)).resolves.toMatchObject({ result: 'stays', notice: 'held: being restored' });
      for (let next = await plain.next(); !next.done; next = await plain.next()) parts.push(Buffer.from(next.value as Uint8Array));
      expect(Buffer.concat(parts).equals(content)).toBe(true);
      await release();
      await expect(applySection({ ...request(), planned, owner: 'test', clock: systemClock })).resolves.toMatchObject([
        { timestamp: OLDER, result: 'removed', keysForgotten: 1 },
      ]);
    });

    test('is not begun once retention has its mark on it', async () => {
      await store.write(backupNames('prod', COMPONENT, OLD).prune, Buffer.from('{}'));
      await expect(markInUse(place(), { ...use, timestamp: OLD })).rejects.toThrow('is being removed by retention');
      await expect(listHolds(store, 'prod', COMPONENT)).resolves.toEqual([]);
    });
  });

  describe('a plan carried out', () => {
    const policy = { rules: { last: 1 }, policy: '1 last' };
    const section = async () => {
      const place = { store, prefix: 'prod' };
      return planSection(await gatherFacts({ component: COMPONENT, place, others: [] }), policy, new Date());
    };
    const apply = async (planned: Awaited<ReturnType<typeof section>>) =>
      applySection({ ...request(), planned, owner: 'test', clock: systemClock });

    test('removes what it says, and nothing the second time', async () => {
      const planned = await section();
      await expect(apply(planned)).resolves.toMatchObject([{ timestamp: OLD, result: 'removed' }]);
      expect(await states()).toEqual([`${NEW} verified`]);
      await expect(apply(planned)).resolves.toEqual([]);
    });

    test('is refused when somebody holds a backup meanwhile, and when the component is in use', async () => {
      const planned = await section();
      expect(removals(planned)).toHaveLength(1);
      const lock = await store.lock(`prod/locks/${COMPONENT}`, { owner: 'a restore', expiresAfter: 30_000 });
      await expect(apply(planned)).rejects.toThrow('a restore');
      await lock.release();
      await writeHold(store, 'prod', { component: COMPONENT, timestamp: OLD, reason: 'audit', by: BY, now: new Date() });
      await expect(apply(planned)).rejects.toThrow('stays (held: audit)');
      expect(await states()).toEqual([`${OLD} verified`, `${NEW} verified`]);
    });
  });

  describe('holds', () => {
    const hold = { component: COMPONENT, timestamp: OLD, by: BY, now: new Date('2024-01-03T00:00:00Z') };

    test('several lie side by side, and are released one by one or together', async () => {
      const first = await writeHold(store, 'prod', {
        ...hold,
        reason: 'Prüfung "A"\nzwei Zeilen',
        until: new Date('2030-01-01T00:00:00Z'),
      });
      const second = await writeHold(store, 'prod', { ...hold, reason: 'audit' });
      await writeHold(store, 'prod', { ...hold, timestamp: NEW, reason: 'other backup' });
      const listed = await listHolds(store, 'prod', COMPONENT);
      expect(listed.find(({ id }) => id === first)).toEqual({
        ...{ id: first, component: COMPONENT, timestamp: OLD, reason: 'Prüfung "A"\nzwei Zeilen' },
        until: new Date('2030-01-01T00:00:00Z'),
      });
      await expect(releaseHolds(store, 'prod', { component: COMPONENT, timestamp: OLD, id: first })).resolves.toBe(1);
      expect((await listHolds(store, 'prod', COMPONENT)).map(({ id }) => id)).toContain(second);
      await expect(releaseHolds(store, 'prod', { component: COMPONENT, timestamp: OLD })).resolves.toBe(1);
      expect((await listHolds(store, 'prod', COMPONENT)).map(({ reason }) => reason)).toEqual(['other backup']);
    });

    test('end at their time', async () => {
      await writeHold(store, 'prod', { ...hold, reason: 'r', until: new Date('2024-02-01T00:00:00Z') });
      const [one] = await listHolds(store, 'prod', COMPONENT);
      expect([holdsAt(one as never, new Date('2024-01-31T23:59:59Z')), holdsAt(one as never, new Date('2024-02-01T00:00:00Z'))]).toEqual([
        true,
        false,
      ]);
    });

    test('one that cannot be read holds for ever', async () => {
      await store.write(`prod/holds/${COMPONENT}/${OLD}.abcdefgh.json`, Buffer.from('{"reason":'));
      await expect(listHolds(store, 'prod', COMPONENT)).resolves.toMatchObject([
        { reason: 'a hold that cannot be read', until: undefined },
      ]);
    });

    test('are not backups, and go with their backup', async () => {
      await writeHold(store, 'prod', { ...hold, reason: 'r', until: new Date('2024-02-01T00:00:00Z') });
      expect(await states()).toEqual([`${OLD} verified`, `${NEW} verified`]);
      await pruneBackup(request(), OLD);
      await expect(listHolds(store, 'prod', COMPONENT)).resolves.toEqual([]);
    });
  });
}

function otherStore(): MemoryStore {
  return Object.assign(new MemoryStore(), { location: 'memory:other' });
}

async function cloneWorld(store: Store, keys: MemoryRecipient): Promise<{ store: Store; keys: MemoryRecipient }> {
  const copy = new MemoryStore();
  for await (const { name, metadata } of store.list('')) {
    await copy.write(name, (await store.read(name)) as Uint8Array, { metadata: { ...metadata } });
  }
  const recipient = new MemoryRecipient();
  for (const [id, key] of keys.keys) recipient.keys.set(id, key);
  return { store: copy, keys: recipient };
}
