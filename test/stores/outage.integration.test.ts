// A store that goes away for a while in the middle of an upload or a read: waited for, then gone on where it was.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { CancelledError, VerificationError } from '../../shared/step/errors.ts';
import { ObjectExistsError, StoreError } from '../../shared/stores/errors.ts';
import { openStore, type OpenStoreOptions, type StoreConfig } from '../../shared/stores/open.ts';
import type { Store } from '../../shared/stores/store.ts';
import { systemClock, type Clock } from '../../shared/tools/clock.ts';
import { startAzurite, type Azurite } from '../backends/azurite.ts';
import { startFaultProxy } from '../backends/fault-proxy.ts';
import { startOutageProxy, type OutageProxy } from '../backends/outage-proxy.ts';
import { sshd, startSshd } from '../backends/sshd.ts';
import { startVersitygw, versitygw } from '../backends/versitygw.ts';
import { describeIf } from '../support/needs.ts';
import { listAll } from './conformance.ts';

const MIB = 1 << 20;
const BYTES = 36 * MIB + 5;
/** A test that is tried again finds nothing of its first try. */
let folders = 0;
const fresh = (name: string): string => `${name}-${(folders += 1)}`;
/** Waits a tenth of a second where a minute is meant. */
const hasty: Clock = { ...systemClock, sleep: (milliseconds, signal) => systemClock.sleep(Math.min(milliseconds, 100), signal) };

/** A server behind a proxy. */
interface Weather {
  proxy: OutageProxy;
  /** The store behind the proxy, and the way past it. */
  open(folder: string, options?: OpenStoreOptions): Promise<Store>;
  openDirectly(folder: string): Promise<Store>;
  stop(): Promise<void>;
}

async function* inPieces(content: Uint8Array, onPiece: (at: number) => void = () => undefined): AsyncGenerator<Uint8Array, void> {
  for (let at = 0; at < content.length; at += MIB) {
    onPiece(at);
    yield content.subarray(at, at + MIB);
  }
}

async function collect(source: AsyncIterable<Uint8Array>, onBytes: (bytes: number) => void = () => undefined): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of source) {
    chunks.push(Buffer.from(chunk));
    onBytes((bytes += chunk.length));
  }
  return Buffer.concat(chunks);
}

/** Declares the suite for one kind of store. */
function outages(start: () => Promise<Weather>): void {
  let weather: Weather;
  beforeAll(async () => {
    weather = await start();
  });
  afterAll(async () => {
    await weather.stop();
  });
  afterEach(async () => {
    await weather.proxy.up();
  });

  test('an upload goes on where it was: nothing lost, nothing double, nothing left over, and the log says so', async () => {
    const notices: string[] = [];
    const folder = fresh('upload');
    const store = await weather.open(folder, {
      clock: hasty,
      notice: (message) => {
        notices.push(message);
        // Back once it has been missed.
        setTimeout(() => void weather.proxy.up(), 300);
      },
    });
    const content = randomBytes(BYTES);
    const taken: number[] = [];
    const source = inPieces(content, (at) => {
      taken.push(at);
      if (at === 20 * MIB) void weather.proxy.down();
    });
    const progress: number[] = [];
    const info = await store.put('a/data', source, { ifAbsent: true, onProgress: (done) => progress.push(done) });
    expect(info.size).toBe(content.length);
    // The source was read once, from its beginning to its end.
    expect(taken).toEqual(Array.from({ length: 37 }, (_, index) => index * MIB));
    expect(progress.at(-1)).toBe(content.length);
    const direct = await weather.openDirectly(folder);
    expect((await collect(direct.open('a/data'))).equals(content)).toBe(true);
    expect((await listAll(direct.list(''))).map(({ name }) => name)).toEqual(['a/data']);
    expect(await direct.sweep('', new Date(Date.now() + 60_000))).toBe(0);
    expect(notices[0]).toMatch(
      / has not answered since \d\d:\d\d:\d\d UTC \(.+\)\. Waiting up to 15m 00s for it; nothing is lost meanwhile\.$/,
    );
    expect(notices.at(-1)).toMatch(/ answers again after \d.*s: going on where it was\.$/);
  });

  test('a read goes on where it was', async () => {
    const content = randomBytes(BYTES);
    const folder = fresh('read');
    await (await weather.openDirectly(folder)).put('data', inPieces(content));
    const store = await weather.open(folder, { clock: hasty });
    let hit = false;
    const read = await collect(store.open('data', { offset: 3 }), (bytes) => {
      if (hit || bytes < 10 * MIB) return;
      hit = true;
      weather.proxy.outage(1500);
    });
    expect(hit).toBe(true);
    expect(read.equals(content.subarray(3))).toBe(true);
  });

  test('after the limit it fails, says how long it waited, and leaves nothing that looks like an object', async () => {
    const folder = fresh('limit');
    const store = await weather.open(folder, { clock: hasty, patience: 1000 });
    const source = inPieces(randomBytes(30 * MIB), (at) => {
      if (at === 12 * MIB) void weather.proxy.down();
    });
    const failure = await store.put('data', source, { ifAbsent: true }).catch((thrown: unknown) => thrown);
    await weather.proxy.up();
    expect(failure).toBeInstanceOf(StoreError);
    expect((failure as StoreError).message).toMatch(/127\.0\.0\.1.* It was waited for [\d.]+s\.$/);
    const direct = await weather.openDirectly(folder);
    expect(await listAll(direct.list(''))).toEqual([]);
    expect(await direct.sweep('', new Date(Date.now() + 60_000))).toBeLessThanOrEqual(1);
    expect(await direct.sweep('', new Date(Date.now() + 60_000))).toBe(0);
  });

  test('an upload goes on in another run where it was interrupted, and only with the same bytes', async () => {
    const store = await weather.openDirectly(fresh('resumed'));
    const content = randomBytes(BYTES);
    async function* interrupted(): AsyncGenerator<Uint8Array, void> {
      yield* inPieces(content.subarray(0, 30 * MIB));
      // Some time for the parts that are on their way.
      await delay(1500);
      throw new StoreError('gone');
    }
    const offsets: number[] = [];
    const resume = (identity: string, bytes: Uint8Array) => ({
      identity,
      from: (offset: number) => {
        offsets.push(offset);
        return inPieces(bytes.subarray(offset));
      },
    });
    await expect(store.put('data', interrupted(), { ifAbsent: true, resume: resume('one', content) })).rejects.toThrow('gone');
    expect(await listAll(store.list(''))).toEqual([]);

    const other = randomBytes(10 * MIB);
    await store.put('other', inPieces(other), { ifAbsent: true, resume: resume('two', other) });
    await store.put('data-of-another', inPieces(other), { ifAbsent: true, resume: resume('one', other) });
    expect(offsets).toEqual([]);

    const progress: number[] = [];
    const info = await store.put('data', inPieces(content), {
      ifAbsent: true,
      resume: resume('one', content),
      onProgress: (done) => progress.push(done),
    });
    expect(info.size).toBe(content.length);
    expect(offsets).toHaveLength(1);
    expect(offsets[0]).toBeGreaterThanOrEqual(8 * MIB);
    expect(offsets[0]).toBeLessThanOrEqual(30 * MIB);
    expect([progress[0], progress.at(-1)]).toEqual([offsets[0], content.length]);
    expect((await collect(store.open('data'))).equals(content)).toBe(true);
    expect((await collect(store.open('data-of-another'))).equals(other)).toBe(true);
    expect(await store.sweep('', new Date(Date.now() + 60_000))).toBe(0);

    // What was wrong with the bytes themselves is not kept.
    async function* damaged(): AsyncGenerator<Uint8Array, void> {
      yield* inPieces(content.subarray(0, 20 * MIB));
      throw new VerificationError('damaged');
    }
    await expect(store.put('bad', damaged(), { resume: resume('three', content) })).rejects.toThrow('damaged');
    expect(await store.sweep('', new Date(Date.now() + 60_000))).toBe(0);
  });

  test('a store that has never answered is not waited for', async () => {
    await weather.proxy.down();
    const notices: string[] = [];
    const store = await weather.open('never', { clock: hasty, notice: (message) => notices.push(message) });
    await expect(store.stat('data')).rejects.toThrow(/127\.0\.0\.1.*(cannot be reached|ECONNREFUSED)/);
    await weather.proxy.up();
    expect(notices).toEqual([]);
  });

  test('a limit in time of the caller names what was in the way, and a cancel is a cancel', async () => {
    const store = await weather.open('limited', { clock: hasty });
    await store.stat('data');
    await weather.proxy.down();
    await expect(store.stat('data', AbortSignal.timeout(700))).rejects.toThrow(/127\.0\.0\.1.*(cannot be reached|did not answer in time)/);
    const cancel = new AbortController();
    setTimeout(() => {
      cancel.abort();
    }, 700);
    await expect(store.stat('data', cancel.signal)).rejects.toThrow(/^Cancelled/);
    await weather.proxy.up();
  });

  test('a cancel is noticed while the server is silent, and the lock is let go', async () => {
    const store = await weather.open(fresh('silent'));
    const lock = await store.lock('mongodb', { owner: 'me', expiresAfter: 60_000, resumable: true });
    const cancel = new AbortController();
    let cancelled = 0;
    const source = inPieces(randomBytes(BYTES), (at) => {
      if (at !== 12 * MIB) return;
      weather.proxy.silence();
      setTimeout(() => {
        cancelled = performance.now();
        cancel.abort();
      }, 500);
    });
    await expect(store.put('data', source, { ifAbsent: true, signal: cancel.signal })).rejects.toThrow(CancelledError);
    await lock.release();
    expect(cancelled).toBeGreaterThan(0);
    // What is tidied up has its own time limits; a request alone may take a minute and longer.
    expect(performance.now() - cancelled).toBeLessThan(30_000);
  });
}

describe('Azure Blob', () => {
  let azurite: Azurite;
  let address: string;
  let tokens = 0;
  /** Says that it is good for two seconds: a wait outlives it. */
  const credential = {
    getToken: async () => {
      tokens += 1;
      return { token: azurite.token({ expiresInSeconds: 20 }), expiresOnTimestamp: Date.now() + 2000 };
    },
  };

  outages(async () => {
    azurite = await startAzurite();
    address = await azurite.createContainer('outages');
    const proxy = await startOutageProxy(Number(new URL(address).port));
    const through = new URL(address);
    through.port = String(proxy.port);
    return {
      proxy,
      open: (folder, options) => openStore(`${through.href}/${folder}`, { credential: () => credential, ...options }),
      openDirectly: (folder) => openStore(`${address}/${folder}`, { credential: () => azurite.credential }),
      async stop() {
        await proxy.stop();
        await azurite.stop();
      },
    };
  });

  test('a token that ran out meanwhile is renewed', () => {
    expect(tokens).toBeGreaterThan(6);
  });

  test('a block whose answer was lost is asked for, not sent again', async () => {
    const origin = new URL(address).origin;
    const proxy = await startFaultProxy({ target: origin, certificate: azurite.certificate });
    try {
      const store = await openStore(`${address.replace(origin, proxy.origin)}/asked`, {
        credential: () => azurite.credential,
        clock: hasty,
      });
      await store.stat('data');
      // All attempts of one round, and those of the question after it.
      for (const operation of ['block', 'blocks']) proxy.faults.add({ operation, times: 6, effect: { kind: 'answerLost' } });
      await store.put('data', inPieces(randomBytes(1000)));
      const sent = proxy.seen.map(({ operation }) => operation).filter((operation) => operation.startsWith('block'));
      expect(sent.filter((operation) => operation === 'block')).toHaveLength(6);
      expect(sent.filter((operation) => operation === 'blocks')).toHaveLength(7);
      expect(await store.read('data')).toHaveLength(1000);
    } finally {
      await proxy.stop();
    }
  });

  test('a lock that ran out while the store was away, and that nobody took, is given back without a trace', async () => {
    const origin = new URL(address).origin;
    const proxy = await startFaultProxy({ target: origin, certificate: azurite.certificate });
    try {
      const store = await openStore(`${address.replace(origin, proxy.origin)}/lapsed`, { credential: () => azurite.credential });
      const lock = await store.lock('mongodb', { owner: 'me', expiresAfter: 15_000, resumable: true });
      proxy.faults.add({ operation: 'lease', times: Infinity, effect: { kind: 'busy' } });
      await delay(16_500);
      proxy.faults.clear();
      await lock.release();
      expect(lock.lost.aborted).toBe(false);
      expect(await store.stat('mongodb')).toBeUndefined();
    } finally {
      await proxy.stop();
    }
  });

  test('a small object whose answer was lost is known again; that of somebody else is not', async () => {
    const origin = new URL(address).origin;
    const proxy = await startFaultProxy({ target: origin, certificate: azurite.certificate });
    try {
      const store = await openStore(`${address.replace(origin, proxy.origin)}/known`, {
        credential: () => azurite.credential,
        clock: hasty,
      });
      const bytes = Buffer.from('{"version":1}');
      proxy.faults.add({ operation: 'upload', times: 2, effect: { kind: 'answerLost' } });
      const written = await store.write('manifest.json', bytes, { ifAbsent: true, metadata: { a: '1' } });
      expect(written).toEqual(await store.stat('manifest.json'));
      expect(proxy.seen.filter(({ operation }) => operation === 'upload')).toHaveLength(3);
      for (const [other, metadata] of [
        ['{"version":2}', { a: '1' }],
        ['{"version":1}', { a: '2' }],
      ] as const) {
        proxy.faults.add({ operation: 'upload', effect: { kind: 'cut' } });
        await expect(store.write('manifest.json', Buffer.from(other), { ifAbsent: true, metadata })).rejects.toThrow(ObjectExistsError);
      }
      // Without a lost answer, equal bytes are somebody else's, too.
      await expect(store.write('manifest.json', bytes, { ifAbsent: true, metadata: { a: '1' } })).rejects.toThrow(ObjectExistsError);
    } finally {
      await proxy.stop();
    }
  });
});

const s3Tool = await versitygw();
describeIf('program' in s3Tool, 'missing' in s3Tool ? s3Tool.missing : '')('S3', () => {
  let weather: Weather;
  outages(async () => {
    const server = await startVersitygw((s3Tool as { program: string }).program);
    const { endpoint, region, accessKeyId, secretAccessKey } = server;
    const raw = new S3Client({ endpoint, region, forcePathStyle: true, credentials: { accessKeyId, secretAccessKey } });
    await raw.send(new CreateBucketCommand({ Bucket: 'backups' }));
    raw.destroy();
    const proxy = await startOutageProxy(Number(new URL(endpoint).port));
    const config = (prefix: string, at: string): StoreConfig => ({
      ...{ kind: 's3', bucket: 'backups', region, accessKeyId, secretAccessKey },
      ...{ prefix, endpoint: at },
    });
    weather = {
      proxy,
      open: (folder, options) => openStore(config(folder, `http://127.0.0.1:${proxy.port}`), options),
      openDirectly: (folder) => openStore(config(folder, endpoint)),
      async stop() {
        await proxy.stop();
        await server.stop();
      },
    };
    return weather;
  });

  test('a lock outlives an outage longer than its expiry when nobody took it, and is lost when somebody did', async () => {
    const folder = fresh('locks');
    const store = await weather.open(folder, { clock: hasty });
    const options = { owner: 'me', expiresAfter: 1200, resumable: true };
    const kept = await store.lock('kept', options);
    const taken = await store.lock('taken', options);
    const plain = await store.lock('plain', { ...options, resumable: false });
    await weather.proxy.down();
    // S3 tells times in whole seconds.
    await delay(3800);
    expect([kept.lost.aborted, taken.lost.aborted, plain.lost.aborted]).toEqual([false, false, true]);
    const other = await (await weather.openDirectly(folder)).lock('taken', { owner: 'other', expiresAfter: 60_000 });
    await weather.proxy.up();
    if (!taken.lost.aborted) await once(taken.lost, 'abort');
    expect([kept.lost.aborted, taken.lost.aborted]).toEqual([false, true]);
    await Promise.all([kept.release(), taken.release(), plain.release(), other.release()]);
  });
});

const sftpTool = await sshd();
describeIf('program' in sftpTool, 'missing' in sftpTool ? sftpTool.missing : '')('SFTP', () => {
  outages(async () => {
    const server = await startSshd();
    const proxy = await startOutageProxy(server.port);
    const { host, user, fingerprint, keyFile } = server;
    const config = (folder: string, port: number): StoreConfig => ({
      ...{ kind: 'sftp', host, port, user, fingerprint, keyFile },
      path: join(server.folder, folder),
    });
    return {
      proxy,
      open: (folder, options) => openStore(config(folder, proxy.port), options),
      openDirectly: (folder) => openStore(config(folder, server.port)),
      async stop() {
        await proxy.stop();
        await server.stop();
      },
    };
  });
});
