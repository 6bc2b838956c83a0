// Writing a backup: one pass from a source to a store, proved by reading it back, and only then committed.
import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { errorMessage, UserError, VerificationError } from '../step/errors.ts';
import { formatTimestamp, timestampToDate, type Timestamp } from '../step/timestamp.ts';
import { ObjectExistsError, StoreError } from '../stores/errors.ts';
import { checkMetadata } from '../stores/names.ts';
import { lockInTurn } from '../stores/lock-wait.ts';
import type { LockOptions, ObjectInfo } from '../stores/store.ts';
import { systemClock, type Clock } from '../tools/clock.ts';
import { limitRate } from '../tools/rate-limit.ts';
import type { WrappedKey } from '../vaults/vault.ts';
import { ahead } from './ahead.ts';
import { beginHere, storeMark } from './begin.ts';
import { abortError, untilAborted } from './cancel.ts';
import { forgetAll, newContentKey, wrapForAll } from './content-key.ts';
import { REGION_BYTES, RegionEncoder } from './encryption.ts';
import { nextFreeTimestamp } from './free-timestamp.ts';
import { FRAME_BYTES, MAX_FRAME_BYTES, packFrames } from './frames.ts';
import { firstDifference } from './json-difference.ts';
import { canonicalJson, type JsonValue } from './json.ts';
import { joinInstallation } from './installation.ts';
import { backupNames, checkComponent, checkPrefix, lockName, type BackupNames } from './layout.ts';
import { cleanLeftovers, listEntries, type ComponentEntry } from './leftovers.ts';
import { serializeManifest, type Manifest } from './manifest.ts';
import { dataMetadata, manifestMetadata } from './metadata.ts';
import { release } from '../tools/release.ts';
import { checkStoredSize, readSample, readStored, SAMPLE_OF, type ReadStoredOptions } from './stored.ts';
import type { BackupPhase, BackupRequest, BackupResult } from './write-request.ts';

export type * from './write-request.ts';

const LOCK_EXPIRY_MS = 60_000;
/** Encrypted pieces of 256 KiB at most that may wait for the store: compression goes on while it writes. */
const PIECES_AHEAD = 16;
/** Time for tidying up after a failure or a cancel. */
const CLEANUP_MS = 30_000;

/**
 * Makes one backup. When it returns, the backup is committed; when it throws, nothing of it is listed.
 * @throws UserError of the source, the store or a vault; LockedError while another run is at work; VerificationError when what was read
 * back is not what was written; CancelledError
 */
export async function writeBackup<R extends JsonValue>(request: BackupRequest<R>): Promise<BackupResult> {
  const seen = { read: false };
  const source: AsyncIterable<Uint8Array> = {
    [Symbol.asyncIterator]() {
      seen.read = true;
      return request.source[Symbol.asyncIterator]();
    },
  };
  try {
    checkRequest(request);
    return await writeLocked({ ...request, source });
  } finally {
    if (!seen.read) await endUnread(request.source);
  }
}

async function writeLocked<R extends JsonValue>(request: BackupRequest<R>): Promise<BackupResult> {
  const options: LockOptions = {
    owner: request.owner,
    expiresAfter: LOCK_EXPIRY_MS,
    resumable: true,
    onTakeover: (previous) => request.onNotice?.(`Took over the expired lock of ${request.component} from ${previous}.`),
    signal: request.signal,
  };
  const lock = await lockInTurn(request.store, lockName(request.prefix, request.component), options, request);
  const lost = new AbortController();
  const onLost = (): void => {
    lost.abort(new StoreError(`The lock of ${request.component} in ${request.store.location} was lost: another run may have started.`));
  };
  lock.lost.addEventListener('abort', onLost, { once: true });
  if (lock.lost.aborted) onLost();
  try {
    const signal = request.signal ? AbortSignal.any([request.signal, lost.signal]) : lost.signal;
    return await new BackupRun(request, signal).run();
  } finally {
    lock.lost.removeEventListener('abort', onLost);
    await lock.release();
  }
}

function checkRequest(request: Pick<BackupRequest, 'prefix' | 'component' | 'compression'>): void {
  checkPrefix(request.prefix);
  checkComponent(request.component);
  const compression = request.compression;
  if (compression?.algorithm !== 'zstd') return;
  const { level = 3, frameBytes = FRAME_BYTES } = compression;
  if (!Number.isInteger(level) || level < 1 || level > 19) throw new UserError(`zstd level ${level} is not between 1 and 19.`);
  if (!Number.isInteger(frameBytes) || frameBytes < 1024 || frameBytes > MAX_FRAME_BYTES) {
    throw new UserError(`A zstd frame of ${frameBytes} bytes is not between 1 KiB and 64 MiB.`);
  }
}

/** What is known when the last byte has been written. */
interface Written<R> {
  content: R;
  sizes: Manifest['sizes'];
  sha256: string;
  compression: Manifest['compression'];
  regions: number;
}

/** One attempt, under the lock. */
class BackupRun<R extends JsonValue> {
  readonly #request: BackupRequest<R>;
  readonly #signal: AbortSignal;
  readonly #clock: Clock;
  #timestamp: Timestamp;
  readonly #phases: BackupPhase[] = [];
  readonly #attempt = randomUUID();
  readonly #contentKey = newContentKey();
  #keys: WrappedKey[] = [];
  #written: Written<R> | undefined;

  constructor(request: BackupRequest<R>, signal: AbortSignal) {
    this.#request = request;
    this.#signal = signal;
    this.#clock = request.clock ?? systemClock;
    this.#timestamp = request.timestamp ?? formatTimestamp(this.#clock.now());
  }

  get #names(): BackupNames {
    return backupNames(this.#request.prefix, this.#request.component, this.#timestamp);
  }

  get #label(): string {
    return `${this.#request.component} ${this.#timestamp} (${this.#names.data})`;
  }

  async run(): Promise<BackupResult> {
    const { component } = this.#request;
    const started = this.#clock.monotonic();
    try {
      const leftoversRemoved = await this.#phase('preparing', () => this.#prepare());
      let manifest: Manifest;
      try {
        this.#keys = await this.#phase('keys', () =>
          wrapForAll(this.#contentKey, this.#request.recipients, {
            ...{ component, timestamp: this.#timestamp, store: storeMark(this.#request.store) },
            signal: this.#signal,
          }),
        );
        this.#checkKeysFit();
        const written = await this.#phase('writing', () => this.#write());
        const verified = await this.#phase('reading back', () => this.#provedReadBack(written));
        manifest = await this.#manifest(written, verified, started);
        this.#checkAborted();
        await this.#phase('committing', () => this.#commit(manifest));
      } catch (thrown) {
        if (!(thrown instanceof UncertainCommit)) await this.#undo();
        // Whatever broke when the run was aborted, the abort is the reason.
        if (this.#signal.aborted && !(thrown instanceof UncertainCommit)) throw abortError(this.#signal);
        throw thrown;
      }
      return { component, timestamp: this.#timestamp, names: this.#names, manifest, phases: this.#phases, leftoversRemoved };
    } finally {
      this.#contentKey.fill(0);
    }
  }

  async #phase<T>(name: BackupPhase['name'], work: () => Promise<T>): Promise<T> {
    this.#checkAborted();
    const started = this.#clock.monotonic();
    const result = await work();
    const bytes = name === 'writing' || name === 'reading back' ? (this.#written?.sizes.plain ?? 0) : 0;
    this.#phases.push({ name, seconds: (this.#clock.monotonic() - started) / 1000, bytes });
    return result;
  }

  #checkAborted(): void {
    if (this.#signal.aborted) throw abortError(this.#signal);
  }

  /** Settles the timestamp, refuses a given one that is taken, and removes old leftovers. */
  async #prepare(): Promise<number> {
    const { store, prefix, component, recipients, copies = [] } = this.#request;
    const entries = await listEntries(store, prefix, component, this.#signal);
    const now = this.#clock.now();
    this.#timestamp =
      this.#request.timestamp ??
      nextFreeTimestamp(
        now,
        entries.map(({ timestamp }) => timestamp),
      );
    this.#checkTimestamp(entries, now);
    this.#request.onTimestamp?.(this.#timestamp);
    if (entries.length === 0) await beginHere({ ...this.#request, now, signal: this.#signal });
    else await joinInstallation({ ...this.#request, signal: this.#signal });
    const { removed, notices } = await cleanLeftovers({ store, prefix, component, recipients, copies, now, signal: this.#signal }, entries);
    for (const notice of notices) this.#request.onNotice?.(notice);
    if (removed > 0)
      this.#request.onNotice?.(`Removed what ${removed} interrupted run${removed > 1 ? 's' : ''} of ${component} left behind.`);
    return removed;
  }

  #checkTimestamp(entries: readonly ComponentEntry[], now: Date): void {
    const { component, store } = this.#request;
    const taken = entries.find((entry) => entry.timestamp === this.#timestamp);
    if (taken) {
      const what = taken.files.has('manifest.json') ? 'a backup' : 'the unfinished data of an interrupted run';
      throw new ObjectExistsError(`There is already ${what} of ${component} at ${this.#timestamp} in ${store.location}.`, {
        fix: 'Give another timestamp, or none: then the next free second is taken.',
      });
    }
    const newest = entries.at(-1)?.timestamp;
    if (this.#request.timestamp === undefined && newest !== undefined && isLater(newest, now)) {
      this.#request.onNotice?.(
        `The newest backup of ${component} is from ${newest}, later than now (${this.#timestamp}): some machine's clock is wrong.`,
      );
    }
  }

  /** The keys lie in the metadata beside the data: that they fit there is to be known before a dump of hours, not after it. */
  #checkKeysFit(): void {
    const { kind, component } = this.#request;
    const most = Number.MAX_SAFE_INTEGER;
    const largest = { kind, timestamp: this.#timestamp, sizes: { plain: most, compressed: most, stored: most }, sha256: '0'.repeat(64) };
    try {
      checkMetadata(dataMetadata({ ...largest, compression: { algorithm: 'zstd' }, keyRecipients: this.#keys }, this.#attempt));
    } catch (cause) {
      throw new UserError(
        `The keys of ${this.#keys.length} recipients do not fit beside the data of ${component}: ${errorMessage(cause)}`,
        {
          cause,
          fix: 'Name fewer recipients. Two or three are enough: the vault, and an escrow key off line.',
        },
      );
    }
  }

  async #write(): Promise<Written<R>> {
    const { store, sizeEstimate } = this.#request;
    let failure: unknown;
    const stop = new AbortController();
    const encoded = this.#encode(AbortSignal.any([this.#signal, stop.signal]), (thrown) => {
      // What fails after the stop failed because of it.
      if (!stop.signal.aborted) failure ??= thrown;
    });
    const end = (): void => {
      stop.abort();
    };
    const stream = ahead(encoded, PIECES_AHEAD, end, release);
    let info: ObjectInfo;
    try {
      const { limitRate: bytesPerSecond } = this.#request;
      const source = bytesPerSecond === undefined ? stream : limitRate(stream, { bytesPerSecond, signal: this.#signal });
      info = await store.put(this.#names.data, source, {
        ifAbsent: true,
        contentType: 'application/octet-stream',
        metadata: () => this.#dataMetadata(),
        signal: this.#signal,
        sizeEstimate,
      });
    } catch (thrown) {
      // A store may wrap what the source threw; the source knows better what happened.
      throw failure ?? thrown;
    } finally {
      // A store that gave up may have left the stream half read, with a source that hangs.
      stop.abort();
      await stream.return();
    }
    const written = this.#written;
    if (!written || info.size !== written.sizes.stored) {
      throw new StoreError(
        `${store.location} says it holds ${info.size} bytes of ${this.#names.data}, but ${written?.sizes.stored ?? 'more'} were sent.`,
      );
    }
    return written;
  }

  /** source → inspector → frames → regions. Sets `#written` after the last byte. */
  async *#encode(signal: AbortSignal, onFailure: (thrown: unknown) => void): AsyncGenerator<Uint8Array, void> {
    const { source, newInspector, onProgress, sizeEstimate } = this.#request;
    const compression = this.#request.compression ?? { algorithm: 'zstd' };
    try {
      const inspector = newInspector();
      const encoder = new RegionEncoder(this.#contentKey);
      let plain = 0;
      let frames = 0;
      for await (const frame of packFrames(untilAborted(source, signal), compression, inspector)) {
        for (const piece of frame.pieces) yield* encoder.update(piece);
        plain += frame.plainBytes;
        frames += 1;
        onProgress?.({ phase: 'Writing', done: plain, unit: 'bytes', total: sizeEstimate });
      }
      const content = await inspector.end();
      yield* encoder.end();
      this.#written = {
        content,
        sizes: { plain, compressed: encoder.compressedBytes, stored: encoder.storedBytes },
        sha256: encoder.sha256(),
        regions: encoder.regions,
        compression:
          compression.algorithm === 'zstd'
            ? { algorithm: 'zstd', level: compression.level ?? 3, frameBytes: compression.frameBytes ?? FRAME_BYTES, frames }
            : { algorithm: 'none' },
      };
    } catch (thrown) {
      onFailure(thrown);
      throw thrown;
    }
  }

  #dataMetadata(): Record<string, string> {
    const written = this.#written;
    if (!written) throw new Error('the store asked for metadata before the last byte');
    return dataMetadata({ kind: this.#request.kind, timestamp: this.#timestamp, keyRecipients: this.#keys, ...written }, this.#attempt);
  }

  /** A damage found here is not yet a backup: the way out is another attempt. */
  async #provedReadBack(written: Written<R>): Promise<Manifest['verified']> {
    try {
      return await this.#readBack(written);
    } catch (cause) {
      if (!(cause instanceof VerificationError)) throw cause;
      throw new VerificationError(cause.message, {
        cause,
        fix: `Nothing of it is listed. Run the backup again; when it happens again, do not trust ${this.#request.store.location}.`,
      });
    }
  }

  /** Reads the stored object back, as `verify` says. @returns the manifest's `verified` */
  async #readBack(written: Written<R>): Promise<Manifest['verified']> {
    const { store, verify = 'full', onProgress } = this.#request;
    if (verify === 'none') return { level: 'none', at: null };
    const total = written.sizes.stored;
    const options: ReadStoredOptions = {
      store,
      dataName: this.#names.data,
      label: this.#label,
      contentKey: this.#contentKey,
      expected: written,
      signal: this.#signal,
      reuse: true,
      limitRate: this.#request.limitRate,
      onProgress: (done) => onProgress?.({ phase: 'Reading back', done, total, unit: 'bytes' }),
    };
    const metadata = await checkStoredSize(options);
    for (const [key, value] of Object.entries(this.#dataMetadata())) {
      if (metadata[key] !== value) throw new VerificationError(`${store.location} did not keep the metadata "${key}" of ${this.#label}.`);
    }
    if (verify === 'sample') {
      const day = Math.floor(timestampToDate(this.#timestamp).getTime() / 86_400_000);
      await readSample(options, { of: SAMPLE_OF, part: day % SAMPLE_OF });
    } else {
      const inspector = this.#request.newInspector();
      for await (const chunk of untilAborted(readStored(options), this.#signal)) await inspector.write(chunk);
      const difference = firstDifference(written.content, await inspector.end());
      if (difference !== undefined) throw new VerificationError(`${this.#label} reads back differently: ${difference}.`);
    }
    return { level: verify, at: this.#clock.now().toISOString() };
  }

  async #manifest(written: Written<R>, verified: Manifest['verified'], started: number): Promise<Manifest> {
    const request = this.#request;
    const facts = typeof request.facts === 'function' ? await request.facts(written.content) : request.facts;
    refuseCredentials(facts.source as JsonValue);
    return {
      formatVersion: 1,
      component: request.component,
      kind: request.kind,
      timestamp: this.#timestamp,
      created: this.#clock.now().toISOString(),
      tools: { ...request.tools, node: process.versions.node, zstd: process.versions['zstd'] ?? 'unknown' },
      source: facts.source,
      consistency: facts.consistency,
      compression: written.compression,
      encryption: { protocol: '2.0', algorithm: 'AES_GCM_256', regionBytes: REGION_BYTES, regions: written.regions },
      sizes: written.sizes,
      sha256: written.sha256,
      content: written.content,
      durationMs: Math.max(0, Math.round(this.#clock.monotonic() - started)),
      keyRecipients: this.#keys,
      suspect: (facts.suspect ?? []).slice(0, 100).map((reason) => reason.slice(0, 4096)),
      verified,
      attempt: this.#attempt,
    };
  }

  /**
   * Writes the manifest: from here on there is a backup. An error does not say whether it was written, so that is looked up.
   * @throws UncertainCommit when that cannot be told; then nothing is undone
   */
  async #commit(manifest: Manifest): Promise<void> {
    const { store } = this.#request;
    const bytes = serializeManifest(manifest, this.#contentKey, { noteText: true });
    const options = { ifAbsent: true, contentType: 'application/json', metadata: manifestMetadata(manifest), signal: this.#signal };
    try {
      await store.write(this.#names.manifest, bytes, options);
    } catch (cause) {
      let there: Uint8Array | undefined;
      try {
        there = await store.read(this.#names.manifest, { signal: AbortSignal.timeout(CLEANUP_MS) });
      } catch {
        throw new UncertainCommit(
          `${this.#request.component} ${this.#timestamp}: ${store.location} did not say whether the manifest was written: ${errorMessage(cause)}`,
          { cause, fix: 'Run list-backups: when this backup is listed, it is complete. Otherwise the next run tidies up.' },
        );
      }
      if (there === undefined || !bytes.equals(there)) throw cause;
    }
  }

  /** Removes what this attempt stored: data first, keys last and only when the data is surely gone. */
  async #undo(): Promise<void> {
    const { store, recipients, onNotice } = this.#request;
    const signal = AbortSignal.timeout(CLEANUP_MS);
    try {
      const info = await store.stat(this.#names.data, signal);
      // Another run's object of that name is not ours to delete, nor is its key, which has the same name as ours.
      if (info && info.metadata['attempt'] !== this.#attempt) return;
      if (info) await store.delete(this.#names.data, signal);
    } catch (thrown) {
      onNotice?.(`${this.#names.data} may be left in ${store.location}; a later run removes it: ${errorMessage(thrown)}`);
      return;
    }
    for (const failure of await forgetAll(this.#keys, recipients, signal)) onNotice?.(`After the failed backup, ${failure}`);
  }
}

/** More than a few backups of this very second can account for. */
function isLater(timestamp: Timestamp, now: Date): boolean {
  return timestampToDate(timestamp).getTime() > now.getTime() + 60_000;
}

/** The manifest may or may not be there: taking the data away could leave a listed backup without data. */
class UncertainCommit extends StoreError {}

/** Tells a source that was never read to end its child or close its file. One that opens only when it is read needs nothing. */
async function endUnread(source: AsyncIterable<Uint8Array>): Promise<void> {
  if (source instanceof Readable) source.destroy();
  else if ('return' in source) await (source as AsyncGenerator).return(undefined).catch(() => undefined);
}

/** Source facts go into a document that is not encrypted. @throws Error (a bug of the caller) for an address with a password */
function refuseCredentials(source: JsonValue): void {
  if (/:\/\/[^/\s"@]*:[^/\s"@]*@/.test(canonicalJson(source))) throw new Error('the source facts hold an address with credentials');
}
