// Writing a blob: a small one with one request; a stream in blocks with checksums, staged in parallel from a fixed set of buffers, then one
// commit that makes it visible.
import { createHash, randomBytes } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { transferChecksum, type TransferChecksum } from './checksum.ts';
import { ifUnchanged, plainEtag, type AzureContainer } from './container.ts';
import { azureFailure, isAzureError } from './errors.ts';
import { openBlob, statBlob } from './read.ts';
import { ObjectExistsError } from '../errors.ts';
import { checkMetadata } from '../names.ts';
import { growingPart, keepsForLater, PartSender, type Growth } from '../parts.ts';
import type { ObjectInfo, PutOptions, Resumption, WriteOptions } from '../store.ts';

/**
 * A blob has at most 50,000 blocks. An estimate takes 10,000 of them; from there on they double every 4,000, so that even a stream without
 * an estimate reaches 8 TiB and one that is 500 times its estimate still fits.
 */
const GROWTH: Growth = { byEstimate: 10_000, beforeDoubling: 4_000 };

/** Size of block number `index`. */
export function blockSize(index: number, sizeEstimate = 0): number {
  return growingPart(index, sizeEstimate, GROWTH);
}

/** Marks our block ids, which carry the second they were staged, the writer's number and the block's. All ids of a blob have one length. */
const BLOCK_ID = /^lifeboat-([0-9a-f]{8})-([0-9a-f]{16})-([0-9a-f]{8})$/;

/** What a block id of ours says; undefined when it is not one of ours. */
export function readBlockId(id: string): { staged: Date; writer: string; index: number } | undefined {
  const match = BLOCK_ID.exec(Buffer.from(id, 'base64').toString('latin1'));
  if (!match) return undefined;
  return { staged: new Date(parseInt(match[1] as string, 16) * 1000), writer: match[2] as string, index: parseInt(match[3] as string, 16) };
}

/** Streams an object into the container. See Store.put. `sizeOf` is for tests. */
export async function putBlob(
  container: AzureContainer,
  name: string,
  source: AsyncIterable<Uint8Array>,
  options: PutOptions,
  sizeOf = blockSize,
): Promise<ObjectInfo> {
  return new BlobWriter(container, name, options, sizeOf).run(source);
}

class BlobWriter {
  readonly #container: AzureContainer;
  readonly #name: string;
  readonly #options: PutOptions;
  /** The same for the same bytes when the upload may go on in another run. */
  readonly #writer: string;
  readonly #sizeOf: (index: number) => number;
  readonly #ids: string[] = [];
  readonly #parts: PartSender;
  #checksumOf: ((block: Uint8Array) => TransferChecksum) | undefined;
  /** The list of staged blocks that is being asked for; shared by all that want it at the same moment. */
  #listing: Promise<Map<string, number>> | undefined;

  constructor(container: AzureContainer, name: string, options: PutOptions, sizeOf: typeof blockSize) {
    this.#container = container;
    this.#name = name;
    this.#options = options;
    const { resume } = options;
    this.#writer = resume ? createHash('sha256').update(resume.identity).digest('hex').slice(0, 16) : randomBytes(8).toString('hex');
    this.#sizeOf = (index) => sizeOf(index, options.sizeEstimate);
    this.#parts = new PartSender({
      sizeOf: this.#sizeOf,
      send: (block, index, signal) => this.#stage(block, index, signal),
      onProgress: options.onProgress,
      signal: options.signal,
    });
  }

  async run(source: AsyncIterable<Uint8Array>): Promise<ObjectInfo> {
    try {
      this.#checksumOf = await transferChecksum();
      const offset = await this.#goOn();
      await this.#parts.sendAll(offset === 0 ? source : (this.#options.resume as Resumption).from(offset));
      const metadata = metadataOf(this.#options);
      return await this.#container.guarded('Writing', this.#name, () => this.#commit(metadata));
    } catch (thrown) {
      await this.#parts.abort();
      const failure = this.#parts.failure ?? thrown;
      if (!keepsForLater(this.#options, failure)) await this.#discard();
      throw failure;
    }
  }

  /** Finds the blocks that an interrupted upload of the same bytes has staged. @returns how many bytes need not be sent again */
  async #goOn(): Promise<number> {
    if (!this.#options.resume) return 0;
    const staged = await this.#container.guarded('Writing', this.#name, () =>
      this.#container.tries((abortSignal) => stagedBlocks(this.#container, this.#name, abortSignal), this.#options.signal),
    );
    const ours = new Map<number, string>();
    for (const [id, size] of staged) {
      const read = readBlockId(id);
      if (read?.writer === this.#writer && size === this.#sizeOf(read.index)) ours.set(read.index, id);
    }
    let offset = 0;
    for (let id = ours.get(0); id !== undefined; id = ours.get(this.#ids.length)) {
      offset += this.#sizeOf(this.#ids.length);
      this.#ids.push(id);
    }
    this.#parts.goOn(this.#ids.length, offset);
    return offset;
  }

  async #stage(block: Buffer, index: number, signal: AbortSignal): Promise<void> {
    const id = this.#idOf(index);
    this.#ids[index] = id;
    const checksum = (this.#checksumOf as (block: Uint8Array) => TransferChecksum)(block);
    const blob = this.#container.blob(this.#name);
    await this.#container.guarded('Writing', this.#name, () =>
      this.#container.tries(
        async (abortSignal, _attempt, round) => {
          // After an outage: the block may have arrived, and only the answer was lost. The service checked its checksum then.
          if (round > 1 && (await this.#staged(abortSignal)).get(id) === block.length) return;
          await blob.stageBlock(id, block, block.length, { abortSignal, ...checksum });
        },
        signal,
        block.length,
      ),
    );
  }

  #idOf(index: number): string {
    const seconds = Math.floor(Date.now() / 1000);
    return Buffer.from(`lifeboat-${hex8(seconds)}-${this.#writer}-${hex8(index)}`, 'latin1').toString('base64');
  }

  /** Ids and sizes of the blocks that the service has. */
  async #staged(abortSignal: AbortSignal): Promise<Map<string, number>> {
    this.#listing ??= stagedBlocks(this.#container, this.#name, abortSignal).finally(() => (this.#listing = undefined));
    return this.#listing;
  }

  async #commit(metadata: Record<string, string>): Promise<ObjectInfo> {
    const blob = this.#container.blob(this.#name);
    try {
      const answer = await this.#container.tries(
        (abortSignal) => blob.commitBlockList(this.#ids, { abortSignal, ...settingsOf(this.#options, metadata) }),
        this.#options.signal,
      );
      return written(this.#name, this.#parts.total, metadata, answer);
    } catch (thrown) {
      // The answer to an earlier attempt may have been lost although it succeeded; or another writer's commit dropped our blocks.
      if (isAzureError(thrown, 'BlobAlreadyExists', 'InvalidBlockList', 'ConditionNotMet')) {
        const ours = await this.#committedByUs(metadata);
        if (ours) return ours;
        if (this.#options.ifAbsent) throw blobExists(this.#container, this.#name, thrown);
      }
      throw thrown;
    }
  }

  /** The blob, when what is committed there are our own blocks. */
  async #committedByUs(metadata: Record<string, string>): Promise<ObjectInfo | undefined> {
    if (this.#ids.length === 0) return undefined;
    const blob = this.#container.blob(this.#name);
    try {
      const list = await this.#container.tries((abortSignal) => blob.getBlockList('committed', { abortSignal }), this.#options.signal);
      const first = list.committedBlocks?.[0]?.name;
      if (first === undefined || readBlockId(first)?.writer !== this.#writer) return undefined;
      return written(this.#name, this.#parts.total, metadata, list);
    } catch (thrown) {
      if (azureFailure(thrown)?.status === 404) return undefined;
      throw thrown;
    }
  }

  /** Best effort: drops the blocks of a write that failed. The service drops them by itself after a week. */
  async #discard(): Promise<void> {
    if (this.#ids.length === 0) return;
    try {
      const isOurs = (id: string): boolean => readBlockId(id)?.writer === this.#writer;
      await discardUncommitted(this.#container, this.#name, (ids) => ids.every(isOurs), AbortSignal.timeout(10_000));
    } catch (thrown) {
      this.#container.debug(`Blocks of ${this.#name} could not be dropped: ${String(thrown)}`);
    }
  }
}

async function stagedBlocks(container: AzureContainer, name: string, abortSignal: AbortSignal): Promise<Map<string, number>> {
  try {
    const list = await container.blob(name).getBlockList('uncommitted', { abortSignal });
    return new Map((list.uncommittedBlocks ?? []).map((block) => [block.name, block.size]));
  } catch (thrown) {
    // Not a single block has arrived yet.
    if (azureFailure(thrown)?.status === 404) return new Map();
    throw thrown;
  }
}

/**
 * Drops the uncommitted blocks below a name that has no committed blob, when `mayGo` agrees. Azure has no request for that: an empty
 * list is committed, only if there is no blob, and the empty blob is deleted at once.
 * @returns whether something was dropped
 */
export async function discardUncommitted(
  container: AzureContainer,
  name: string,
  mayGo: (blockIds: string[]) => boolean,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const blob = container.blob(name);
  try {
    const list = await container.tries((abortSignal) => blob.getBlockList('all', { abortSignal }), signal);
    const ids = (list.uncommittedBlocks ?? []).map((block) => block.name);
    if ((list.committedBlocks?.length ?? 0) > 0 || ids.length === 0 || !mayGo(ids)) return false;
    const policy = await container.tries((abortSignal) => container.client.getProperties({ abortSignal }), signal);
    // There the empty blob could not be deleted again. The service drops the blocks after a week.
    if (policy.hasImmutabilityPolicy || policy.hasLegalHold || policy.isImmutableStorageWithVersioningEnabled) return false;
    const { etag } = await blob.commitBlockList([], { conditions: { ifNoneMatch: '*' }, ...(signal ? { abortSignal: signal } : {}) });
    await container.tries((abortSignal) => blob.delete({ abortSignal, conditions: ifUnchanged(plainEtag(etag)) }), signal);
    return true;
  } catch (thrown) {
    if (azureFailure(thrown)?.status === 404 || isAzureError(thrown, 'BlobAlreadyExists', 'ConditionNotMet')) return false;
    throw thrown;
  }
}

/** The error of a name that is taken. */
export function blobExists(container: AzureContainer, name: string, cause?: unknown): ObjectExistsError {
  return new ObjectExistsError(`${name} already exists in ${container.location} and is not overwritten.`, { cause });
}

/** Writes a small object whole, with one request: a run that is killed leaves all of it or nothing. See Store.write. */
export async function writeBlob(container: AzureContainer, name: string, bytes: Uint8Array, options: WriteOptions): Promise<ObjectInfo> {
  const metadata = metadataOf(options);
  const checksum = (await transferChecksum())(bytes);
  const blob = container.blob(name);
  let attempts = 0;
  return container.guarded('Writing', name, async () => {
    try {
      const upload = async (abortSignal: AbortSignal, attempt: number) => {
        attempts = attempt;
        return blob.upload(bytes, bytes.length, { abortSignal, ...checksum, ...settingsOf(options, metadata) });
      };
      return written(name, bytes.length, metadata, await container.tries(upload, options.signal, bytes.length));
    } catch (thrown) {
      if (!options.ifAbsent || !isAzureError(thrown, 'BlobAlreadyExists', 'ConditionNotMet')) throw thrown;
      // The answer to an earlier attempt may have been lost although it succeeded.
      const ours = attempts > 1 ? await sameBlob(container, name, bytes, metadata, options.signal) : undefined;
      if (ours) return ours;
      throw blobExists(container, name, thrown);
    }
  });
}

/** The blob, when it is just what was to be written. */
async function sameBlob(
  container: AzureContainer,
  name: string,
  bytes: Uint8Array,
  metadata: Record<string, string>,
  signal: AbortSignal | undefined,
): Promise<ObjectInfo | undefined> {
  const there = await statBlob(container, name, signal);
  if (there?.size !== bytes.length || !isDeepStrictEqual({ ...there.metadata }, metadata)) return undefined;
  const chunks: Uint8Array[] = [];
  for await (const chunk of openBlob(container, name, { signal })) chunks.push(chunk);
  return Buffer.concat(chunks).equals(bytes) ? there : undefined;
}

/** @throws StoreError when a store could not keep it */
function metadataOf({ metadata = {} }: WriteOptions): Record<string, string> {
  const facts = typeof metadata === 'function' ? metadata() : metadata;
  checkMetadata(facts);
  return facts;
}

/** What an upload and a commit are told alike. */
function settingsOf({ contentType, ifAbsent }: WriteOptions, metadata: Record<string, string>) {
  return {
    metadata,
    ...(contentType === undefined ? {} : { blobHTTPHeaders: { blobContentType: contentType } }),
    ...(ifAbsent ? { conditions: { ifNoneMatch: '*' } } : {}),
  };
}

function written(name: string, size: number, metadata: Record<string, string>, answer: { lastModified?: Date; etag?: string }): ObjectInfo {
  return { name, size, modified: answer.lastModified ?? new Date(), etag: plainEtag(answer.etag), metadata };
}

function hex8(value: number): string {
  return value.toString(16).padStart(8, '0');
}
