// The store in an Azure Blob container (or a folder of one).
import { UsageError, throwIfCancelled } from '../../step/errors.ts';
import { azureProxy } from '../../tools/proxy.ts';
import { AzureContainer } from './container.ts';
import { listPage, READING_LISTINGS, type ListedBlob } from './listing.ts';
import { lockBlob } from './lock.ts';
import { blobExists, discardUncommitted, putBlob, readBlockId, writeBlob } from './put.ts';
import { isBlobMissing, openBlob, readBlob, statBlob } from './read.ts';
import type { AzureTier } from './tier.ts';
import { azureTiering } from './tiering.ts';
import { ObjectMissingError } from '../errors.ts';
import { checkMetadata, checkName, checkPrefix } from '../names.ts';
import type { PatienceOptions } from '../patience.ts';
import { readSmall } from '../read-small.ts';
import type { AzureBlobAddress } from './address.ts';
import type { TokenCredential } from '@azure/core-auth';
import type { ContainerClient, ContainerListBlobsOptions } from '@azure/storage-blob';
import type { Lock, LockOptions, ObjectInfo, ReadOptions, PutOptions, Store, Tiering, WriteOptions } from '../store.ts';

const DEFAULT_MAX_BYTES = 64 << 20;
const PAGE = 5000;

/** How requests are signed: exactly one of these. */
export type AzureBlobAccess = { credential: TokenCredential } | { sas: string } | { connectionString: string };

export interface AzureBlobOptions extends PatienceOptions {
  /** Where backups' data is moved once it is proved; undefined: it stays where it was written. */
  tier?: AzureTier | undefined;
  debug?: ((message: string) => void) | undefined;
}

/**
 * Opens an Azure Blob container. Sends nothing yet.
 * @throws UsageError when the connection string is not one, or for another account
 */
export async function openAzureBlob(address: AzureBlobAddress, access: AzureBlobAccess, options: AzureBlobOptions = {}): Promise<Store> {
  const { ContainerClient, BlobServiceClient } = await import('@azure/storage-blob');
  // Retries are ours (azure-retry.ts).
  const pipeline = { ...azureProxy(address.accountUrl), retryOptions: { maxTries: 1 }, userAgentOptions: { userAgentPrefix: 'lifeboat' } };
  const reading = { ...pipeline, ...READING_LISTINGS };
  const url = `${address.accountUrl}/${address.container}`;
  const place = { account: address.account, container: address.container, url };
  const prefix = address.prefix === '' ? '' : `${address.prefix}/`;
  const open = (client: ContainerClient, listing: ContainerClient, kind: 'token' | 'sas' | 'key'): Store =>
    new AzureBlobStore(new AzureContainer(client, { ...place, access: kind }, prefix, options), listing, options.tier);

  if ('credential' in access) {
    const { credential } = access;
    return open(new ContainerClient(url, credential, pipeline), new ContainerClient(url, credential, reading), 'token');
  }
  if ('sas' in access) {
    const signed = `${url}?${access.sas}`;
    return open(new ContainerClient(signed, undefined, pipeline), new ContainerClient(signed, undefined, reading), 'sas');
  }
  let service;
  try {
    service = BlobServiceClient.fromConnectionString(access.connectionString, pipeline);
  } catch (cause) {
    throw new UsageError('The connection string of the storage account cannot be read.', {
      fix: 'Copy it whole: az storage account show-connection-string.',
      cause,
    });
  }
  if (service.accountName !== address.account) {
    throw new UsageError(`The connection string is for storage account ${service.accountName}, the store is in ${address.account}.`, {
      fix: 'Give the connection string of that account, or correct the store.',
    });
  }
  const listing = new ContainerClient(access.connectionString, address.container, reading);
  return open(service.getContainerClient(address.container), listing, 'key');
}

/** What a listing asks for besides names: facts of backups, and what keeps a blob from being deleted. */
const LISTED = { includeMetadata: true, includeImmutabilityPolicy: true, includeLegalHold: true } as const;

function lockOf({ legalHold, immutableUntil: until }: ListedBlob): Pick<ObjectInfo, 'locked'> {
  if (legalHold) return { locked: 'legal hold' };
  return until !== undefined && until.getTime() > Date.now() ? { locked: until } : {};
}

class AzureBlobStore implements Store {
  readonly kind = 'azure-blob';
  readonly isService = true;
  readonly location: string;
  readonly tiering: Tiering;
  readonly #container: AzureContainer;
  readonly #listing: ContainerClient;

  constructor(container: AzureContainer, listing: ContainerClient, tier: AzureTier | undefined) {
    this.tiering = azureTiering(container, tier);
    this.#container = container;
    this.#listing = listing;
    this.location = container.location;
  }

  async put(name: string, source: AsyncIterable<Uint8Array>, options: PutOptions = {}): Promise<ObjectInfo> {
    checkName(name);
    throwIfCancelled(options.signal);
    // The commit decides; asking first saves sending a whole backup in vain.
    if (options.ifAbsent && (await this.stat(name, options.signal))) throw blobExists(this.#container, name);
    return putBlob(this.#container, name, source, options);
  }

  async write(name: string, bytes: Uint8Array, options: WriteOptions = {}): Promise<ObjectInfo> {
    checkName(name);
    return writeBlob(this.#container, name, bytes, options);
  }

  async read(name: string, options: { maxBytes?: number; signal?: AbortSignal | undefined } = {}): Promise<Uint8Array | undefined> {
    checkName(name);
    const bytes = await readBlob(this.#container, name, options.maxBytes ?? DEFAULT_MAX_BYTES, options.signal);
    return bytes === 'large' ? readSmall(this, name, options) : bytes;
  }

  async stat(name: string, signal?: AbortSignal): Promise<ObjectInfo | undefined> {
    checkName(name);
    return statBlob(this.#container, name, signal);
  }

  async setMetadata(name: string, metadata: Readonly<Record<string, string>>, signal?: AbortSignal): Promise<void> {
    checkName(name);
    checkMetadata(metadata);
    await this.#container.guarded('Writing the metadata of', name, async () => {
      try {
        await this.#container.tries((abortSignal) => this.#container.blob(name).setMetadata({ ...metadata }, { abortSignal }), signal);
      } catch (thrown) {
        if (isBlobMissing(thrown)) throw new ObjectMissingError(`${name} is not in ${this.location}.`, { cause: thrown });
        throw thrown;
      }
    });
  }

  async *open(name: string, options: ReadOptions = {}): AsyncGenerator<Uint8Array, void> {
    checkName(name);
    yield* openBlob(this.#container, name, options);
  }

  async *list(prefix: string, signal?: AbortSignal): AsyncGenerator<ObjectInfo, void> {
    checkPrefix(prefix);
    for await (const blob of this.#blobs(prefix, LISTED, signal)) {
      const { name, size, modified, etag, metadata, tier } = blob;
      // With a hierarchical namespace folders are listed as empty blobs.
      if (metadata['hdi_isfolder'] === 'true') continue;
      const info = { name: name.slice(this.#container.prefix.length), size, modified, etag, metadata, ...lockOf(blob) };
      yield tier === undefined ? info : { ...info, tier };
    }
  }

  async *#blobs(prefix: string, include: ContainerListBlobsOptions, signal: AbortSignal | undefined): AsyncGenerator<ListedBlob, void> {
    let continuationToken: string | undefined;
    do {
      const settings = { maxPageSize: PAGE, ...(continuationToken === undefined ? {} : { continuationToken }) };
      const page = await this.#container.guarded('Listing', prefix, () =>
        this.#container.tries(
          (abortSignal) => listPage(this.#listing, { prefix: this.#container.prefix + prefix, abortSignal, ...include }, settings),
          signal,
        ),
      );
      yield* page.blobs;
      continuationToken = page.next;
    } while (continuationToken !== undefined);
  }

  async delete(name: string, signal?: AbortSignal): Promise<boolean> {
    checkName(name);
    return this.#container.guarded('Deleting', name, async () => {
      let attempts = 0;
      try {
        await this.#container.tries((abortSignal, attempt) => {
          attempts = attempt;
          return this.#container.blob(name).delete({ abortSignal });
        }, signal);
        return true;
      } catch (thrown) {
        // Gone at a second attempt: the first one did it, its answer was lost.
        if (isBlobMissing(thrown)) return attempts > 1;
        throw thrown;
      }
    });
  }

  async lock(name: string, options: LockOptions): Promise<Lock> {
    checkName(name);
    return lockBlob(this.#container, name, options);
  }

  /** Drops uncommitted blocks of ours, the newest of which is older than `olderThan`; a block's id carries its time. */
  async sweep(prefix: string, olderThan: Date, signal?: AbortSignal): Promise<number> {
    checkPrefix(prefix);
    const isOld = (id: string): boolean => (readBlockId(id)?.staged ?? new Date()) < olderThan;
    const names: string[] = [];
    for await (const { name, size } of this.#blobs(prefix, { includeUncommitedBlobs: true }, signal)) {
      // An uncommitted blob is listed with no bytes; so is an empty one, which the list of its blocks tells apart.
      if (size === 0) names.push(name.slice(this.#container.prefix.length));
    }
    let dropped = 0;
    for (const name of names) {
      throwIfCancelled(signal);
      const gone = await this.#container.guarded('Cleaning', name, () =>
        discardUncommitted(this.#container, name, (ids) => ids.every(isOld), signal),
      );
      dropped += Number(gone);
    }
    return dropped;
  }
}
