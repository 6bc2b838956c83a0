// The s3 store on versitygw.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  GetObjectRetentionCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { openStore } from '../../shared/stores/open.ts';
import { Patience } from '../../shared/stores/patience.ts';
import { S3Bucket } from '../../shared/stores/s3/bucket.ts';
import { partSize, putS3 } from '../../shared/stores/s3/put.ts';
import type { S3StoreConfig } from '../../shared/stores/s3/schema.ts';
import type { Store } from '../../shared/stores/store.ts';
import { startVersitygw, versitygw, type Versitygw } from '../backends/versitygw.ts';
import { describeIf } from '../support/needs.ts';
import { listAll, storeConformance } from './conformance.ts';

const tool = await versitygw();
const openModule = fileURLToPath(new URL('../../shared/stores/open.ts', import.meta.url));
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

async function* of(...chunks: Uint8Array[]): AsyncGenerator<Uint8Array, void> {
  for (const chunk of chunks) yield chunk;
}

describeIf('program' in tool, 'missing' in tool ? tool.missing : '')('S3', () => {
  let server: Versitygw;
  let raw: S3Client;

  beforeAll(async () => {
    server = await startVersitygw((tool as { program: string }).program);
    const { endpoint, region, accessKeyId, secretAccessKey } = server;
    raw = new S3Client({ endpoint, region, forcePathStyle: true, credentials: { accessKeyId, secretAccessKey } });
    await raw.send(new CreateBucketCommand({ Bucket: 'backups' }));
    await raw.send(new CreateBucketCommand({ Bucket: 'locked', ObjectLockEnabledForBucket: true }));
  });

  afterAll(async () => {
    raw.destroy();
    await server.stop();
  });

  const config = (extra: Partial<S3StoreConfig> = {}): S3StoreConfig => {
    const { endpoint, region, accessKeyId, secretAccessKey } = server;
    return { kind: 's3', bucket: 'backups', endpoint, region, accessKeyId, secretAccessKey, ...extra };
  };
  const openAt = (prefix: string): Promise<Store> => openStore(config({ prefix }));

  storeConformance(
    's3',
    () => openAt('conformance'),
    () => ({
      reopen: () => openAt('conformance'),
      expiry: {
        shortest: 5000,
        async abandonLock(name, owner) {
          const script = `import { openStore } from ${JSON.stringify(openModule)};
            const store = await openStore(${JSON.stringify(config({ prefix: 'conformance' }))});
            await store.lock(${JSON.stringify(name)}, { owner: ${JSON.stringify(owner)}, expiresAfter: 5000 });
            process.kill(process.pid, 'SIGKILL');`;
          // Not waited for in one call: the front of the server lives in this process.
          const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'ignore', 'pipe'] });
          let said = '';
          child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
          const signal = await new Promise((resolve) =>
            child.once('close', (_code, by) => {
              resolve(by);
            }),
          );
          if (signal !== 'SIGKILL') throw new Error(said);
        },
      },
    }),
  );

  test('keeps metadata that was known at the start in S3 itself, and the rest in an object that goes with its version', async () => {
    const store = await openAt('metadata');
    const own = async (): Promise<string[]> =>
      ((await raw.send(new ListObjectsV2Command({ Bucket: 'backups', Prefix: 'metadata/.lifeboat/metadata/' }))).Contents ?? []).map(
        ({ Key }) => Key ?? '',
      );
    await store.put('a/data', of(randomBytes(9_000_000)), { metadata: { kind: 'mongodb' } });
    const head = await raw.send(new HeadObjectCommand({ Bucket: 'backups', Key: 'metadata/a/data' }));
    expect(head.Metadata).toMatchObject({ kind: 'mongodb' });
    expect(await own()).toEqual([]);
    const long = 'k'.repeat(4000);
    await store.put('a/data', of(randomBytes(9_000_000)), { metadata: () => ({ lifeboatkeys: long }) });
    expect((await store.stat('a/data'))?.metadata).toEqual({ lifeboatkeys: long });
    expect(await own()).toHaveLength(1);
    await store.write('a/data', bytes('small'), { metadata: { lifeboatkeys: long } });
    expect((await store.stat('a/data'))?.metadata).toEqual({ lifeboatkeys: long });
    expect(await own()).toHaveLength(1);
    expect(await listAll(store.list(''))).toHaveLength(1);
    await store.delete('a/data');
    expect(await own()).toEqual([]);
  });

  test('stores an object whose parts grow on the way, in order, and reads it in parallel ranges', async () => {
    const sdk = await import('@aws-sdk/client-s3');
    const patience = new Patience('');
    const bucket = new S3Bucket({ sdk, client: raw, bucket: 'backups', prefix: 'grown/', location: '', lockDays: 0, patience });
    // The service wants 5 MiB at least of every part but the last.
    const sizeOf = (index: number): number => (index < 3 ? 5 << 20 : 7 << 20);
    const content = randomBytes((3 * 5 + 2 * 7) * (1 << 20) + 11);
    const { etag } = await putS3(bucket, 'data', of(content), {}, sizeOf);
    // The number of parts.
    expect(etag).toMatch(/-6$/);
    const store = await openAt('grown');
    const read: Uint8Array[] = [];
    for await (const chunk of store.open('data')) read.push(chunk);
    expect(Buffer.concat(read).equals(content)).toBe(true);
  });

  test('sweeps what a killed run has left: uploads without a new part, metadata of versions that never came to be', async () => {
    const store = await openAt('swept');
    await store.put('kept/data', of(randomBytes(9_000_000)), { metadata: () => ({ a: '1' }) });
    const upload = await raw.send(new CreateMultipartUploadCommand({ Bucket: 'backups', Key: 'swept/lost/data' }));
    await raw.send(
      new UploadPartCommand({ Bucket: 'backups', Key: 'swept/lost/data', UploadId: upload.UploadId, PartNumber: 1, Body: 'x' }),
    );
    const { putSidecar } = await import('../../shared/stores/s3/metadata.ts');
    const sdk = await import('@aws-sdk/client-s3');
    const bucket = new S3Bucket({
      sdk,
      client: raw,
      bucket: 'backups',
      prefix: 'swept/',
      location: '',
      lockDays: 0,
      patience: new Patience(''),
    });
    await putSidecar(bucket, 'lost/data', '0'.repeat(32), { a: '2' }, undefined);
    expect(await store.sweep('', new Date(Date.now() - 60_000))).toBe(0);
    expect(await store.sweep('other/', new Date(Date.now() + 60_000))).toBe(0);
    expect(await store.sweep('', new Date(Date.now() + 60_000))).toBe(2);
    expect(await store.sweep('', new Date(Date.now() + 60_000))).toBe(0);
    expect((await store.stat('kept/data'))?.metadata).toEqual({ a: '1' });
  });

  test('locks what is written once for as many days as asked', async () => {
    const store = await openStore(config({ bucket: 'locked', lockDays: 30 }));
    await store.write('m/manifest.json', bytes('{}'), { ifAbsent: true });
    const answer = await raw.send(new GetObjectRetentionCommand({ Bucket: 'locked', Key: 'm/manifest.json' }));
    expect(answer.Retention?.Mode).toBe('GOVERNANCE');
    const days = ((answer.Retention?.RetainUntilDate?.getTime() ?? 0) - Date.now()) / 86_400_000;
    expect(days).toBeGreaterThan(29.9);
    expect(days).toBeLessThan(30.1);
    expect((await store.stat('m/manifest.json'))?.locked).toBeInstanceOf(Date);
    await store.write('status.json', bytes('1'));
    await store.write('status.json', bytes('2'));
  });

  test('says what is wrong: no bucket, a wrong key', async () => {
    const nowhere = await openStore(config({ bucket: 'nowhere' }));
    await expect(nowhere.write('a', bytes('x'))).rejects.toThrow(/no bucket "nowhere"/);
    const stranger = await openStore(config({ secretAccessKey: 'wrong' }));
    const refused = await stranger.write('a', bytes('x')).catch((thrown: unknown) => String(thrown));
    expect(refused).toMatch(/does not accept the access key/);
    expect(refused).not.toContain('wrong');
  });
});

test('parts grow so that no stream runs out of numbers', () => {
  const total = (estimate: number): number =>
    Array.from({ length: 10_000 }, (_, index) => partSize(index, estimate)).reduce((a, b) => a + b, 0);
  expect(partSize(0)).toBe(8 << 20);
  expect(total(0)).toBeGreaterThan(2.4 * 2 ** 40);
  for (const index of [0, 4_999, 5_000, 5_499, 5_500, 9_999]) expect(partSize(index)).toBeLessThanOrEqual(5 * 2 ** 30);
  expect([4_999, 5_000, 5_499, 5_500].map((index) => partSize(index) >> 20)).toEqual([8, 16, 16, 32]);
  for (const estimate of [2 ** 30, 2 ** 40, 5 * 2 ** 40]) expect(total(estimate)).toBeGreaterThan(Math.min(10 * estimate, 5 * 2 ** 40));
});
