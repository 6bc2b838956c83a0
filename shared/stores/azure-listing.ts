// Listing pages of Azure Blob storage, read here: the SDK's way from XML to objects takes four times as long as the server's part of the work.
import { AsyncLocalStorage } from 'node:async_hooks';
import type { PipelinePolicy } from '@azure/core-rest-pipeline';
import type { BlobItem, ContainerClient, ContainerListBlobsOptions } from '@azure/storage-blob';
import { plainEtag } from './azure-container.ts';
import { tierOf, type AzureTierFacts } from './azure-tier.ts';
import type { ObjectTier } from './store.ts';

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
 * @returns undefined when anything in it has another form than known (encoded names, comments, CDATA): then the SDK reads it
 */
export function readListing(xml: string): ListingPage | undefined {
  // Line ends are not what they seem in XML, and `<!` begins what this reader does not know.
  if (xml.includes('\r') || xml.includes('<!')) return undefined;
  try {
    return pageOf(xml);
  } catch (thrown) {
    if (thrown === STRANGE) return undefined;
    throw thrown;
  }
}

function pageOf(xml: string): ListingPage {
  const blobs: ListedBlob[] = [];
  const empty = xml.indexOf('<Blobs />') >= 0 || xml.indexOf('<Blobs/>') >= 0;
  let at = empty ? -1 : after(xml, '<Blobs>', 0);
  while (!empty) {
    const next = xml.indexOf('<', at);
    requireBlank(xml, at, next);
    if (xml.startsWith('</Blobs>', next)) break;
    if (!xml.startsWith('<Blob>', next)) throw STRANGE;
    const end = after(xml, '</Blob>', next);
    blobs.push(blobOf(xml.slice(next + '<Blob>'.length, end - '</Blob>'.length)));
    at = end;
  }
  const rest = xml.slice(at < 0 ? 0 : at);
  const marker = /<NextMarker(?:\s*\/>|>([^<]*)<\/NextMarker>)/.exec(rest);
  if (!marker && rest.includes('<NextMarker')) throw STRANGE;
  const next = marker?.[1] ?? '';
  return { blobs, next: next === '' ? undefined : text(next) };
}

function blobOf(blob: string): ListedBlob {
  const properties = between(blob, '<Properties>', '</Properties>');
  const until = property(properties, 'ImmutabilityPolicyUntilDate');
  const size = Number(property(properties, 'Content-Length') ?? '0');
  if (!Number.isSafeInteger(size)) throw STRANGE;
  return {
    name: text(between(blob, '<Name>', '</Name>')),
    size,
    modified: dateOf(property(properties, 'Last-Modified')),
    etag: plainEtag(property(properties, 'Etag')),
    metadata: metadataOf(blob.slice(after(blob, '</Properties>', 0))),
    legalHold: property(properties, 'LegalHold') === 'true',
    immutableUntil: until === undefined ? undefined : dateOf(until),
    tier: readTier(properties),
  };
}

function readTier(properties: string): ObjectTier | undefined {
  const accessTier = property(properties, 'AccessTier');
  if (accessTier === undefined) return undefined;
  const changed = property(properties, 'AccessTierChangeTime');
  return tierOf({
    accessTier,
    accessTierInferred: property(properties, 'AccessTierInferred') === 'true',
    accessTierChangedOn: changed === undefined ? undefined : dateOf(changed),
    archiveStatus: property(properties, 'ArchiveStatus'),
  });
}

function metadataOf(rest: string): Record<string, string> {
  const metadata: Record<string, string> = {};
  if (!rest.includes('<Metadata') || /<Metadata\s*\/>/.test(rest)) return metadata;
  const inside = between(rest, '<Metadata>', '</Metadata>');
  const entry = /\s*<([^\s<>/]+)(?:>([^<]*)<\/\1>|\s*\/>)\s*/y;
  while (entry.lastIndex < inside.length) {
    const [, key, value = ''] = entry.exec(inside) ?? [];
    if (key === undefined) throw STRANGE;
    metadata[key] = text(value);
  }
  return metadata;
}

/** The text of a property; undefined when it is not there or empty. */
function property(properties: string, name: string): string | undefined {
  const start = properties.indexOf(`<${name}>`);
  if (start < 0) return undefined;
  const from = start + name.length + 2;
  const end = properties.indexOf('<', from);
  if (!properties.startsWith(`</${name}>`, end)) throw STRANGE;
  return end === from ? undefined : text(properties.slice(from, end));
}

function dateOf(written: string | undefined): Date {
  const date = new Date(written ?? '');
  if (Number.isNaN(date.getTime())) throw STRANGE;
  return date;
}

const ENTITIES: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };

/** Character data without its entities. */
function text(data: string): string {
  if (!data.includes('&')) return data;
  return data.replace(/&([^;&]*);?/g, (whole, name: string) => {
    const [, hex, decimal] = /^#(?:x([0-9a-f]{1,6})|(\d{1,7}))$/i.exec(name) ?? [];
    const code = hex === undefined ? Number(decimal) : Number.parseInt(hex, 16);
    const found = ENTITIES[name] ?? (code <= 0x10ffff ? String.fromCodePoint(code) : undefined);
    if (found === undefined || !whole.endsWith(';')) throw STRANGE;
    return found;
  });
}

function after(xml: string, tag: string, from: number): number {
  const at = xml.indexOf(tag, from);
  if (at < 0) throw STRANGE;
  return at + tag.length;
}

function between(xml: string, opening: string, closing: string): string {
  const start = after(xml, opening, 0);
  return xml.slice(start, after(xml, closing, start) - closing.length);
}

function requireBlank(xml: string, start: number, end: number): void {
  if (end < 0 || xml.slice(start, end).trim() !== '') throw STRANGE;
}
