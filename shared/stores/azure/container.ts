// One container as all parts of the azure-blob store see it: the SDK's client, requests with retries, errors in plain words.
import type { BlockBlobClient, ContainerClient } from '@azure/storage-blob';
import { azureError, type AzurePlace } from './errors.ts';
import { azureAway, retrying } from './retry.ts';
import { explained, Patience, type PatienceOptions } from '../patience.ts';

/** Time for a request without a body worth mentioning. */
const SMALL_TIMEOUT_MS = 30_000;
/** The slowest transfer that is not given up: 64 KiB/s. */
const SLOWEST_BYTES_PER_MS = 64;

export interface AzureContainerOptions extends PatienceOptions {
  debug?: ((message: string) => void) | undefined;
}

export class AzureContainer {
  readonly client: ContainerClient;
  readonly place: AzurePlace;
  /** Goes before every object's name: '' or `some/folder/`. */
  readonly prefix: string;
  readonly debug: (message: string) => void;
  readonly patience: Patience;

  constructor(client: ContainerClient, place: AzurePlace, prefix: string, options: AzureContainerOptions = {}) {
    this.client = client;
    this.place = place;
    this.prefix = prefix;
    this.debug = options.debug ?? (() => undefined);
    this.patience = new Patience(this.location, options);
  }

  /** The container's address and the prefix; opens the same store again. */
  get location(): string {
    return this.prefix === '' ? this.place.url : `${this.place.url}/${this.prefix.slice(0, -1)}`;
  }

  blob(name: string): BlockBlobClient {
    return this.client.getBlockBlobClient(this.prefix + name);
  }

  /**
   * Sends a request, again when that can help, and waits while the service is away.
   * @param request gets the numbers of the attempt and of the round, from 1: a write that is sent again may have succeeded before
   * @param bytes how much it carries: decides how long an attempt may take
   * @throws the SDK's RestError: for callers that tell answers apart; WaitedInVain
   */
  async tries<T>(
    request: (signal: AbortSignal, attempt: number, round: number) => Promise<T>,
    signal: AbortSignal | undefined,
    bytes = 0,
  ): Promise<T> {
    const { clock } = this.patience;
    const options = {
      signal,
      timeoutMs: SMALL_TIMEOUT_MS + bytes / SLOWEST_BYTES_PER_MS,
      sleep: (milliseconds: number, until: AbortSignal | undefined) => clock.sleep(milliseconds, until),
    };
    let attempts = 0;
    return this.patience.through(
      (round) => retrying((abortSignal) => request(abortSignal, (attempts += 1), round), options),
      azureAway,
      signal,
    );
  }

  /**
   * Runs requests on an object; what goes wrong becomes a StoreError.
   * @param doing `Reading`, with `name` for the message
   */
  async guarded<T>(doing: string, name: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (thrown) {
      throw explained(thrown, (cause) => azureError(`${doing} ${name} in ${this.location}`, cause, this.place));
    }
  }
}

/** ETags come with quotes in headers and without in listings; an ObjectInfo has none. */
export function plainEtag(etag: string | undefined): string {
  return (etag ?? '').replaceAll('"', '');
}

/** The condition that the blob is still the one with this plain ETag. */
export function ifUnchanged(etag: string): { ifMatch: string } {
  return { ifMatch: `"${etag}"` };
}
