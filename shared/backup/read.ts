// Reading a backup: its manifest proved, its bytes checked at every layer, its content compared with the inspector's report.
import { errorMessage, UserError, VerificationError } from '../step/errors.ts';
import type { Timestamp } from '../step/timestamp.ts';
import { ObjectMissingError } from '../stores/errors.ts';
import type { Store } from '../stores/store.ts';
import { KeyMissingError } from '../vaults/errors.ts';
import type { KeyRecipient, WrappedKey } from '../vaults/vault.ts';
import { untilAborted } from './cancel.ts';
import { contentKeyOf } from './content-key.ts';
import type { NewInspector } from './inspector.ts';
import { firstDifference } from './json-difference.ts';
import { canonicalJson, type JsonValue } from './json.ts';
import { backupNames, type BackupNames } from './layout.ts';
import { MAX_MANIFEST_BYTES, parseManifest, type Manifest, type VerifyLevel } from './manifest.ts';
import { dataMetadata, manifestMetadata, wrappedKeysOf } from './metadata.ts';
import { checkStoredSize, readSample, readStored, SAMPLE_OF, type ReadStoredOptions, type Sample } from './stored.ts';

export interface OpenRequest {
  store: Store;
  prefix: string;
  component: string;
  timestamp: Timestamp;
  /** Who may open it, tried in this order. A drill of the escrow key passes only that one. */
  recipients: readonly KeyRecipient[];
  /** Stored bytes per second, at most; unlimited when absent. */
  limitRate?: number | undefined;
  /** Told when somebody could not open it before another one could: their key is lost or damaged. */
  onNotice?: ((message: string) => void) | undefined;
  signal?: AbortSignal | undefined;
}

export interface PlainOptions {
  signal?: AbortSignal | undefined;
  /** Stored bytes read so far, of `manifest.sizes.stored`. */
  onProgress?: (storedBytes: number) => void;
  /** Each piece given out is valid only until the next one is asked for. For readers that keep nothing, such as inspectors. */
  reuse?: boolean;
}

export interface OpenedBackup {
  names: BackupNames;
  /** Proved by its HMAC. */
  manifest: Manifest;
  /** Who opened it. */
  recipient: KeyRecipient;
  /**
   * The plain bytes. What it gives out has passed its region's tag; that nothing is missing is certain only at a normal end.
   * May be called again for another pass.
   * @throws VerificationError naming backup, object and byte offset
   */
  plain(options?: PlainOptions): AsyncGenerator<Buffer>;
  /** Options for reading the stored bytes in other ways. */
  stored(options?: PlainOptions): ReadStoredOptions;
}

/**
 * Opens a backup: reads its manifest, unwraps the content key, proves the manifest, and compares the data object's size with it.
 * @throws UserError when there is no such backup; VaultError when no recipient can open it; VerificationError when it is damaged
 */
export async function openBackup(request: OpenRequest): Promise<OpenedBackup> {
  const { store, component, timestamp } = request;
  const names = backupNames(request.prefix, component, timestamp);
  const label = `${component} ${timestamp} (${names.manifest})`;
  const bytes = await readManifest(request, names, label);
  const stored = parseManifest(bytes, label);
  const { manifest } = stored;
  for (const field of ['component', 'timestamp'] as const) {
    if (manifest[field] !== request[field])
      throw new VerificationError(`${label} belongs to another backup: its field "${field}" says "${manifest[field]}".`);
  }
  const { contentKey, recipient } = await unwrapManifestKeys(request, names, manifest, label);
  stored.checkHmac(contentKey);
  const options = ({ signal = request.signal, onProgress, reuse }: PlainOptions = {}): ReadStoredOptions => ({
    store,
    dataName: names.data,
    label: `${component} ${timestamp} (${names.data})`,
    contentKey,
    expected: manifest,
    signal,
    onProgress,
    reuse,
    limitRate: request.limitRate,
  });
  await checkStoredSize(options());
  return {
    names,
    manifest,
    recipient,
    stored: options,
    plain(plainOptions) {
      const all = options(plainOptions);
      return untilAborted(readStored(all), all.signal);
    },
  };
}

async function readManifest(request: OpenRequest, names: BackupNames, label: string): Promise<Uint8Array> {
  const { store, component, timestamp, signal } = request;
  const info = await store.stat(names.manifest, signal);
  if (info && info.size > MAX_MANIFEST_BYTES)
    throw new VerificationError(`${label} is larger than a manifest can be (${info.size} bytes).`);
  const bytes = info && (await store.read(names.manifest, { maxBytes: MAX_MANIFEST_BYTES, signal }));
  if (bytes) return bytes;
  if (await store.stat(names.data, signal)) {
    throw new ObjectMissingError(
      `${component} ${timestamp} in ${store.location} has data but no manifest: that backup was never completed.`,
      {
        fix: 'Choose another timestamp (list-backups shows them). If the manifest was lost, "lifeboat decrypt" opens the data without it.',
      },
    );
  }
  throw new ObjectMissingError(`There is no backup ${component} ${timestamp} in ${store.location}.`, {
    fix: 'list-backups shows what is there.',
  });
}

/** When no key of the manifest opens, the copy beside the data tells whether the manifest was damaged or the vault is at fault. */
async function unwrapManifestKeys(request: OpenRequest, names: BackupNames, manifest: Manifest, label: string): Promise<UnwrappedKey> {
  try {
    return await unwrapWithAny(manifest.keyRecipients, request);
  } catch (thrown) {
    if (request.signal?.aborted) throw thrown;
    const info = await request.store.stat(names.data, request.signal);
    const beside = info && wrappedKeysOf(info.metadata, names.data);
    if (!beside || canonicalJson(beside) === canonicalJson(manifest.keyRecipients)) throw thrown;
    throw new VerificationError(`${label} was changed after it was written: its field "keyRecipients" is not what lies beside the data.`, {
      cause: thrown,
      fix: 'Restore from another backup or a copy. "lifeboat decrypt" can still open the data without the manifest.',
    });
  }
}

export interface UnwrappedKey {
  contentKey: Buffer;
  recipient: KeyRecipient;
}

/**
 * Unwraps with the first recipient that can.
 * @throws KeyMissingError when none of them is meant; else the error of the last one that was tried
 */
export async function unwrapWithAny(keys: readonly WrappedKey[], request: Omit<OpenRequest, 'store' | 'prefix'>): Promise<UnwrappedKey> {
  const { component, timestamp, signal } = request;
  const failures: unknown[] = [];
  for (const recipient of request.recipients) {
    for (const wrapped of keys.filter((key) => recipient.matches(key))) {
      try {
        const payload = await recipient.unwrap(wrapped, { component, timestamp, signal });
        const contentKey = contentKeyOf(payload, wrapped.keyId);
        if (failures.length > 0)
          request.onNotice?.(`${component} ${timestamp} opens with ${recipient.location} only: ${failures.map(errorMessage).join(' ')}`);
        return { contentKey, recipient };
      } catch (thrown) {
        if (signal?.aborted) throw thrown;
        failures.push(thrown);
      }
    }
  }
  if (failures.length === 1) throw failures[0];
  if (failures.length > 1) throw severalFailures(`${component} ${timestamp} could not be opened by anybody who was asked`, failures);
  const needed = keys.map((key) => `${key.kind} ${key.keyId}`).join(', or ');
  throw new KeyMissingError(`None of the keys given opens the backup ${component} ${timestamp}.`, { fix: `It opens with ${needed}.` });
}

/** Damage weighs more than absence: all tried must agree that it is verification for that exit code. */
function severalFailures(what: string, failures: unknown[]): UserError {
  const message = `${what}: ${failures.map(errorMessage).join(' ')}`;
  const cause = new AggregateError(failures);
  const fix = failures.map((failure) => (failure instanceof UserError ? failure.fix : undefined)).find((text) => text !== undefined);
  const options = fix === undefined ? { cause } : { cause, fix };
  return failures.every((failure) => failure instanceof VerificationError)
    ? new VerificationError(message, options)
    : new KeyMissingError(message, options);
}

export interface VerifyRequest extends OpenRequest {
  newInspector: NewInspector;
  /** `full` when absent: every byte, and the content's report. `sample` reads some regions and does not look at the content. */
  level?: Exclude<VerifyLevel, 'none'>;
  /** Which regions `sample` reads; one in eleven, the first part, when absent. */
  sample?: Sample;
  onProgress?: (storedBytes: number) => void;
}

export interface VerifyResult {
  manifest: Manifest;
  level: Exclude<VerifyLevel, 'none'>;
  /** Who opened it. */
  recipient: KeyRecipient;
  /** Stored bytes that were read; regions read and in all. */
  storedBytesRead: number;
  regionsRead: number;
  regions: number;
}

/**
 * Proves that a stored backup is what its manifest says, to its last byte and document.
 * @throws VerificationError naming the first difference; other errors as `openBackup`
 */
export async function verifyBackup(request: VerifyRequest): Promise<VerifyResult> {
  const { level = 'full', signal, onProgress } = request;
  const opened = await openBackup(request);
  const { manifest, recipient } = opened;
  const label = `${manifest.component} ${manifest.timestamp}`;
  await checkMetadata(request, opened, label);
  const options: PlainOptions = { signal, ...(onProgress ? { onProgress } : {}) };
  const { regions } = manifest.encryption;
  if (level === 'sample') {
    let storedBytesRead = 0;
    const regionsRead = await readSample(
      opened.stored(options),
      request.sample ?? { of: SAMPLE_OF, part: 0 },
      (bytes) => (storedBytesRead += bytes),
    );
    return { manifest, recipient, level, storedBytesRead, regionsRead, regions };
  }
  await inspectAll(opened.plain({ ...options, reuse: true }), request.newInspector, manifest.content, label);
  return { manifest, recipient, level, storedBytesRead: manifest.sizes.stored, regionsRead: regions, regions };
}

/** Reads a plain stream with a fresh inspector and holds its report against the manifest's. */
async function inspectAll(plain: AsyncIterable<Uint8Array>, newInspector: NewInspector, expected: JsonValue, label: string): Promise<void> {
  const inspector = newInspector();
  let inspecting = false;
  try {
    for await (const chunk of plain) {
      inspecting = true;
      await inspector.write(chunk);
      inspecting = false;
    }
    inspecting = true;
    const difference = firstDifference(expected, await inspector.end(expected));
    if (difference !== undefined) throw new VerificationError(`the content is not what the manifest says: ${difference}.`);
  } catch (thrown) {
    // The stream's own errors name the backup already; the inspector knows only the content.
    if (!inspecting || !(thrown instanceof VerificationError)) throw thrown;
    throw new VerificationError(`${label}: ${thrown.message}`, { cause: thrown, ...(thrown.fix === undefined ? {} : { fix: thrown.fix }) });
  }
}

/**
 * The metadata beside the objects must still be right: what lies beside the data opens it when the manifest is lost, what lies beside the
 * manifest is what a listing shows and a restore chooses by. What a version 1 writer put there is held against the manifest, text for text.
 */
async function checkMetadata(request: OpenRequest, { names, manifest }: OpenedBackup, label: string): Promise<void> {
  const beside = (await request.store.stat(names.data, request.signal))?.metadata ?? {};
  const keys = wrappedKeysOf(beside, names.data);
  const difference = firstDifference(manifest.keyRecipients, keys);
  if (difference !== undefined)
    throw new VerificationError(
      `${label}: the keys in the metadata "lifeboatkeys" of ${names.data} are not the manifest's: ${difference}.`,
    );
  requireMetadata(beside, dataMetadata(manifest, ''), names.data, label);
  const listed = (await request.store.stat(names.manifest, request.signal))?.metadata ?? {};
  requireMetadata(listed, manifestMetadata(manifest), names.manifest, label);
}

/** Who wrote it is not in the manifest, and a copy has another origin. */
const OF_THE_RUN: ReadonlySet<string> = new Set(['attempt', 'origin']);

function requireMetadata(found: Readonly<Record<string, string>>, expected: Record<string, string>, name: string, label: string): void {
  const wrong = Object.keys(expected).find((key) => !OF_THE_RUN.has(key) && found[key] !== expected[key]);
  if (wrong === undefined) return;
  const what = found[wrong] === undefined ? 'is lost' : 'is not what the manifest says';
  throw new VerificationError(`${label}: the metadata "${wrong}" of ${name} ${what}.`, {
    fix: 'Something changed it after the backup. The data may still be good: take a copy in another store, or restore without the proof up front (verify-first).',
  });
}
