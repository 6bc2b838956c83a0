// Listing pages of Azure Blob storage, read with a faster XML parser than the SDK's: its way from XML to objects takes four times as long as
// the server's part of the work.
import { AsyncLocalStorage } from 'node:async_hooks';
import type { PipelinePolicy } from '@azure/core-rest-pipeline';
import type { BlobItem, ContainerClient, ContainerListBlobsOptions } from '@azure/storage-blob';
import { SaxesParser } from 'saxes';
import { plainEtag } from './container.ts';
import { tierOf, type AzureTierFacts } from './tier.ts';
import type { ObjectTier } from '../store.ts';

/** What a listing says of a blob. */
export interface ListedBlob {
  name: string;
  size: number;
  modified: Date;
  /** Without quotes. */
  etag: string;
  metadata: Record<string, string>;
  /** The blob's own legal hold or immutability policy; one of the container is not in listings, it shows when a deletion is refused. */
  legalHold: boolean;
  immutableUntil: Date | undefined;
  /** Where the blob lies; undefined in an account without tiers. */
  tier: ObjectTier | undefined;
}

export interface ListingPage {
  blobs: ListedBlob[];
  /** Where the next page begins. */
  next: string | undefined;
}

/** A page that was read on its way to the SDK. */
interface Reading {
  page?: ListingPage;
}

const readings = new AsyncLocalStorage<Reading>();
/** What the SDK is given instead of a page that is read already. */
const EMPTY =
  '<?xml version="1.0" encoding="utf-8"?><EnumerationResults ServiceEndpoint="" ContainerName=""><Blobs /></EnumerationResults>';

const READER: PipelinePolicy = {
  name: 'lifeboat-listing',
  async sendRequest(request, next) {
    const response = await next(request);
    const reading = readings.getStore();
    if (!reading || response.status !== 200 || typeof response.bodyAsText !== 'string') return response;
    const page = readListing(response.bodyAsText);
    if (!page) return response;
    reading.page = page;
    return { ...response, bodyAsText: EMPTY };
  },
};

/**
 * Options of a container's client for `listPage`, and for nothing else: each client that is derived from it would add the policy once more.
 * Should the SDK ever ignore the policy, it reads the pages itself.
 */
export const READING_LISTINGS = { additionalPolicies: [{ policy: READER, position: 'perRetry' as const }] };

/** One page of a flat listing in name order. @throws the SDK's RestError */
export async function listPage(
  client: ContainerClient,
  query: ContainerListBlobsOptions,
  settings: { maxPageSize: number; continuationToken?: string },
): Promise<ListingPage> {
  const reading: Reading = {};
  const answer = await readings.run(reading, () => client.listBlobsFlat(query).byPage(settings).next());
  if (reading.page) return reading.page;
  if (answer.done) return { blobs: [], next: undefined };
  const { segment, continuationToken } = answer.value;
  return { blobs: segment.blobItems.map(listedBlob), next: continuationToken === '' ? undefined : continuationToken };
}

function listedBlob({ name, properties, metadata }: BlobItem): ListedBlob {
  return {
    name,
    size: properties.contentLength ?? 0,
    modified: properties.lastModified,
    etag: plainEtag(properties.etag),
    // The SDK gives an empty text for an empty element.
    metadata: typeof metadata === 'object' ? metadata : {},
    legalHold: properties.legalHold === true,
    immutableUntil: properties.immutabilityPolicyExpiresOn,
    tier: tierOf(properties as AzureTierFacts),
  };
}

/** Thrown and caught here: something is not as this reader knows it. */
const STRANGE = new Error('a listing of another form');

/**
 * Reads the answer to List Blobs (https://learn.microsoft.com/rest/api/storageservices/list-blobs).
 * @returns undefined when anything in it has another form than known (an encoded name, an element of another kind): then the SDK reads it
 */
export function readListing(xml: string): ListingPage | undefined {
  try {
    return new ListingReader().read(xml);
  } catch (thrown) {
    if (thrown === STRANGE) return undefined;
    throw thrown;
  }
}

/** Where an element lies: EnumerationResults / Blobs / Blob / Properties / its own name. */
const BLOB_DEPTH = 3;
const PROPERTY_DEPTH = 5;

class ListingReader {
  readonly #blobs: ListedBlob[] = [];
  /** Names of the open elements. */
  readonly #path: string[] = [];
  #text = '';
  #next = '';
  #name: string | undefined;
  #properties: Record<string, string> = {};
  #metadata: Record<string, string> = {};

  /** @throws STRANGE */
  read(xml: string): ListingPage {
    const parser = new SaxesParser();
    parser.on('error', () => {
      throw STRANGE;
    });
    parser.on('doctype', () => {
      throw STRANGE;
    });
    parser.on('opentag', ({ name, attributes }) => {
      this.#open(name, attributes);
    });
    parser.on('text', (text) => {
      this.#text += text;
    });
    parser.on('cdata', (text) => {
      this.#text += text;
    });
    parser.on('closetag', ({ name }) => {
      this.#close(name);
    });
    parser.write(xml).close();
    return { blobs: this.#blobs, next: this.#next === '' ? undefined : this.#next };
  }

  #open(name: string, attributes: Readonly<Record<string, string>>): void {
    const path = this.#path;
    path.push(name);
    this.#text = '';
    const isBlob = path.length === BLOB_DEPTH && path[1] === 'Blobs';
    if (
      (path.length === 1 && name !== 'EnumerationResults') ||
      (isBlob && name !== 'Blob') ||
      path.length > PROPERTY_DEPTH ||
      'Encoded' in attributes
    )
      throw STRANGE;
    if (!isBlob) return;
    this.#name = undefined;
    this.#properties = {};
    this.#metadata = {};
  }

  #close(name: string): void {
    const path = this.#path;
    if (path.length === PROPERTY_DEPTH) {
      if (path[3] === 'Properties') this.#properties[name] = this.#text;
      else if (path[3] === 'Metadata') this.#metadata[name] = this.#text;
    } else if (path.length === 4 && name === 'Name') this.#name = this.#text;
    else if (path.length === BLOB_DEPTH && name === 'Blob') this.#blobs.push(blobOf(this.#name, this.#properties, this.#metadata));
    else if (path.length === 2 && name === 'NextMarker') this.#next = this.#text;
    path.pop();
    this.#text = '';
  }
}

function blobOf(
  name: string | undefined,
  properties: Readonly<Partial<Record<string, string>>>,
  metadata: Record<string, string>,
): ListedBlob {
  const until = properties['ImmutabilityPolicyUntilDate'];
  const size = Number(properties['Content-Length'] ?? '0');
  if (name === undefined || !Number.isSafeInteger(size)) throw STRANGE;
  return {
    name,
    size,
    modified: dateOf(properties['Last-Modified']),
    etag: plainEtag(properties['Etag']),
    metadata,
    legalHold: properties['LegalHold'] === 'true',
    immutableUntil: until === undefined || until === '' ? undefined : dateOf(until),
    tier: readTier(properties),
  };
}

function readTier(properties: Readonly<Partial<Record<string, string>>>): ObjectTier | undefined {
  const { AccessTier: accessTier, AccessTierChangeTime: changed, ArchiveStatus: archiveStatus } = properties;
  if (accessTier === undefined || accessTier === '') return undefined;
  return tierOf({
    accessTier,
    accessTierInferred: properties['AccessTierInferred'] === 'true',
    accessTierChangedOn: changed === undefined || changed === '' ? undefined : dateOf(changed),
    archiveStatus: archiveStatus === '' ? undefined : archiveStatus,
  });
}

function dateOf(written: string | undefined): Date {
  const date = new Date(written ?? '');
  if (Number.isNaN(date.getTime())) throw STRANGE;
  return date;
}
