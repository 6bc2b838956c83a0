// Writing a blob from a stream: blocks with checksums, staged in parallel from a fixed set of buffers, then one commit that makes it visible.
import { createHash, randomBytes } from 'node:crypto';
import { transferChecksum, type TransferChecksum } from './azure-checksum.ts';
import { ifUnchanged, plainEtag, type AzureContainer } from './azure-container.ts';
import { azureFailure, isAzureError } from './azure-errors.ts';
import { ObjectExistsError } from './errors.ts';
import { checkMetadata } from './names.ts';
import { growingPart, keepsForLater, PartSender, type Growth } from './parts.ts';
import type { ObjectInfo, PutOptions, Resumption, WriteOptions } from './store.ts';

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

/** What a block id of ours says; undefined when it is somebody else's. */
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
      const metadata = typeof this.#options.metadata === 'function' ? this.#options.metadata() : (this.#options.metadata ?? {});
      checkMetadata(metadata);
      return await this.#commit(metadata);
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
    const { tags } = this.#options;
    return this.#container.guarded('Writing', this.#name, async () => {
      try {
        return await this.#commitOnce(metadata, tags);
      } catch (thrown) {
        if (tags === undefined || !tagsRefused(thrown)) throw thrown;
        // Index tags need Storage Blob Data Owner (or a SAS with t), and do not exist with a hierarchical namespace. They only help searches.
        this.#container.debug(`${this.#name}: written without index tags, which the identity or the account does not allow.`);
        return this.#commitOnce(metadata, undefined);
      }
    });
  }

  async #commitOnce(metadata: Record<string, string>, tags: Record<string, string> | undefined): Promise<ObjectInfo> {
    const blob = this.#container.blob(this.#name);
    const { contentType, ifAbsent } = this.#options;
    try {
      const answer = await this.#container.tries(
        (abortSignal) =>
          blob.commitBlockList(this.#ids, {
            abortSignal,
            metadata,
            ...(tags === undefined ? {} : { tags }),
            ...(contentType === undefined ? {} : { blobHTTPHeaders: { blobContentType: contentType } }),
            ...(ifAbsent ? { conditions: { ifNoneMatch: '*' } } : {}),
          }),
        this.#options.signal,
      );
      return {
        name: this.#name,
        size: this.#parts.total,
        modified: answer.lastModified ?? new Date(),
        etag: plainEtag(answer.etag),
        metadata,
      };
    } catch (thrown) {
      // The answer to an earlier attempt may have been lost although it succeeded; or another writer's commit dropped our blocks.
      if (isAzureError(thrown, 'BlobAlreadyExists', 'InvalidBlockList', 'ConditionNotMet')) {
        const ours = await this.#committedByUs(metadata);
        if (ours) return ours;
        if (ifAbsent) throw blobExists(this.#container, this.#name, thrown);
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
      return {
        name: this.#name,
        size: this.#parts.total,
        modified: list.lastModified ?? new Date(),
        etag: plainEtag(list.etag),
        metadata,
      };
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

/** Writes a small object whole; its identity is known by its one block, which a plain upload would not give. */
export async function writeBlob(container: AzureContainer, name: string, bytes: Uint8Array, options: WriteOptions): Promise<ObjectInfo> {
  return putBlob(container, name, once(bytes), { ...options, sizeEstimate: bytes.length });
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void> {
  yield bytes;
}

function tagsRefused(thrown: unknown): boolean {
  const failure = azureFailure(thrown);
  return failure?.status === 403 || failure?.code.startsWith('FeatureNotYetSupportedForHierarchicalNamespace') === true;
}

function hex8(value: number): string {
  return value.toString(16).padStart(8, '0');
}
