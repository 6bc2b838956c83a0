// Azurite: Microsoft's emulator of Azure Blob storage, over https, taking bearer tokens, SAS and account keys.
import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { TokenCredential } from '@azure/core-auth';
import {
  BlobServiceClient,
  ContainerSASPermissions,
  generateBlobSASQueryParameters,
  StorageSharedKeyCredential,
} from '@azure/storage-blob';
import { freePort, selfSignedCertificate, startProcess, tempFolder, trustHere, type Certificate } from './support.ts';

export interface Azurite {
  /** `https://127.0.0.1:<port>/<account>`: the `endpoint` of a store. */
  accountUrl: string;
  accountName: string;
  accountKey: string;
  /** Trusted by this process already; give a child process `NODE_EXTRA_CA_CERTS: certificate.certFile`. */
  certificate: Certificate;
  /** A credential whose tokens Azurite takes; for stores opened in tests. */
  credential: TokenCredential;
  /** A bearer token as Entra would issue it (Azurite checks issuer, audience and times, not the signature). */
  token(options?: { audience?: string; issuer?: string; expiresInSeconds?: number }): string;
  /** Creates a container and returns its address, which `openStore` takes. */
  createContainer(name: string): Promise<string>;
  /** A container's address with a SAS. `permissions` as in Azure: `racwdl…`. */
  sasUrl(container: string, permissions: string, expiresInSeconds?: number): string;
  connectionString: string;
  stop(): Promise<void>;
}

const ACCOUNT = 'devstore1';

/**
 * Starts Azurite on a free port. Takes 1 to 3 seconds.
 * @param options.folder keeps the data there; a temporary folder, removed by `stop`, when absent
 * @param options.inMemory keeps it nowhere: for very many small blobs
 * @param options.certificate a certificate for localhost and 127.0.0.1; a fresh one when absent
 */
export async function startAzurite(options: { folder?: string; inMemory?: boolean; certificate?: Certificate } = {}): Promise<Azurite> {
  const scratch = tempFolder('azurite');
  const folder = options.folder ?? join(scratch, 'data');
  mkdirSync(folder, { recursive: true });
  const certificate = options.certificate ?? (await selfSignedCertificate(scratch));
  trustHere(certificate);
  const port = await freePort();
  const accountKey = randomBytes(64).toString('base64');
  const main = createRequire(import.meta.url).resolve('azurite/dist/src/blob/main.js');
  const server = await startProcess(
    process.execPath,
    [
      main,
      ...['--blobHost', '127.0.0.1', '--blobPort', String(port)],
      ...(options.inMemory ? ['--inMemoryPersistence'] : ['--location', folder]),
      ...['--cert', certificate.certFile, '--key', certificate.keyFile, '--oauth', 'basic'],
      // storage-blob 12.34 sends a newer API version than Azurite 3.37 knows.
      ...['--silent', '--disableTelemetry', '--skipApiVersionCheck'],
    ],
    {
      env: { ...process.env, AZURITE_ACCOUNTS: `${ACCOUNT}:${accountKey}` },
      cwd: scratch,
      ready: (output) => output.includes('successfully listens'),
    },
  );

  const accountUrl = `https://127.0.0.1:${port}/${ACCOUNT}`;
  const sharedKey = new StorageSharedKeyCredential(ACCOUNT, accountKey);
  const service = new BlobServiceClient(accountUrl, sharedKey);
  return {
    accountUrl,
    accountName: ACCOUNT,
    accountKey,
    certificate,
    token: bearerToken,
    credential: { getToken: async () => ({ token: bearerToken(), expiresOnTimestamp: Date.now() + 3_600_000 }) },
    async createContainer(name) {
      await service.getContainerClient(name).createIfNotExists();
      return `${accountUrl}/${name}`;
    },
    sasUrl(container, permissions, expiresInSeconds = 3600) {
      const sas = generateBlobSASQueryParameters(
        {
          containerName: container,
          permissions: ContainerSASPermissions.parse(permissions),
          expiresOn: new Date(Date.now() + expiresInSeconds * 1000),
        },
        sharedKey,
      );
      return `${accountUrl}/${container}?${sas.toString()}`;
    },
    connectionString: `DefaultEndpointsProtocol=https;AccountName=${ACCOUNT};AccountKey=${accountKey};BlobEndpoint=${accountUrl};`,
    async stop() {
      await server.stop();
      rmSync(scratch, { recursive: true, force: true });
    },
  };
}

function bearerToken(options: { audience?: string; issuer?: string; expiresInSeconds?: number } = {}): string {
  const now = Math.floor(Date.now() / 1000);
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const claims = {
    aud: options.audience ?? 'https://storage.azure.com',
    iss: options.issuer ?? 'https://sts.windows.net/00000000-0000-0000-0000-000000000001/',
    iat: now,
    nbf: now - 60,
    exp: now + (options.expiresInSeconds ?? 3600),
  };
  return `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}.${randomBytes(32).toString('base64url')}`;
}
