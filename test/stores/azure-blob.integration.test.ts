// The azure-blob store on Azurite, over https, signed in with bearer tokens.
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ContainerClient } from '@azure/storage-blob';
import { ObjectExistsError, StoreError } from '../../shared/stores/errors.ts';
import { transferChecksum } from '../../shared/stores/azure/checksum.ts';
import { AzureContainer } from '../../shared/stores/azure/container.ts';
import { putBlob } from '../../shared/stores/azure/put.ts';
import { openStore } from '../../shared/stores/open.ts';
import type { Store } from '../../shared/stores/store.ts';
import { startAzurite, type Azurite } from '../backends/azurite.ts';
import { listAll, storeConformance } from './conformance.ts';

let azurite: Azurite;
let address: string;
let raw: ContainerClient;
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

beforeAll(async () => {
  azurite = await startAzurite();
  address = await azurite.createContainer('backups');
  raw = new ContainerClient(address, azurite.credential);
});

afterAll(async () => {
  await azurite.stop();
});

const openAt = (path: string): Promise<Store> => openStore(`${address}${path}`, { credential: () => azurite.credential });

storeConformance(
  'azure-blob',
  () => openAt('/conformance'),
  () => ({
    reopen: () => openAt('/conformance'),
    expiry: {
      shortest: 15_000,
      async abandonLock(name, owner) {
        const blob = raw.getBlockBlobClient(`conformance/${name}`);
        await blob.upload('', 0, { metadata: { owner: encodeURIComponent(owner) } });
        await blob.getBlobLeaseClient().acquireLease(15);
      },
    },
  }),
);

async function* of(...chunks: Uint8Array[]): AsyncGenerator<Uint8Array, void> {
  for (const chunk of chunks) yield chunk;
}

describe('azure-blob store', () => {
  test('keeps a SAS out of its location and works with no more than the permissions it names', async () => {
    const store = await openStore(azurite.sasUrl('backups', 'racwdl').replace('?', '/sas?'));
    expect(store.location).toBe(`${address}/sas`);
    await store.write('a/data', bytes('x'), { metadata: { a: '1' } });
    expect(await listAll(store.list(''))).toHaveLength(1);
    const lock = await store.lock('lock', { owner: 'me', expiresAfter: 15_000 });
    await lock.release();
  });

  test('takes a connection string only for the account that it names', async () => {
    const config = {
      kind: 'azure-blob',
      container: 'backups',
      endpoint: azurite.accountUrl,
      connectionString: azurite.connectionString,
    } as const;
    const store = await openStore({ ...config, account: azurite.accountName });
    await store.write('connection/data', bytes('x'));
    await expect(openStore({ ...config, account: 'another' })).rejects.toThrow(/is for storage account devstore1/);
  });

  test('writes a small object with one request, and reads a large one in ranges', async () => {
    const store = await openAt('/small');
    await store.write('a', bytes('x'), { ifAbsent: true, contentType: 'application/json' });
    const { committedBlocks = [] } = await raw.getBlockBlobClient('small/a').getBlockList('committed');
    expect(committedBlocks).toEqual([]);
    expect((await raw.getBlobClient('small/a').getProperties()).contentType).toBe('application/json');
    const content = randomBytes((9 << 20) + 5);
    await store.write('b', content);
    expect(Buffer.from((await store.read('b')) as Uint8Array).equals(content)).toBe(true);
    await expect(store.read('b', { maxBytes: 8 << 20 })).rejects.toThrow(/9437189 bytes, more than the 8388608 expected/);
  });

  test('stores a blob of more than 5,000 blocks that grow on the way, in order, and reads it in parallel ranges', async () => {
    const place = { account: azurite.accountName, container: 'backups', url: address, access: 'token' as const };
    const container = new AzureContainer(raw, place, 'blocks/');
    // As the real sizes do: equal ones for the estimate, then doubled.
    const sizeOf = (index: number): number => (index < 5000 ? 4096 : 8192);
    const content = randomBytes(5000 * 4096 + 200 * 8192 + 7);
    await putBlob(container, 'data', of(content), { ifAbsent: true }, sizeOf);
    const { committedBlocks = [] } = await raw.getBlockBlobClient('blocks/data').getBlockList('committed');
    expect(committedBlocks).toHaveLength(5201);
    expect(new Set(committedBlocks.map(({ name }) => name)).size).toBe(5201);
    const read: Uint8Array[] = [];
    for await (const chunk of (await openAt('/blocks')).open('data')) read.push(chunk);
    expect(Buffer.concat(read).equals(content)).toBe(true);
  });

  test('sends checksums that the service checks, with and without FIPS mode', async () => {
    const content = randomBytes(100_000);
    const blob = raw.getBlockBlobClient('checksums/data');
    const id = Buffer.from('0').toString('base64');
    for (const fips of [false, true]) {
      const checksumOf = await transferChecksum(fips);
      await blob.stageBlock(id, content, content.length, checksumOf(content));
      const damaged = blob.stageBlock(id, content, content.length, checksumOf(content.subarray(1)));
      await expect(damaged).rejects.toMatchObject({ statusCode: 400 });
    }
  });

  test('drops the blocks of a write that failed, and of one that was killed once they are old', async () => {
    const store = await openAt('/killed');
    async function* breaking(): AsyncGenerator<Uint8Array, void> {
      yield randomBytes(17 << 20);
      throw new Error('broken');
    }
    await expect(store.put('failed', breaking())).rejects.toThrow('broken');
    const id = Buffer.from(`lifeboat-${Math.floor(Date.now() / 1000 - 7200).toString(16)}-0123456789abcdef-00000000`).toString('base64');
    await raw.getBlockBlobClient('killed/old').stageBlock(id, 'x', 1);
    await raw.getBlockBlobClient('killed/foreign').stageBlock(Buffer.from('theirs').toString('base64'), 'x', 1);
    await store.write('empty', new Uint8Array());
    const uncommitted = async (): Promise<string[]> => {
      const found: string[] = [];
      for await (const item of raw.listBlobsFlat({ prefix: 'killed/', includeUncommitedBlobs: true })) found.push(item.name);
      return found;
    };
    expect(await uncommitted()).toEqual(['killed/empty', 'killed/foreign', 'killed/old']);
    expect(await store.sweep('', new Date(Date.now() - 86_400_000))).toBe(0);
    expect(await store.sweep('', new Date(Date.now() - 3_600_000))).toBe(1);
    expect(await uncommitted()).toEqual(['killed/empty', 'killed/foreign']);
  });

  test('notices a commit by somebody else between its blocks', async () => {
    const store = await openAt('/raced');
    async function* interrupted(): AsyncGenerator<Uint8Array, void> {
      yield randomBytes(17 << 20);
      await raw.getBlockBlobClient('raced/data').upload('theirs', 6);
      yield randomBytes(100);
    }
    await expect(store.put('data', interrupted(), { ifAbsent: true })).rejects.toThrow(ObjectExistsError);
    expect(Buffer.from((await store.read('data')) as Uint8Array).toString()).toBe('theirs');
  });

  test('explains what it is refused: container, role, SAS, token', async () => {
    const missing = await openStore(`${azurite.accountUrl}/nothing-here`, { credential: () => azurite.credential });
    const failure = (await missing.read('a').catch((thrown: unknown) => thrown)) as StoreError;
    expect(failure).toBeInstanceOf(StoreError);
    expect(failure.message).toBe(
      `Reading a in ${azurite.accountUrl}/nothing-here failed: storage account devstore1 has no container "nothing-here".`,
    );
    expect(failure.fix).toContain('az storage container create --account-name devstore1 --name nothing-here');

    const readOnly = await openStore(azurite.sasUrl('backups', 'rl'));
    await expect(readOnly.write('a', bytes('x'))).rejects.toThrow(/the SAS does not permit this on container backups/);
    const expired = await openStore(azurite.sasUrl('backups', 'racwdl', -3600));
    await expect(expired.read('a')).rejects.toThrow(/did not accept the SAS|does not permit/);

    const token = azurite.token({ audience: 'https://vault.azure.net' });
    const wrong = await openStore(address, {
      credential: () => ({ getToken: async () => ({ token, expiresOnTimestamp: Date.now() + 1e6 }) }),
    });
    await expect(wrong.read('a')).rejects.toThrow(/devstore1 did not accept the token/);
  });

  test('says that an archived backup must be brought back first', async () => {
    const store = await openAt('/archive');
    await store.write('data', bytes('x'));
    await raw.getBlockBlobClient('archive/data').setAccessTier('Archive');
    await expect(store.read('data')).rejects.toThrow(/archive tier/);
    await expect(store.open('data')[Symbol.asyncIterator]().next()).rejects.toThrow(/archive tier/);
  });

  test('gives up soon, and says which host, when nothing answers there', async () => {
    const dead = await openStore('https://nosuchaccount.blob.invalid.test/backups', { credential: () => azurite.credential });
    await expect(dead.read('a')).rejects.toThrow(/nosuchaccount/);
  });

  test('tells the holder when the lock was broken and taken by somebody else', async () => {
    const store = await openAt('/broken');
    const lock = await store.lock('lock', { owner: 'first', expiresAfter: 15_000 });
    await raw.getBlobClient('broken/lock').getBlobLeaseClient().breakLease(0);
    const thief = await store.lock('lock', { owner: 'thief', expiresAfter: 15_000 });
    await new Promise((resolve) => {
      lock.lost.addEventListener('abort', resolve);
    });
    expect(String(lock.lost.reason)).toMatch(/another run has taken it/);
    await lock.release();
    expect(thief.lost.aborted).toBe(false);
    await thief.release();
  });
});
