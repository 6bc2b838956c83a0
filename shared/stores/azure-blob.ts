// The store in an Azure Blob container (or a folder of one).
import { UsageError, throwIfCancelled } from '../step/errors.ts';
import { AzureContainer, plainEtag } from './azure-container.ts';
import { lockBlob } from './azure-lock.ts';
import { blobExists, discardUncommitted, putBlob, readBlockId, writeBlob } from './azure-put.ts';
import { isBlobMissing, openBlob, readBlob, statBlob } from './azure-read.ts';
import { checkMetadata, checkName, checkPrefix } from './names.ts';
import type { AzureBlobAddress } from './azure-address.ts';
import type { TokenCredential } from '@azure/core-auth';
import type { BlobItem, ContainerListBlobsOptions } from '@azure/storage-blob';
import type { Lock, LockOptions, ObjectInfo, OpenOptions, PutOptions, Store, WriteOptions } from './store.ts';

const DEFAULT_MAX_BYTES = 64 << 20;
const PAGE = 5000;

/** How requests are signed: exactly one of these. */
export type AzureBlobAccess = { credential: TokenCredential } | { sas: string } | { connectionString: string };

/**
 * Opens an Azure Blob container. Sends nothing yet.
 * @throws UsageError when the connection string is not one, or for another account
 */
export async function openAzureBlob(
  address: AzureBlobAddress,
  access: AzureBlobAccess,
  debug: (message: string) => void = () => undefined,
): Promise<Store> {
  const { ContainerClient, BlobServiceClient } = await import('@azure/storage-blob');
  // Retries are ours (azure-retry.ts).
  const options = { retryOptions: { maxTries: 1 }, userAgentOptions: { userAgentPrefix: 'lifeboat' } };
  const url = `${address.accountUrl}/${address.container}`;
  const place = { account: address.account, container: address.container, url };
  const open = (client: InstanceType<typeof ContainerClient>, kind: 'token' | 'sas' | 'key'): Store =>
    new AzureBlobStore(new AzureContainer(client, { ...place, access: kind }, address.prefix === '' ? '' : `${address.prefix}/`, debug));

  if ('credential' in access) return open(new ContainerClient(url, access.credential, options), 'token');
  if ('sas' in access) return open(new ContainerClient(`${url}?${access.sas}`, undefined, options), 'sas');
  let service;
  try {
    service = BlobServiceClient.fromConnectionString(access.connectionString, options);
  } catch (cause) {
    throw new UsageError('The connection string of the storage account cannot be read.', {
      fix: 'Copy it whole: az storage account show-connection-string.',
      cause,
    });
  }
  if (service.accountName !== address.account) {
    throw new UsageError(`The connection string is for storage account ${service.accountName}, the store is in ${address.account}.`);
  }
  return open(service.getContainerClient(address.container), 'key');
}

/** What a listing asks for besides names: facts of backups, and what keeps a blob from being deleted. */
const LISTED = { includeMetadata: true, includeImmutabilityPolicy: true, includeLegalHold: true } as const;

/** The blob's own legal hold or immutability policy; one of the container is not in listings, it shows when a deletion is refused. */
function lockOf({ legalHold, immutabilityPolicyExpiresOn: until }: BlobItem['properties']): Pick<ObjectInfo, 'locked'> {
  if (legalHold === true) return { locked: 'legal hold' };
  return until !== undefined && until.getTime() > Date.now() ? { locked: until } : {};
}

class AzureBlobStore implements Store {
  readonly kind = 'azure-blob';
  readonly location: string;
  readonly #container: AzureContainer;

  constructor(container: AzureContainer) {
    this.#container = container;
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
    if (typeof options.metadata === 'object') checkMetadata(options.metadata);
    return writeBlob(this.#container, name, bytes, options);
  }

  async read(name: string, options: { maxBytes?: number; signal?: AbortSignal | undefined } = {}): Promise<Uint8Array | undefined> {
    checkName(name);
    return readBlob(this.#container, name, options.maxBytes ?? DEFAULT_MAX_BYTES, options.signal);
  }

  async stat(name: string, signal?: AbortSignal): Promise<ObjectInfo | undefined> {
    checkName(name);
    return statBlob(this.#container, name, signal);
  }

  async *open(name: string, options: OpenOptions = {}): AsyncGenerator<Uint8Array, void> {
    checkName(name);
    yield* openBlob(this.#container, name, options);
  }

  async *list(prefix: string, signal?: AbortSignal): AsyncGenerator<ObjectInfo, void> {
    checkPrefix(prefix);
    for await (const item of this.#items(prefix, LISTED, signal)) {
      // With a hierarchical namespace folders are listed as empty blobs.
      if (item.metadata?.['hdi_isfolder'] === 'true') continue;
      yield {
        name: item.name.slice(this.#container.prefix.length),
        size: item.properties.contentLength ?? 0,
        modified: item.properties.lastModified,
        etag: plainEtag(item.properties.etag),
        metadata: item.metadata ?? {},
        ...lockOf(item.properties),
      };
    }
  }

  async *#items(prefix: string, include: ContainerListBlobsOptions, signal: AbortSignal | undefined) {
    let continuationToken: string | undefined;
    do {
      const options = { maxPageSize: PAGE, ...(continuationToken === undefined ? {} : { continuationToken }) };
      const page = await this.#container.guarded('Listing', prefix, () =>
        this.#container.tries(async (abortSignal) => {
          const query = { prefix: this.#container.prefix + prefix, abortSignal, ...include };
          const first = await this.#container.client.listBlobsFlat(query).byPage(options).next();
          return first.done ? undefined : first.value;
        }, signal),
      );
      yield* page?.segment.blobItems ?? [];
      continuationToken = page?.continuationToken;
    } while (continuationToken !== undefined && continuationToken !== '');
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
    for await (const item of this.#items(prefix, { includeUncommitedBlobs: true }, signal)) {
      // An uncommitted blob is listed with no bytes; so is an empty one, which the list of its blocks tells apart.
      if ((item.properties.contentLength ?? 0) === 0) names.push(item.name.slice(this.#container.prefix.length));
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
