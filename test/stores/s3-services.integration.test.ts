// The s3 store on services as they are: without AWS's checksums, and without conditional writes.
import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { storeChecks } from '../../shared/doctor/store.ts';
import { openStore } from '../../shared/stores/open.ts';
import type { Store } from '../../shared/stores/store.ts';
import { systemClock } from '../../shared/tools/clock.ts';
import { startQuirkyS3, type QuirkyS3, type S3Quirk } from '../backends/quirky-s3.ts';
import { storeConformance } from './conformance.ts';

const servers: QuirkyS3[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.stop()));
});

function openAt({ endpoint }: QuirkyS3): Promise<Store> {
  return openStore({ kind: 's3', bucket: 'backups', region: 'x', endpoint, accessKeyId: 'id', secretAccessKey: 'key' });
}

async function storeWith(quirk: S3Quirk): Promise<{ store: Store; server: QuirkyS3 }> {
  const server = await startQuirkyS3(quirk);
  servers.push(server);
  return { store: await openAt(server), server };
}

async function* bytesOf(size: number): AsyncGenerator<Uint8Array> {
  for (let left = size; left > 0; left -= 1 << 20) yield Buffer.alloc(Math.min(left, 1 << 20), left % 251);
}

async function checkStore(store: Store): Promise<{ status: string; seen: string }> {
  const [access] = storeChecks({
    store,
    prefix: 'shop',
    clock: systemClock,
    estimate: async () => undefined,
    grant: async () => undefined,
  });
  return (access as typeof access & object).look(AbortSignal.timeout(20_000));
}

describe('a service that refuses x-amz-checksum-*', () => {
  let server: QuirkyS3;
  afterAll(() => server.stop());
  storeConformance(
    's3',
    async () => openAt((server = await startQuirkyS3('no-checksums'))),
    () => ({ reopen: () => openAt(server) }),
  );
});

test.each([
  ['none', ['x-amz-checksum-crc32c']],
  ['no-checksums', ['content-md5']],
  ['no-digests', []],
] as const)('%s: small and large objects are guarded as the service takes it', async (quirk, guards) => {
  const { store, server } = await storeWith(quirk);
  await store.write('small', Buffer.from('x'), { ifAbsent: true });
  const size = 40 << 20;
  await store.put('large', bytesOf(size), { ifAbsent: true });
  const parts: Uint8Array[] = [];
  for await (const part of store.open('large')) parts.push(Buffer.from(part));
  const expected: Uint8Array[] = [];
  for await (const part of bytesOf(size)) expected.push(part);
  expect(Buffer.concat(parts).equals(Buffer.concat(expected))).toBe(true);
  expect([...server.guards].filter((name) => name !== 'x-amz-checksum-algorithm')).toEqual(guards);
});

describe('a service that ignores the conditions of a write', () => {
  test('is refused by the first lock, and keeps no lock of it', async () => {
    const { store, server } = await storeWith('ignores-conditions');
    const refused = store.lock('mongodb', { owner: 'me', expiresAfter: 60_000 });
    await expect(refused).rejects.toThrow(/overwrites what it is told not to: it ignores the conditions of a write\.$/);
    await expect(refused).rejects.toMatchObject({ fix: expect.stringContaining('If-None-Match') });
    expect([...server.objects.keys()].filter((key) => key.includes('locks'))).toEqual([]);
  });

  test('is found by doctor', async () => {
    const { store } = await storeWith('ignores-conditions');
    expect(await checkStore(store)).toMatchObject({
      status: 'failed',
      seen: expect.stringContaining('written twice under one name'),
    });
  });
});

test('a service without conditional writes is told as such, not as one that is away', async () => {
  const { store } = await storeWith('no-conditions');
  const refused = store.lock('mongodb', { owner: 'me', expiresAfter: 60_000 });
  await expect(refused).rejects.toThrow(/does not have what a store needs \(NotImplemented\)/);
  await expect(refused).rejects.toMatchObject({ fix: expect.not.stringContaining('later') });
  expect(await checkStore(store)).toMatchObject({ status: 'failed', seen: expect.stringContaining('NotImplemented') });
});

test('a service that keeps conditions passes the check and gives locks', async () => {
  const { store } = await storeWith('none');
  expect(await checkStore(store)).toMatchObject({ status: 'ok' });
  const lock = await store.lock('mongodb', { owner: 'me', expiresAfter: 60_000 });
  await lock.release();
});
