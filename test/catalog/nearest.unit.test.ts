// Reading from the nearest good copy: which store is looked at first, what makes it go on to the next, and what never does.
import { describe, expect, test } from '@jest/globals';
import { openBackup } from '../../shared/backup/read.ts';
import { backupsEverywhere, lookEverywhere, type CatalogPlace } from '../../shared/catalog/everywhere.ts';
import { Copies, type Candidate } from '../../shared/catalog/nearest.ts';
import { pickFrom } from '../../shared/catalog/pick.ts';
import { RefusedError, VerificationError } from '../../shared/step/errors.ts';
import type { Timestamp } from '../../shared/step/timestamp.ts';
import { StoreError } from '../../shared/stores/errors.ts';
import { KeyMissingError } from '../../shared/vaults/errors.ts';
import { noise, timestamp, world, type World } from '../backup/support.ts';
import { MemoryStore } from '../support/memory-store.ts';

const [FIRST, SECOND] = ['20241201_120000', '20241202_120000'].map(timestamp) as [Timestamp, Timestamp];
const never = new AbortController().signal;

/** A store that looks like one of another kind. */
function storeOf(kind: string, from?: MemoryStore): MemoryStore {
  const store = Object.assign(new MemoryStore(), { kind, location: `${kind}:` });
  for (const [name, object] of from?.objects ?? []) store.objects.set(name, { ...object, bytes: Buffer.from(object.bytes) });
  return store;
}

function down(store: MemoryStore): MemoryStore {
  store.faults.before = ({ method, name }) => {
    throw new StoreError(`${method} ${name}: connection refused.`);
  };
  return store;
}

const placed = (label: string, store: MemoryStore): CatalogPlace => ({ label, store, prefix: 'prod' });

async function threeStores(): Promise<World & { places: CatalogPlace[]; stores: [MemoryStore, MemoryStore, MemoryStore] }> {
  const made = world();
  await made.write(noise(50_000, FIRST), { timestamp: FIRST });
  await made.write(noise(50_000, SECOND), { timestamp: SECOND });
  const stores: [MemoryStore, MemoryStore, MemoryStore] = [
    storeOf('azure-blob', made.store),
    storeOf('s3', made.store),
    storeOf('folder', made.store),
  ];
  const [primary, cloud, folder] = stores;
  return { ...made, stores, places: [placed('primary', primary), placed('cloud', cloud), placed('folder', folder)] };
}

const used: string[] = [];
const note = async ({ place }: Candidate): Promise<string> => (used.push(place.label), place.label);

async function copiesOf(places: CatalogPlace[], only?: string): Promise<Copies> {
  return new Copies(await lookEverywhere(places, 'mongodb', never), 'mongodb', SECOND, only);
}

describe('which copy is read', () => {
  test('the store of the backups while it is good, and nothing is said', async () => {
    const { places } = await threeStores();
    const copies = await copiesOf(places);
    expect(await copies.read(note)).toBe('primary');
    expect(copies.notice()).toBeUndefined();
  });

  test('a folder before the cloud when the store of the backups does not answer, which is said with the reason', async () => {
    const { places, stores } = await threeStores();
    down(stores[0]);
    const copies = await copiesOf(places);
    expect(await copies.read(note)).toBe('folder');
    expect(copies.notice()).toBe(
      `mongodb ${SECOND} is read from its copy in folder (folder:). primary: list prod/mongodb/: connection refused.`,
    );
  });

  test('the next one when it is missing, without manifest, cut, or being removed', async () => {
    const { places, stores } = await threeStores();
    const [primary, cloud, folder] = stores;
    const name = (file: string): string => `prod/mongodb/${SECOND}/${file}`;
    primary.damage(name('data'), (bytes) => bytes.subarray(0, 1000));
    folder.objects.delete(name('manifest.json'));
    const copies = await copiesOf(places);
    expect(await copies.read(note)).toBe('cloud');
    expect(copies.notice()).toMatch(/primary: has lost its data or a part of it\. folder: has no manifest of it\.$/);
    cloud.objects.delete(name('data'));
    cloud.objects.delete(name('manifest.json'));
    const none = await copiesOf(places);
    await expect(none.read(note)).rejects.toThrow(
      /^No good copy of mongodb .* is left:\n- primary: has lost.*\n- cloud: does not have it\.\n- folder/,
    );
  });

  test('an archived one last, in its own store, too', async () => {
    const { places } = await threeStores();
    const everywhere = await lookEverywhere(places, 'mongodb', never);
    for (const { place, backups } of everywhere.seen) if (place.label !== 'cloud') for (const one of backups) one.offline = 'archived';
    const copies = new Copies(everywhere, 'mongodb', SECOND);
    expect(await copies.read(note)).toBe('cloud');
    expect(copies.notice()).toMatch(/primary: has it in the archive tier\.$/);
  });

  test('only the one that is named', async () => {
    const { places, stores } = await threeStores();
    const copies = await copiesOf(places, 'cloud');
    expect(await copies.read(note)).toBe('cloud');
    expect(copies.notice()).toBeUndefined();
    stores[1].objects.clear();
    await expect((await copiesOf(places, 'cloud')).read(note)).rejects.toThrow(/- cloud: does not have it\.$/);
  });
});

describe('a copy that turns out bad', () => {
  test('is given up for the next one, and the reading begins anew there; bytes of two are never mixed', async () => {
    const { places, stores, vault } = await threeStores();
    const data = `prod/mongodb/${SECOND}/data`;
    stores[0].damage(data, (bytes) => (bytes.writeUInt8((bytes[40_000] as number) ^ 1, 40_000), bytes));
    const copies = await copiesOf(places);
    const read = async ({ place }: Candidate): Promise<[string, number]> => {
      const opened = await openBackup({ ...place, component: 'mongodb', timestamp: SECOND, recipients: [vault] });
      const parts: Buffer[] = [];
      for await (const piece of opened.plain()) parts.push(Buffer.from(piece));
      return [place.label, Buffer.concat(parts).length];
    };
    expect(await copies.read(read)).toEqual(['folder', 50_000]);
    expect(copies.notice()).toMatch(/primary: .* is damaged between byte/);
    // What was found bad is not tried again.
    expect(await copies.read(note)).toBe('folder');
  });

  test('all of them bad is a verification error that names each; one store alone keeps its own error', async () => {
    const { places } = await threeStores();
    const bad = (): Promise<never> => Promise.reject(new VerificationError('is damaged.', { fix: 'Take another.' }));
    await expect((await copiesOf(places)).read(bad)).rejects.toMatchObject({
      kind: 'verification',
      message: `No good copy of mongodb ${SECOND} is left:\n- primary: is damaged.\n- folder: is damaged.\n- cloud: is damaged.`,
    });
    await expect((await copiesOf(places.slice(0, 1))).read(bad)).rejects.toMatchObject({ message: 'is damaged.', fix: 'Take another.' });
  });

  test("a vault that fails, a bug, a cancel are no copy's fault", async () => {
    const { places } = await threeStores();
    for (const thrown of [new KeyMissingError('no key'), new TypeError('a bug'), new RefusedError('not now')]) {
      let calls = 0;
      const failing = async (): Promise<never> => {
        calls += 1;
        throw thrown;
      };
      await expect((await copiesOf(places)).read(failing)).rejects.toBe(thrown);
      expect(calls).toBe(1);
    }
  });
});

describe('the choice over all stores', () => {
  const pick = async (places: CatalogPlace[]): Promise<string> => {
    const everywhere = await lookEverywhere(places, 'mongodb', never);
    const failed = everywhere.seen.flatMap((place) => place.failed);
    return pickFrom({ backups: backupsEverywhere(everywhere), failed, where: 'all' }, { component: 'mongodb' }).backup.timestamp;
  };

  test('a backup that lies only in a copy is taken, one that is verified in one of them counts as verified', async () => {
    const { places, stores } = await threeStores();
    for (const store of stores.slice(0, 2))
      for (const name of [...store.objects.keys()]) if (name.includes(SECOND)) store.objects.delete(name);
    expect(await pick(places)).toBe(SECOND);
    stores[0].objects.set(`prod/mongodb/${SECOND}/data`, stores[2].objects.get(`prod/mongodb/${SECOND}/data`) as never);
    expect(await pick(places)).toBe(SECOND);
  });

  test('a newer attempt that any store knows of is not passed over in silence', async () => {
    const { places, stores } = await threeStores();
    const newer = { outcome: 'failed', component: 'mongodb', backup: '20241203_120000' };
    await stores[2].write('prod/runs/20241203_120000-mongodb-backup.json', Buffer.from('{}'), { metadata: newer });
    await expect(pick(places)).rejects.toThrow(/older than the newest attempt, 20241203_120000, which failed/);
  });

  test("fails with the first store's error only when no store answers", async () => {
    const { places, stores } = await threeStores();
    down(stores[0]);
    down(stores[1]);
    expect(await pick(places)).toBe(SECOND);
    down(stores[2]);
    await expect(pick(places)).rejects.toThrow('list prod/mongodb/: connection refused.');
  });
});
