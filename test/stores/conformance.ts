// What every kind of store must do: one suite, run on each of them.
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from '@jest/globals';
import { CancelledError } from '../../shared/step/errors.ts';
import { LockedError, ObjectExistsError, ObjectMissingError, StoreError } from '../../shared/stores/errors.ts';
import type { ObjectInfo, Store } from '../../shared/stores/store.ts';

export interface ConformanceOptions {
  /** A second, independent opening of the same store, as another process would have it. */
  reopen(): Promise<Store>;
  /** Absent for a store whose locks end with its process. */
  expiry?: {
    /** The shortest expiry the store can keep, milliseconds. */
    shortest: number;
    /** Takes a lock and never renews or releases it, as a killed process would. */
    abandonLock(name: string, owner: string): Promise<void>;
  };
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (value: Uint8Array | undefined): string | undefined => (value ? Buffer.from(value).toString() : undefined);

/** Yields a buffer that it reuses, as a reader of a file would; a store that keeps references to chunks stores garbage. */
async function* reusing(content: Uint8Array, chunkSize: number): AsyncGenerator<Uint8Array, void> {
  const buffer = Buffer.alloc(chunkSize);
  for (let at = 0; at < content.length; at += chunkSize) {
    const part = content.subarray(at, at + chunkSize);
    buffer.set(part);
    yield buffer.subarray(0, part.length);
    buffer.fill(0);
  }
}

async function* of(...chunks: Uint8Array[]): AsyncGenerator<Uint8Array, void> {
  for (const chunk of chunks) yield chunk;
}

async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of source) chunks.push(chunk);
  return Buffer.concat(chunks);
}

export async function listAll(objects: AsyncIterable<ObjectInfo>): Promise<ObjectInfo[]> {
  const found: ObjectInfo[] = [];
  for await (const object of objects) found.push(object);
  return found;
}

async function names(objects: AsyncIterable<ObjectInfo>): Promise<string[]> {
  return (await listAll(objects)).map((object) => object.name);
}

/** A folder of its own per test, so that tests do not see each other's objects. */
let counter = 0;
const fresh = (): string => `t${(counter += 1)}`;

/** Declares the suite. `open` is called in each test; the server is up by then. */
export function storeConformance(kind: string, open: () => Promise<Store>, getOptions: () => ConformanceOptions): void {
  describe(`${kind} as a store`, () => {
    objects(open);
    listings(open);
    failures(open, getOptions);
    locks(open, getOptions);
  });
}

function objects(open: () => Promise<Store>): void {
  test('gives back what was written, with its size, time, ETag and metadata', async () => {
    const store = await open();
    const name = `${fresh()}/20241201_120000/data`;
    const before = Date.now();
    const written = await store.write(name, bytes('hello'), {
      metadata: { size: '5', outcome: 'verified yes/no ~' },
      contentType: 'text/plain',
    });
    expect(text(await store.read(name))).toBe('hello');
    const info = await store.stat(name);
    expect(info).toEqual({ ...written, modified: info?.modified, ...(info?.tier ? { tier: info.tier } : {}) });
    expect(info).toMatchObject({ name, size: 5, metadata: { size: '5', outcome: 'verified yes/no ~' } });
    expect(Math.abs((info as ObjectInfo).modified.getTime() - before)).toBeLessThan(10_000);
    expect(info?.etag).toMatch(/^[^"]+$/);
  });

  test('streams an object whose size nobody knew, from a source that reuses its buffer', async () => {
    const store = await open();
    const name = `${fresh()}/data`;
    const content = randomBytes(20_000_003);
    const progress: number[] = [];
    let known = 0;
    const info = await store.put(name, reusing(content, 65_537), {
      sizeEstimate: 1000,
      metadata: () => ({ known: String(known) }),
      onProgress: (done) => progress.push((known = done)),
    });
    expect(info.size).toBe(content.length);
    expect(info.metadata).toEqual({ known: String(content.length) });
    expect(progress.at(-1)).toBe(content.length);
    expect(progress).toEqual([...progress].sort((a, b) => a - b));
    expect((await collect(store.open(name))).equals(content)).toBe(true);
    expect((await store.stat(name))?.metadata).toEqual({ known: String(content.length) });
  });

  test('takes a stream of many small chunks', async () => {
    const store = await open();
    const name = `${fresh()}/data`;
    const content = randomBytes(300_000);
    await store.put(name, reusing(content, 97));
    expect((await collect(store.open(name))).equals(content)).toBe(true);
  });

  test('keeps an object of zero bytes, streamed or written', async () => {
    const store = await open();
    const folder = fresh();
    await store.put(`${folder}/streamed`, of(), { metadata: { a: '1' } });
    await store.write(`${folder}/written`, new Uint8Array(), { ifAbsent: true });
    expect(await store.stat(`${folder}/streamed`)).toMatchObject({ size: 0, metadata: { a: '1' } });
    expect(await store.read(`${folder}/written`)).toHaveLength(0);
    expect(await collect(store.open(`${folder}/streamed`))).toHaveLength(0);
    expect(await names(store.list(`${folder}/`))).toEqual([`${folder}/streamed`, `${folder}/written`]);
  });

  test('reads ranges: from the middle, to the end, past the end, of nothing', async () => {
    const store = await open();
    const name = `${fresh()}/data`;
    const content = randomBytes(9_500_000);
    await store.put(name, of(content));
    for (const [offset, length] of [
      [0, 1],
      [4_194_300, 10],
      [9_499_999, 1],
      [5_000_000, undefined],
      [9_000_000, 10_000_000],
      [9_500_000, undefined],
      [17, 0],
    ] as const) {
      const range = { offset, ...(length === undefined ? {} : { length }) };
      const expected = content.subarray(offset, length === undefined ? undefined : offset + length);
      expect((await collect(store.open(name, range))).equals(expected)).toBe(true);
    }
    await expect(collect(store.open(name, { offset: 9_500_001 }))).rejects.toThrow(StoreError);
  });

  test('says undefined, false or ObjectMissingError of an object that is not there', async () => {
    const store = await open();
    const name = `${fresh()}/nothing`;
    expect(await store.read(name)).toBeUndefined();
    expect(await store.stat(name)).toBeUndefined();
    expect(await store.delete(name)).toBe(false);
    await expect(collect(store.open(name))).rejects.toThrow(ObjectMissingError);
  });

  test('refuses to read whole what is larger than expected', async () => {
    const store = await open();
    const name = `${fresh()}/data`;
    await store.write(name, randomBytes(1001));
    await expect(store.read(name, { maxBytes: 1000 })).rejects.toThrow(/1001 bytes/);
    expect(await store.read(name, { maxBytes: 1001 })).toHaveLength(1001);
  });

  test('replaces an object and its metadata together', async () => {
    const store = await open();
    const name = `${fresh()}/status.json`;
    const first = await store.write(name, bytes('one'), { metadata: { version: '1', old: 'yes' } });
    const second = await store.write(name, bytes('two'), { metadata: { version: '2' } });
    expect(second.etag).not.toBe(first.etag);
    expect(text(await store.read(name))).toBe('two');
    expect((await store.stat(name))?.metadata).toEqual({ version: '2' });
    await store.write(name, bytes('six'));
    expect((await store.stat(name))?.metadata).toEqual({});
  });

  test('replaces the metadata alone, whatever its size and however it was written', async () => {
    const store = await open();
    const folder = fresh();
    for (const [name, size] of [
      ['small', 10],
      ['large', 7_000],
    ] as const) {
      const object = `${folder}/${name}`;
      await store.put(object, of(bytes('content')), { metadata: () => ({ first: '1' }) });
      await store.setMetadata(object, { second: 'x'.repeat(size) });
      expect(await store.stat(object)).toMatchObject({ size: 7, metadata: { second: 'x'.repeat(size) } });
      await store.setMetadata(object, { third: '3' });
      expect((await store.stat(object))?.metadata).toEqual({ third: '3' });
      expect(text(await store.read(object))).toBe('content');
      expect(await store.delete(object)).toBe(true);
    }
    await expect(store.setMetadata(`${folder}/nothing`, { a: '1' })).rejects.toThrow('nothing is not in');
  });

  test('deletes once, and forgets the metadata', async () => {
    const store = await open();
    const name = `${fresh()}/deep/er/data`;
    await store.write(name, bytes('one'), { metadata: { a: '1' } });
    expect(await store.delete(name)).toBe(true);
    expect(await store.delete(name)).toBe(false);
    await store.write(name, bytes('two'));
    expect((await store.stat(name))?.metadata).toEqual({});
  });

  test('lets exactly one of many writers create a name, whether they write or stream', async () => {
    const store = await open();
    for (const write of [
      (name: string, content: Uint8Array) => store.write(name, content, { ifAbsent: true, metadata: { writer: text(content) as string } }),
      (name: string, content: Uint8Array) =>
        store.put(name, of(content), { ifAbsent: true, metadata: { writer: text(content) as string } }),
    ]) {
      const name = `${fresh()}/manifest.json`;
      const results = await Promise.allSettled(Array.from({ length: 8 }, (_, index) => write(name, bytes(`writer ${index}`))));
      const winners = results.flatMap((result, index) => (result.status === 'fulfilled' ? [index] : []));
      expect(winners).toHaveLength(1);
      for (const result of results) if (result.status === 'rejected') expect(result.reason).toBeInstanceOf(ObjectExistsError);
      expect(text(await store.read(name))).toBe(`writer ${winners[0] as number}`);
      expect((await store.stat(name))?.metadata).toEqual({ writer: `writer ${winners[0] as number}` });
    }
  });

  test('delivers one version, or says so, when an object is replaced while it is read', async () => {
    const store = await open();
    const name = `${fresh()}/data`;
    const old = Buffer.alloc(40_000_000, 1);
    await store.put(name, of(old));
    const read: Uint8Array[] = [];
    let failure: unknown;
    try {
      for await (const chunk of store.open(name)) {
        if (read.length === 0) await store.put(name, of(Buffer.alloc(40_000_000, 2)));
        read.push(chunk);
      }
    } catch (thrown) {
      failure = thrown;
    }
    expect(Buffer.concat(read).includes(2)).toBe(false);
    if (failure === undefined) expect(Buffer.concat(read).equals(old)).toBe(true);
    else expect(failure).toBeInstanceOf(StoreError);
  });
}

function listings(open: () => Promise<Store>): void {
  test('lists by prefix in the order of names, with metadata', async () => {
    const store = await open();
    const folder = fresh();
    const created = ['b/data', 'a', 'a-b', 'a.b', 'a1/x', 'B', 'b/manifest.json', 'ä/é', 'b0', 'z/𝛼'];
    for (const name of created) await store.write(`${folder}/${name}`, bytes(name), { metadata: { length: String(name.length) } });
    const sorted = created.map((name) => `${folder}/${name}`).sort();
    expect(await names(store.list(`${folder}/`))).toEqual(sorted);
    expect(await names(store.list(`${folder}/b`))).toEqual(sorted.filter((name) => name.startsWith(`${folder}/b`)));
    expect(await names(store.list(`${folder}/b/`))).toEqual([`${folder}/b/data`, `${folder}/b/manifest.json`]);
    expect(await names(store.list(`${folder}/nothing/`))).toEqual([]);
    for await (const info of store.list(`${folder}/`)) {
      expect(info.metadata).toEqual({ length: String(info.name.length - folder.length - 1) });
      expect(info).toEqual(await store.stat(info.name));
    }
  });

  test('lists more objects than fit on a page of any size, and stops when the reader does', async () => {
    const store = await open();
    const folder = fresh();
    const created = Array.from({ length: 120 }, (_, index) => `${folder}/${String(index).padStart(4, '0')}/manifest.json`);
    await Promise.all(created.map((name) => store.write(name, bytes('x'))));
    expect(await names(store.list(`${folder}/`))).toEqual(created);
    for await (const info of store.list(`${folder}/`)) {
      expect(info.name).toBe(created[0]);
      break;
    }
  });

  test('keeps hostile but legal names as they are', async () => {
    const store = await open();
    const folder = fresh();
    const hostile = [
      ' leading and trailing ',
      '%2e%2e%2f',
      '%',
      '?a=b&c#d',
      '+plus',
      'it\'s "quoted" $(id) `id` ;|<>*',
      '-rf',
      '..hidden',
      '...',
      'ünïcödé-ñ-中文-🛟',
      `${'é'.repeat(127)}x`,
    ].filter((name) => !name.endsWith('.'));
    for (const name of hostile) await store.write(`${folder}/${name}`, bytes(name), { metadata: { a: 'b' } });
    const listed = await names(store.list(`${folder}/`));
    expect(new Set(listed)).toEqual(new Set(hostile.map((name) => `${folder}/${name}`)));
    for (const name of listed) {
      expect(text(await store.read(name))).toBe(name.slice(folder.length + 1));
      expect(await store.delete(name)).toBe(true);
    }
  });

  test('refuses names that could leave the store or mean two things', async () => {
    const store = await open();
    const folder = fresh();
    const refused = [
      '',
      '/a',
      'a/',
      'a//b',
      '..',
      '../a',
      'a/../b',
      '.',
      './a',
      'a/.',
      'a\nb',
      'a\0b',
      'a\\b',
      'a.',
      '.lifeboat/locks',
      '\ud800',
    ];
    for (const name of [...refused, `${folder}/${'x'.repeat(256)}`, 'a/'.repeat(600) + 'a']) {
      await expect(store.write(name, bytes('x'))).rejects.toThrow(StoreError);
      await expect(store.read(name)).rejects.toThrow(StoreError);
      await expect(store.delete(name)).rejects.toThrow(StoreError);
      await expect(collect(store.open(name))).rejects.toThrow(StoreError);
    }
    await expect(names(store.list('../'))).rejects.toThrow(StoreError);
    await expect(names(store.list('a/../../'))).rejects.toThrow(StoreError);
  });

  test('refuses metadata that would not arrive unchanged', async () => {
    const store = await open();
    const name = `${fresh()}/data`;
    for (const metadata of [{ Upper: 'x' }, { a_b: 'x' }, { a: 'ü' }, { a: 'line\nbreak' }, { a: ' padded' }, { a: 'x'.repeat(9000) }]) {
      await expect(store.write(name, bytes('x'), { metadata: metadata as Record<string, string> })).rejects.toThrow(StoreError);
    }
    expect(await store.stat(name)).toBeUndefined();
  });
}

function failures(open: () => Promise<Store>, getOptions: () => ConformanceOptions): void {
  test('shows nothing of a write until its last byte is safe', async () => {
    const store = await open();
    const other = await getOptions().reopen();
    const folder = fresh();
    const seen: unknown[] = [];
    async function* watched(): AsyncGenerator<Uint8Array, void> {
      for (let index = 0; index < 4; index += 1) {
        yield randomBytes(9_000_000);
        seen.push(await other.stat(`${folder}/data`), await names(other.list(`${folder}/`)));
      }
    }
    await store.put(`${folder}/data`, watched());
    expect(seen).toEqual([undefined, [], undefined, [], undefined, [], undefined, []]);
    expect(await names(other.list(`${folder}/`))).toEqual([`${folder}/data`]);
  });

  test('leaves nothing behind when the source throws, and passes its error on', async () => {
    const store = await open();
    const folder = fresh();
    const failure = new Error('mongodump ended with exit code 1');
    async function* breaking(): AsyncGenerator<Uint8Array, void> {
      yield randomBytes(20_000_000);
      throw failure;
    }
    await expect(store.put(`${folder}/data`, breaking())).rejects.toBe(failure);
    expect(await store.stat(`${folder}/data`)).toBeUndefined();
    expect(await names(store.list(`${folder}/`))).toEqual([]);
    expect(await store.sweep(`${folder}/`, new Date(Date.now() + 60_000))).toBe(0);
  });

  test('keeps the old object when a write over it fails', async () => {
    const store = await open();
    const name = `${fresh()}/status.json`;
    await store.write(name, bytes('old'), { metadata: { version: '1' } });
    async function* breaking(): AsyncGenerator<Uint8Array, void> {
      yield bytes('new');
      throw new Error('broken');
    }
    await expect(store.put(name, breaking(), { metadata: { version: '2' } })).rejects.toThrow('broken');
    expect(text(await store.read(name))).toBe('old');
    expect((await store.stat(name))?.metadata).toEqual({ version: '1' });
  });

  test('stops at once when cancelled, even while the source is silent, and leaves nothing', async () => {
    const store = await open();
    const folder = fresh();
    const cancel = new AbortController();
    async function* silent(): AsyncGenerator<Uint8Array, void> {
      yield randomBytes(20_000_000);
      await delay(60_000, undefined, { ref: false });
    }
    setTimeout(() => {
      cancel.abort();
    }, 300);
    const started = performance.now();
    await expect(store.put(`${folder}/data`, silent(), { signal: cancel.signal })).rejects.toThrow(CancelledError);
    expect(performance.now() - started).toBeLessThan(5000);
    expect(await names(store.list(`${folder}/`))).toEqual([]);
    await expect(store.put(`${folder}/data`, of(bytes('x')), { signal: cancel.signal })).rejects.toThrow(CancelledError);
    expect(await store.stat(`${folder}/data`)).toBeUndefined();
  });

  test('stops reading when cancelled', async () => {
    const store = await open();
    const name = `${fresh()}/data`;
    await store.put(name, of(randomBytes(30_000_000)));
    const cancel = new AbortController();
    const reading = async (): Promise<void> => {
      for await (const chunk of store.open(name, { signal: cancel.signal })) if (chunk.length > 0) cancel.abort();
    };
    await expect(reading()).rejects.toThrow(CancelledError);
  });
}

function locks(open: () => Promise<Store>, getOptions: () => ConformanceOptions): void {
  test('gives a lock to one of many, names the holder to the others, and frees it on release', async () => {
    const store = await open();
    const other = await getOptions().reopen();
    const name = `${fresh()}/lock`;
    const expiresAfter = 20_000;
    const attempts = await Promise.allSettled(
      Array.from({ length: 6 }, (_, index) => (index % 2 ? store : other).lock(name, { owner: `run ${index} on höst`, expiresAfter })),
    );
    const held = attempts.filter((attempt) => attempt.status === 'fulfilled');
    expect(held).toHaveLength(1);
    for (const attempt of attempts) if (attempt.status === 'rejected') expect(attempt.reason).toBeInstanceOf(LockedError);
    await expect(other.lock(name, { owner: 'late', expiresAfter })).rejects.toThrow(/locked by run \d on höst/);
    const lock = (held[0] as (typeof held)[0]).value;
    expect(lock.lost.aborted).toBe(false);
    await lock.release();
    await lock.release();
    expect(lock.lost.aborted).toBe(false);
    const taken: string[] = [];
    const next = await other.lock(name, { owner: 'next', expiresAfter, onTakeover: (previous) => taken.push(previous) });
    expect(taken).toEqual([]);
    await next.release();
  });

  test('renews a lock for as long as it is held, and lets one other take it over when its holder is dead', async () => {
    const store = await open();
    const other = await getOptions().reopen();
    const folder = fresh();
    const { expiry } = getOptions();
    if (!expiry) return;
    const expiresAfter = expiry.shortest;
    const kept = await store.lock(`${folder}/kept`, { owner: 'alive', expiresAfter });
    await expiry.abandonLock(`${folder}/dead`, 'killed run');
    await expect(other.lock(`${folder}/dead`, { owner: 'early', expiresAfter })).rejects.toThrow(/killed run/);
    await delay(expiresAfter * 1.5);
    await expect(other.lock(`${folder}/kept`, { owner: 'thief', expiresAfter })).rejects.toThrow(LockedError);
    expect(kept.lost.aborted).toBe(false);
    const taken: string[] = [];
    const attempts = await Promise.allSettled(
      Array.from({ length: 6 }, (_, index) =>
        (index % 2 ? store : other).lock(`${folder}/dead`, {
          owner: `heir ${index}`,
          expiresAfter,
          onTakeover: (previous) => taken.push(previous),
        }),
      ),
    );
    expect(attempts.filter((attempt) => attempt.status === 'fulfilled')).toHaveLength(1);
    expect(taken).toEqual(['killed run']);
    for (const attempt of attempts) if (attempt.status === 'fulfilled') await attempt.value.release();
    await kept.release();
  });
}
