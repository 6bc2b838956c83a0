// Every kind of store that keeps backups as objects or files, on a real server, with what dr.yml says about it.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { ContainerClient } from '@azure/storage-blob';
import { startAzurite } from '../backends/azurite.ts';
import { startBusyFront } from '../backends/busy-front.ts';
import { startFaultProxy } from '../backends/fault-proxy.ts';
import { startOutageProxy } from '../backends/outage-proxy.ts';
import { sshd, startSshd } from '../backends/sshd.ts';
import { startVersitygw, versitygw } from '../backends/versitygw.ts';
import { RawBlobs, RawBucket, RawFiles, type RawStore } from './raw-store.ts';

export const SITE_KINDS = ['folder', 'blob', 's3', 'sftp'] as const;
export type SiteKind = (typeof SITE_KINDS)[number];

/** One store, empty at first. */
export interface StorePlace {
  /** Its entry below `stores` in dr.yml. */
  config: Record<string, unknown>;
  raw: RawStore;
}

export interface StoreSite {
  kind: SiteKind;
  /** What processes need to reach its stores. */
  env: Record<string, string>;
  /** Has a bad time for so many milliseconds: answers 503, or breaks connections where the protocol has no such answer. A folder never has. */
  away(milliseconds: number): void;
  place(name: string): Promise<StorePlace>;
  stop(): Promise<void>;
}

/** Starts the server. @param root a scratch folder @returns why this machine cannot have it, as a text, where that is so */
export async function startSite(kind: SiteKind, root: string): Promise<StoreSite | string> {
  switch (kind) {
    case 'folder':
      return folderSite(root);
    case 'blob':
      return blobSite();
    case 's3':
      return s3Site();
    case 'sftp':
      return sftpSite(root);
  }
}

function folderSite(root: string): StoreSite {
  return {
    kind: 'folder',
    env: {},
    away: () => undefined,
    place: async (name) => {
      const path = join(root, 'stores', name);
      return { config: { kind: 'folder', path }, raw: new RawFiles(path, join(root, 'aside', name)) };
    },
    stop: async () => undefined,
  };
}

const DAY_SECONDS = 86_400;

async function blobSite(): Promise<StoreSite> {
  const azurite = await startAzurite();
  const proxy = await startFaultProxy({ target: new URL(azurite.accountUrl).origin, certificate: azurite.certificate });
  const env: Record<string, string> = { NODE_EXTRA_CA_CERTS: azurite.certificate.certFile };
  return {
    kind: 'blob',
    env,
    away: (milliseconds) => {
      proxy.faults.add({ times: Infinity, effect: { kind: 'busy' } });
      setTimeout(() => {
        proxy.faults.clear();
      }, milliseconds).unref();
    },
    place: async (name) => {
      const container = new ContainerClient(await azurite.createContainer(name), azurite.credential);
      const variable = `SAS_${name.toUpperCase().replaceAll('-', '_')}`;
      env[variable] = new URL(azurite.sasUrl(name, 'racwdl', DAY_SECONDS)).search.slice(1);
      const endpoint = `${proxy.origin}/${azurite.accountName}`;
      const config = { account: azurite.accountName, endpoint, container: name, sas: `\${env:${variable}}` };
      return { config: { kind: 'azure-blob', ...config }, raw: new RawBlobs(container) };
    },
    stop: async () => {
      await proxy.stop();
      await azurite.stop();
    },
  };
}

async function s3Site(): Promise<StoreSite | string> {
  const tool = await versitygw();
  if (!('program' in tool)) return tool.missing;
  const server = await startVersitygw(tool.program);
  const { region, accessKeyId, secretAccessKey } = server;
  const front = await startBusyFront(server.endpoint);
  const client = new S3Client({ endpoint: server.endpoint, region, forcePathStyle: true, credentials: { accessKeyId, secretAccessKey } });
  return {
    kind: 's3',
    env: { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey },
    away: (milliseconds) => {
      front.away(milliseconds);
    },
    place: async (name) => {
      await client.send(new CreateBucketCommand({ Bucket: name }));
      return { config: { kind: 's3', bucket: name, region, endpoint: front.origin }, raw: new RawBucket(client, name) };
    },
    stop: async () => {
      client.destroy();
      await front.stop();
      await server.stop();
    },
  };
}

async function sftpSite(root: string): Promise<StoreSite | string> {
  const tool = await sshd();
  if (!('program' in tool)) return tool.missing;
  const server = await startSshd();
  const { host, user, fingerprint, keyFile, folder } = server;
  const proxy = await startOutageProxy(server.port);
  return {
    kind: 'sftp',
    env: {},
    away: (milliseconds) => {
      proxy.outage(milliseconds);
    },
    place: async (name) => {
      const path = join(folder, name);
      mkdirSync(path);
      const config = { kind: 'sftp', host, port: proxy.port, user, path, fingerprint, keyFile };
      return { config, raw: new RawFiles(path, join(root, 'aside', name)) };
    },
    stop: async () => {
      await proxy.stop();
      await server.stop();
    },
  };
}
