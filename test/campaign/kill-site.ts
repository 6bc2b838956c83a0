// Where killed runs work: two stores and a vault, in folders or in Azure (Azurite and the Key Vault simulator). Each trial has ground of its own.
import { existsSync, mkdirSync, readdirSync, rmSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { ContainerClient } from '@azure/storage-blob';
import { FolderStore } from '../../shared/stores/folder/index.ts';
import { openStore } from '../../shared/stores/open.ts';
import type { Store } from '../../shared/stores/store.ts';
import { AzureKeyVault } from '../../shared/vaults/azure-key-vault/index.ts';
import { FolderVault } from '../../shared/vaults/folder/index.ts';
import type { Vault } from '../../shared/vaults/vault.ts';
import { startAzurite } from '../backends/azurite.ts';
import { startKeyVault } from '../backends/key-vault.ts';
import { selfSignedCertificate } from '../backends/support.ts';
import { PREFIX } from './small-backup.ts';

/** One trial's stores and vault. */
export interface Ground {
  /** A folder for the runs to stand in. */
  folder: string;
  /** The component: a vault that many trials share tells their keys apart by it. */
  component: string;
  home: Store;
  copies: Store;
  vault: Vault;
  /** What a step needs to find them and to sign in, by input name. */
  inputs: Record<string, string>;
  /** What a process of its own needs besides. */
  env: Record<string, string>;
  /** Makes all locks look as if their holders had been gone for longer than the expiry. */
  expireLocks(): Promise<void>;
  /** What interrupted writes left in the stores. */
  litter(): Promise<string[]>;
  remove(): void;
}

export interface Site {
  kind: 'folder' | 'blob';
  /** Fresh ground number `n`. */
  ground(n: number): Promise<Ground>;
  stop(): Promise<void>;
}

/** Stores and vaults in folders below `root`. */
export function folderSite(root: string): Site {
  return {
    kind: 'folder',
    ground: async (n) => {
      const folder = freshFolder(root, n);
      const [home, copies, vault] = [join(folder, 'store'), join(folder, 'copies'), join(folder, 'vault')];
      return {
        folder,
        component: 'mongodb',
        home: new FolderStore(home),
        copies: new FolderStore(copies),
        vault: new FolderVault(vault),
        inputs: { store: home, copies, vault },
        env: {},
        expireLocks: async () => {
          const hourAgo = new Date(Date.now() - 3_600_000);
          for (const store of [home, copies])
            for (const file of filesBelow(join(store, '.lifeboat', 'locks'))) utimesSync(file, hourAgo, hourAgo);
        },
        litter: async () => (await Promise.all([folderLitter(home), folderLitter(copies)])).flat(),
        remove: () => {
          rmSync(folder, { recursive: true, force: true });
        },
      };
    },
    stop: async () => undefined,
  };
}

/** Containers and secrets, signed in with a client secret as a pipeline would be. */
export async function blobSite(root: string): Promise<Site> {
  const certificate = await selfSignedCertificate(root);
  const [azurite, keyVault] = await Promise.all([startAzurite({ certificate }), startKeyVault({ certificate })]);
  const app = keyVault.issuer.registerApp();
  const vault = new AzureKeyVault(keyVault.url, {
    credential: await keyVault.issuer.credential(app),
    tlsOptions: { ca: keyVault.ca },
  });
  return {
    kind: 'blob',
    ground: async (n) => {
      const folder = freshFolder(root, n);
      const [home, copies] = [await azurite.createContainer(`home-${n}`), await azurite.createContainer(`copies-${n}`)];
      const containers = [home, copies].map((address) => new ContainerClient(address, azurite.credential));
      const open = (address: string): Promise<Store> => openStore(address, { credential: () => azurite.credential });
      return {
        folder,
        component: `mongodb-${n}`,
        home: await open(home),
        copies: await open(copies),
        vault,
        inputs: {
          ...{ store: home, copies, vault: keyVault.url },
          ...{ azureTenantId: keyVault.tenantId, azureClientId: app.clientId },
          ...{ azureClientSecret: app.clientSecret, azureAuthority: keyVault.issuer.authorityHost },
        },
        env: { NODE_EXTRA_CA_CERTS: certificate.certFile },
        expireLocks: async () => {
          for (const container of containers) await breakLeases(container);
        },
        litter: async () => (await Promise.all(containers.map(uncommitted))).flat(),
        remove: () => {
          rmSync(folder, { recursive: true, force: true });
        },
      };
    },
    stop: async () => {
      await Promise.all([azurite.stop(), keyVault.stop()]);
    },
  };
}

function freshFolder(root: string, n: number): string {
  const folder = join(root, String(n));
  mkdirSync(folder, { recursive: true });
  return folder;
}

function filesBelow(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

/** Temporary files, and metadata that belong to no object. */
async function folderLitter(root: string): Promise<string[]> {
  const own = join(root, '.lifeboat');
  const metadata = filesBelow(join(own, 'metadata')).length;
  let objects = 0;
  for await (const { size } of new FolderStore(root).list('')) objects += Number(size >= 0);
  return [...filesBelow(join(own, 'temporary')), ...(metadata > objects ? [`${metadata} metadata files for ${objects} objects`] : [])];
}

/** A broken lease is as free to others as one that has ended. */
async function breakLeases(container: ContainerClient): Promise<void> {
  for await (const { name, properties } of container.listBlobsFlat()) {
    if (properties.leaseState === 'leased') await container.getBlobClient(name).getBlobLeaseClient().breakLease(0);
  }
}

/** Data of backups of which there are blocks and no version. Azure itself drops the blocks of a record of some hundred bytes after a week. */
async function uncommitted(container: ContainerClient): Promise<string[]> {
  const committed = new Set<string>();
  for await (const { name } of container.listBlobsFlat()) committed.add(name);
  const found: string[] = [];
  for await (const { name } of container.listBlobsFlat({ includeUncommitedBlobs: true })) {
    if (!committed.has(name) && name.startsWith(`${PREFIX}/mongodb-`)) found.push(`blocks of ${name}`);
  }
  return found;
}
