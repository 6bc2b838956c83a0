// Storage classes of S3: versitygw behind a front that tells what AWS tells of archived objects, driven by AWS' own SDK.
import { createServer, request as httpRequest, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { openStore } from '../../shared/stores/open.ts';
import type { S3StoreConfig } from '../../shared/stores/s3/schema.ts';
import type { Store } from '../../shared/stores/store.ts';
import { startVersitygw, versitygw, type Versitygw } from '../backends/versitygw.ts';
import { describeIf } from '../support/needs.ts';

const tool = await versitygw();

describeIf('program' in tool, 'missing' in tool ? tool.missing : '')('S3 storage classes', () => {
  let server: Versitygw;
  let front: Server;
  /** What was asked: method, name, class. */
  let writes: string[] = [];
  let restores: string[] = [];
  /** What the front tells of every object in answer to a HEAD. */
  let told: Record<string, string> = {};

  beforeAll(async () => {
    server = await startVersitygw((tool as { program: string }).program);
    const { endpoint, region, accessKeyId, secretAccessKey } = server;
    const raw = new S3Client({ endpoint, region, forcePathStyle: true, credentials: { accessKeyId, secretAccessKey } });
    await raw.send(new CreateBucketCommand({ Bucket: 'backups' }));
    raw.destroy();
    const behind = new URL(endpoint);
    front = createServer((request, response) => {
      const url = new URL(request.url ?? '/', endpoint);
      if (request.method === 'POST' && url.searchParams.has('restore')) {
        void textOf(request).then((body) => {
          restores.push(body);
          told = { ...told, 'x-amz-restore': 'ongoing-request="true"' };
          response.writeHead(202).end();
        });
        return;
      }
      const isWrite = request.method === 'PUT' || (request.method === 'POST' && url.searchParams.has('uploads'));
      if (isWrite && !url.searchParams.has('partNumber'))
        writes.push(`${url.pathname} ${String(request.headers['x-amz-storage-class'] ?? 'standard')}`);
      // The headers as they are: the host is part of the signature.
      const { hostname, port } = behind;
      const onward = httpRequest({ hostname, port, method: request.method, path: request.url, headers: request.headers }, (answer) => {
        response.writeHead(answer.statusCode ?? 502, { ...answer.headers, ...(request.method === 'HEAD' ? told : {}) });
        answer.pipe(response);
      });
      onward.on('error', () => request.socket.destroy());
      request.pipe(onward);
    });
    await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve));
  });
  beforeEach(() => {
    [writes, restores, told] = [[], [], {}];
  });
  afterAll(async () => {
    front.closeAllConnections();
    front.close();
    await server.stop();
  });

  const open = (extra: Partial<S3StoreConfig> = {}): Promise<Store> => {
    const { region, accessKeyId, secretAccessKey } = server;
    const endpoint = `http://127.0.0.1:${(front.address() as AddressInfo).port}`;
    return openStore({ kind: 's3', bucket: 'backups', endpoint, region, accessKeyId, secretAccessKey, ...extra });
  };

  test('data is written with the class, in one piece and in parts; what is small is not', async () => {
    const store = await open({ storageClass: 'STANDARD_IA' });
    await store.write('manifest', Buffer.from('small'));
    await store.put('data', pieces(1));
    await store.put('large', pieces(9));
    const own = writes.filter((line) => !line.includes('.lifeboat'));
    expect(own).toEqual(['/backups/manifest standard', '/backups/data STANDARD_IA', '/backups/large STANDARD_IA']);
  });

  test('what a rule of the bucket archived is told, and asked back with the urgency that its class knows', async () => {
    const store = await open();
    await store.write('old', Buffer.from('data'));
    told = { 'x-amz-storage-class': 'GLACIER' };
    expect((await store.stat('old'))?.tier).toMatchObject({ name: 'glacier', offline: 'archived' });
    await store.tiering?.rehydrate('old', 'high');
    expect(restores[0]).toMatch(/<Days>7<\/Days>.*<Tier>Expedited<\/Tier>/);
    for await (const info of store.list('old')) expect(info.tier?.offline).toBe('rehydrating');
    told = { 'x-amz-storage-class': 'GLACIER', 'x-amz-restore': 'ongoing-request="false", expiry-date="Fri, 21 Dec 2029 00:00:00 GMT"' };
    expect((await store.stat('old'))?.tier?.offline).toBeUndefined();
    told = { 'x-amz-storage-class': 'DEEP_ARCHIVE' };
    await store.tiering?.rehydrate('old', 'high');
    expect(restores[1]).toMatch(/<Tier>Standard<\/Tier>/);
  });

  test('an address names a class that is readable at once, or is a mistake', async () => {
    await expect(openStore('s3://backups?region=eu-central-1&storageClass=DEEP_ARCHIVE')).rejects.toThrow(/is not the address of a bucket/);
    const store = await openStore('s3://backups?region=eu-central-1&storageClass=GLACIER_IR');
    expect(store.location).toBe('s3://backups?region=eu-central-1');
  });
});

async function* pieces(count: number): AsyncGenerator<Uint8Array, void> {
  for (let n = 0; n < count; n += 1) yield Buffer.alloc(1 << 20, n);
}

async function textOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts).toString();
}
