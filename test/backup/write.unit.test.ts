// Writing: the order of commit, and that whatever fails leaves nothing that looks like a backup.
import { recordCopies } from '../../shared/backup/copy-record.ts';
import { Readable } from 'node:stream';
import { describe, expect, test } from '@jest/globals';
import { listBackups } from '../../shared/catalog/list.ts';
import { CancelledError, UserError, VerificationError } from '../../shared/step/errors.ts';
import { LockedError, ObjectExistsError, StoreError } from '../../shared/stores/errors.ts';
import { VaultError } from '../../shared/vaults/errors.ts';
import type { WrappedKey } from '../../shared/vaults/vault.ts';
import { MemoryRecipient } from '../support/memory-recipient.ts';
import { failNth, MemoryStore, type StoreCall } from '../support/memory-store.ts';
import { systemClock } from '../../shared/tools/clock.ts';
import { countingInspector, inPieces, MIB, noise, TIME, timestamp, world } from './support.ts';

const text = Buffer.from('all that is in the database. '.repeat(100));

/** Nothing listed, nothing stored, no key kept, no lock held. */
function expectNothingLeft(w: ReturnType<typeof world>): void {
  expect([...w.store.objects.keys()]).toEqual([]);
  expect([...w.vault.keys.keys()]).toEqual([]);
  expect(w.store.locks.size).toBe(0);
}

describe('a backup that succeeds', () => {
  test('is committed in order: lock, key, data, read-back, manifest', async () => {
    const w = world();
    const order: string[] = [];
    w.vault.faults.wrap = () => void order.push('key');
    w.store.faults = { before: ({ method }) => void order.push(method) };
    const result = await w.write(text);
    expect(order).toEqual(['lock', 'list', 'sweep', 'key', 'put', 'stat', 'open', 'write']);
    expect(result.manifest).toMatchObject({
      component: 'mongodb',
      timestamp: TIME,
      sizes: { plain: text.length },
      content: { bytes: text.length },
      verified: { level: 'full' },
      suspect: [],
    });
    expect(result.phases.map((phase) => phase.name)).toEqual(['preparing', 'keys', 'writing', 'reading back', 'committing']);
    expect(w.store.locks.size).toBe(0);
    await expect(w.verify()).resolves.toMatchObject({ level: 'full', manifest: result.manifest });
  });

  test('carries what opens it and what lists it as metadata', async () => {
    const w = world();
    await w.write(text, { recipients: [w.vault, new MemoryRecipient('escrow')] });
    const metadata = w.store.objects.get(w.data)?.info.metadata ?? {};
    expect(JSON.parse(metadata['encryptiondata'] ?? '')).toMatchObject({ EncryptionAgent: { Protocol: '2.0' } });
    expect(JSON.parse(metadata['lifeboatkeys'] ?? '')).toHaveLength(2);
    expect(w.store.objects.get(w.manifest)?.info.metadata).toMatchObject({
      verified: 'full',
      suspect: '0',
      plainbytes: String(text.length),
    });
  });

  test('has a content key of its own, so that equal content is stored as other bytes', async () => {
    const w = world();
    const first = await w.write(text);
    const second = await w.write(text, { timestamp: timestamp('20241202_120000') });
    const keys = await Promise.all(
      [first, second].map(async ({ manifest }) => Buffer.from(await w.vault.unwrap(manifest.keyRecipients[0] as WrappedKey))),
    );
    expect(keys[0]?.equals(keys[1] as Buffer)).toBe(false);
    expect(first.manifest.content).toEqual(second.manifest.content);
    expect(w.store.bytes(first.names.data).equals(w.store.bytes(second.names.data))).toBe(false);
  });

  test('reports progress of writing and reading back', async () => {
    const w = world();
    const seen: string[] = [];
    await w.write(noise(9 * MIB), {
      sizeEstimate: 10 * MIB,
      onProgress: ({ phase, done, total }) => void seen.push(`${phase} ${done}/${total ?? '?'}`),
    });
    expect(seen).toContain(`Writing ${4 * MIB}/${10 * MIB}`);
    expect(seen.at(-1)).toMatch(/^Reading back (\d+)\/\1$/);
  });

  test('asks for the facts when the content is known, and keeps doubts', async () => {
    const w = world();
    const facts = (content: unknown) => ({
      source: { host: 'h' },
      consistency: 'per-collection' as const,
      suspect: [`only ${JSON.stringify(content).length} letters`],
    });
    const { manifest } = await w.write(text, { facts });
    expect(manifest.suspect).toHaveLength(1);
    await expect(listBackups(w.store, 'prod')).resolves.toMatchObject([{ state: 'suspect' }]);
  });

  test.each(['sample', 'none'] as const)('with verify: %s is committed, not verified', async (verify) => {
    const w = world();
    await w.write(text, { verify });
    await expect(listBackups(w.store, 'prod')).resolves.toMatchObject([{ state: 'committed', verified: verify }]);
  });

  test('takes its timestamp from the clock, and notices a clock that went back', async () => {
    const w = world();
    await w.write(text, { timestamp: timestamp('20990101_000000') });
    const notices: string[] = [];
    const result = await w.write(text, { timestamp: undefined, onNotice: (notice) => void notices.push(notice) });
    expect(result.timestamp).toMatch(/^20\d{6}_\d{6}$/);
    expect(notices.join()).toContain("some machine's clock is wrong");
  });

  test('holds a fixed amount of memory however long the stream is', async () => {
    const w = world();
    const block = noise(MIB);
    let ahead = 0;
    let most = 0;
    async function* source(): AsyncGenerator<Buffer> {
      for (let i = 0; i < 120; i += 1) {
        ahead += block.length;
        most = Math.max(most, ahead);
        yield block;
      }
    }
    Object.assign(w.store, {
      async put(name: string, stream: AsyncIterable<Uint8Array>, options: object) {
        let size = 0;
        for await (const chunk of stream) {
          size += chunk.length;
          ahead -= chunk.length;
          if (size % (8 * MIB) < chunk.length) await new Promise((resolve) => setTimeout(resolve, 2));
        }
        return { ...(await w.store.write(name, new Uint8Array(0), options)), size };
      },
    });
    await w.write(source(), { verify: 'none', compression: { algorithm: 'none' } });
    expect(most).toBeLessThan(32 * MIB);
  });
});

describe('a backup that fails', () => {
  const failure = new StoreError('The store said no.');

  test('because so many keys do not fit beside the data fails before anything is dumped', async () => {
    const w = world();
    let asked = false;
    async function* source(): AsyncGenerator<Uint8Array> {
      asked = true;
      yield text;
    }
    const recipients = [w.vault, ...Array.from({ length: 60 }, () => new MemoryRecipient('escrow'))];
    await expect(w.write(source(), { recipients })).rejects.toThrow(/^The keys of 61 recipients do not fit beside the data of mongodb/);
    expect(asked).toBe(false);
    expectNothingLeft(w);
  });

  test.each<[StoreCall, number]>([
    ['lock', 0],
    ['list', 0],
    ['put', 0],
    ['stat', 0],
    ['open', 0],
    ['write', 0],
  ])('at the store (%s) leaves nothing', async (method, nth) => {
    const w = world();
    w.store.faults = { before: failNth(method, nth, failure) };
    await expect(w.write(text)).rejects.toThrow('The store said no.');
    expectNothingLeft(w);
  });

  test('because put was carried out but not answered leaves nothing', async () => {
    const w = world();
    w.store.faults = { after: failNth('put', 0, failure) };
    await expect(w.write(text)).rejects.toThrow('The store said no.');
    expectNothingLeft(w);
  });

  test('is none when only the answer to the manifest was lost', async () => {
    const w = world();
    w.store.faults = { after: failNth('write', 0, failure) };
    await w.write(text);
    await expect(w.verify()).resolves.toBeDefined();
  });

  test('keeps data and key when nobody can tell whether the manifest was written', async () => {
    const w = world();
    w.store.faults = {
      after: failNth('write', 0, failure),
      before: failNth('read', 0, failure),
    };
    await expect(w.write(text)).rejects.toThrow('did not say whether the manifest was written');
    await expect(w.verify()).resolves.toBeDefined();
  });

  test.each([0, 1, 50_000])('because the source throws after %d bytes leaves nothing', async (bytes) => {
    const w = world();
    async function* source(): AsyncGenerator<Buffer> {
      yield noise(bytes);
      throw new UserError('mongodump ended with exit code 1.');
    }
    await expect(w.write(source(), { compression: { algorithm: 'zstd', frameBytes: 4096 } })).rejects.toThrow(
      'mongodump ended with exit code 1.',
    );
    expectNothingLeft(w);
  });

  test('because the source ends early with nothing wrong but its end leaves nothing', async () => {
    const w = world();
    await expect(w.write(text, { newInspector: () => countingInspector('THE END') })).rejects.toThrow(
      new VerificationError(`The stream ends too early, at byte ${text.length}.`),
    );
    expectNothingLeft(w);
  });

  test('because the store damaged the data is told by byte, and leaves nothing', async () => {
    const w = world();
    const flipped = (chunk: Uint8Array): Buffer => Buffer.from(chunk.map((byte, at) => (at === 0 ? byte ^ 1 : byte)));
    w.store.faults = { onPutChunk: (chunk, offset) => (offset === 12 ? flipped(chunk) : chunk) };
    await expect(w.write(text)).rejects.toThrow(/mongodb 20241201_120000 .* is damaged between byte 0 and byte/);
    expectNothingLeft(w);
  });

  test('because the store lost the end of the data leaves nothing', async () => {
    const w = world();
    w.store.faults = { onPutChunk: (chunk, offset) => (offset > 12 ? Buffer.alloc(0) : chunk) };
    await expect(w.write(text)).rejects.toThrow('but ');
    expectNothingLeft(w);
  });

  test('because it reads back differently leaves nothing', async () => {
    const w = world();
    let passes = 0;
    const newInspector = () => ({ write: () => undefined, end: () => ({ pass: (passes += 1) }) });
    await expect(w.write(text, { newInspector })).rejects.toThrow('reads back differently: pass: expected 1, found 2.');
    expectNothingLeft(w);
  });

  test('because one vault refuses forgets the key in the other', async () => {
    const w = world();
    const second = new MemoryRecipient('escrow');
    second.faults.wrap = () => {
      throw new VaultError('The vault said no.');
    };
    await expect(w.write(text, { recipients: [w.vault, second] })).rejects.toThrow('The vault said no.');
    expectNothingLeft(w);
    await expect(w.write(text, { recipients: [] })).rejects.toThrow('No one could open');
  });

  test('because the facts cannot be had leaves nothing, and credentials in them are a bug', async () => {
    const w = world();
    await expect(w.write(text, { facts: { source: { host: 'mongodb://u:secret@h' }, consistency: 'point-in-time' } })).rejects.toThrow(
      'credentials',
    );
    expectNothingLeft(w);
  });

  test('keeps the key when the data could not be deleted, and says so', async () => {
    const w = world();
    const notices: string[] = [];
    const cut = failNth('open', 0, failure);
    const kept = failNth('delete', 0, new StoreError('Deleting failed.'));
    w.store.faults = {
      before(call) {
        cut(call);
        kept(call);
      },
    };
    await expect(w.write(text, { onNotice: (notice) => void notices.push(notice) })).rejects.toThrow('The store said no.');
    expect(notices.join()).toContain('may be left in memory:; a later run removes it: Deleting failed.');
    expect(w.vault.keys.size).toBe(1);
    await expect(listBackups(w.store, 'prod')).resolves.toMatchObject([{ state: 'leftover' }]);
  });

  test.each(['before it was read', 'while it was read'])('tells the source to end (%s)', async (when) => {
    const w = world();
    const source = Readable.from(inPieces(noise(300_000), 1000));
    if (when === 'before it was read') w.vault.faults.wrap = () => Promise.reject(failure);
    else w.store.faults = { onPutChunk: () => fail(failure) };
    await expect(w.write(source, { compression: { algorithm: 'zstd', frameBytes: 4096 } })).rejects.toThrow('The store said no.');
    expect(source.destroyed).toBe(true);
  });
});

describe('a backup that is cancelled', () => {
  const phases: StoreCall[] = ['list', 'put', 'stat', 'open', 'write'];

  test.each(phases)('during %s leaves nothing', async (method) => {
    const w = world();
    const abort = new AbortController();
    w.store.faults = {
      before: (call) => {
        if (call.method === method) abort.abort();
      },
    };
    await expect(w.write(text, { signal: abort.signal })).rejects.toThrow(CancelledError);
    expectNothingLeft(w);
  });

  test('while the source hangs ends at once and leaves nothing', async () => {
    const w = world();
    const abort = new AbortController();
    async function* hanging(): AsyncGenerator<Buffer> {
      yield text;
      setTimeout(() => {
        abort.abort();
      }, 5);
      await new Promise(() => undefined);
    }
    await expect(w.write(hanging(), { signal: abort.signal })).rejects.toThrow(CancelledError);
    expectNothingLeft(w);
  });

  test('by losing its lock says so and leaves nothing', async () => {
    const w = world();
    w.store.faults = {
      before: (call) => {
        if (call.method === 'open') w.store.breakLock('prod/locks/mongodb');
      },
    };
    await expect(w.write(text)).rejects.toThrow('The lock of mongodb in memory: was lost');
    expectNothingLeft(w);
  });
});

describe('two runs', () => {
  test('at once: the second is refused and touches nothing', async () => {
    const w = world();
    await w.store.lock('prod/locks/mongodb', { owner: 'run 0', expiresAfter: 1000 });
    await expect(w.write(text)).rejects.toThrow(LockedError);
    expect(w.store.objects.size).toBe(0);
  });

  test('without a timestamp: two of one second get one each, and each is told before it is written', async () => {
    const w = world();
    const clock = { ...systemClock, now: () => new Date('2024-12-01T12:00:00Z') };
    const told: string[] = [];
    const backup = () => w.write(text, { timestamp: undefined, clock, lockWait: 60_000, onTimestamp: (timestamp) => told.push(timestamp) });
    const both = await Promise.all([backup(), backup()]);
    expect(both.map(({ timestamp }) => timestamp).sort()).toEqual(['20241201_120000', '20241201_120001']);
    expect(told).toEqual(['20241201_120000', '20241201_120001']);
  });

  test('with one timestamp: the second is refused, and the first stays whole', async () => {
    const w = world();
    await w.write(text);
    await expect(w.write(text)).rejects.toThrow(
      new ObjectExistsError('There is already a backup of mongodb at 20241201_120000 in memory:.'),
    );
    await expect(w.verify()).resolves.toBeDefined();
    w.store.objects.delete(w.manifest);
    await expect(w.write(text)).rejects.toThrow('the unfinished data of an interrupted run');
  });

  test('with one timestamp and no lock between them: neither data nor key of the first is touched', async () => {
    const w = world();
    await w.write(text);
    Object.assign(w.store, { list: () => inPieces(new Uint8Array(0)) });
    const keys = new Set(w.vault.keys.keys());
    await expect(w.write(text)).rejects.toThrow(ObjectExistsError);
    await expect(w.verify()).resolves.toBeDefined();
    for (const key of keys) expect(w.vault.keys.has(key)).toBe(true);
  });
});

describe('leftovers', () => {
  const day = 24 * 3600 * 1000;

  /** Data without a manifest, written so many milliseconds ago. */
  async function leftover(w: ReturnType<typeof world>, ageMs: number): Promise<void> {
    await w.write(text);
    w.store.objects.delete(w.manifest);
    w.store.age(w.data, new Date(Date.now() - ageMs));
  }
  const next = timestamp('20241202_120000');

  test('older than a day go with their keys at the next run', async () => {
    const w = world();
    await leftover(w, day + 1000);
    const notices: string[] = [];
    const result = await w.write(text, { timestamp: next, onNotice: (notice) => void notices.push(notice) });
    expect(result.leftoversRemoved).toBe(1);
    expect(notices).toEqual(['Removed what 1 interrupted run of mongodb left behind.']);
    expect(w.store.objects.has(w.data)).toBe(false);
    expect(w.vault.keys.size).toBe(1);
  });

  test('younger than a day stay', async () => {
    const w = world();
    await leftover(w, day - 60_000);
    expect((await w.write(text, { timestamp: next })).leftoversRemoved).toBe(0);
    expect(w.store.objects.has(w.data)).toBe(true);
  });

  test('keep their key while a copy in another store has the data, or may have it', async () => {
    const w = world();
    await leftover(w, day + 1000);
    const offsite = Object.assign(new MemoryStore(), { location: 'memory:offsite' });
    await offsite.write(w.data, new Uint8Array(1));
    await w.write(text, { timestamp: next, copies: [{ store: offsite, prefix: 'prod' }] });
    expect(w.store.objects.has(w.data)).toBe(false);
    expect(w.vault.keys.size).toBe(2);
  });

  test('keep their key while a store that got copies was not named and cannot be asked', async () => {
    const w = world();
    await leftover(w, day + 1000);
    const offsite = Object.assign(new MemoryStore(), { location: 'memory:offsite' });
    await recordCopies({ store: w.store, prefix: 'prod' }, { store: offsite, prefix: 'prod' }, 'mongodb', new Date());
    await w.write(text, { timestamp: next });
    expect(w.store.objects.has(w.data)).toBe(false);
    expect(w.vault.keys.size).toBe(2);
  });

  test('that are copies or half-pruned backups keep their key', async () => {
    for (const change of ['copy', 'pruned'] as const) {
      const w = world();
      await leftover(w, day + 1000);
      if (change === 'pruned') await w.store.write(`prod/mongodb/${TIME}/prune.json`, Buffer.from('{}'));
      const found = w.store.objects.get(w.data);
      if (change === 'copy' && found)
        w.store.objects.set(w.data, { ...found, info: { ...found.info, metadata: { ...found.info.metadata, origin: 'copy' } } });
      await w.write(text, { timestamp: next });
      expect(w.vault.keys.size).toBe(2);
    }
  });

  test('that cannot be removed are said, and the backup goes on', async () => {
    const w = world();
    await leftover(w, day + 1000);
    const notices: string[] = [];
    w.store.faults = { before: failNth('delete', 0, new StoreError('Deleting failed.')) };
    await w.write(text, { timestamp: next, onNotice: (notice) => void notices.push(notice) });
    expect(notices.join()).toContain('could not be removed: Deleting failed.');
  });
});

function fail(error: Error): never {
  throw error;
}
