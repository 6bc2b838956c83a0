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
import { metadataFault, type MetadataError } from './metadata-check.ts';
import { wrappedKeysOf } from './metadata.ts';
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
  /** Told when one recipient could not open it before another one could: its key is lost or damaged. */
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
  /** What is wrong with the metadata beside its objects, which are not authenticated; undefined when all is right. @throws StoreError */
  metadataFault(): Promise<MetadataError | undefined>;
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
    metadataFault: () => metadataFault(store, { names, manifest }, request.signal),
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
    const beside = info && keysBeside(info.metadata, names.data);
    if (!beside || canonicalJson(beside) === canonicalJson(manifest.keyRecipients)) throw thrown;
    // Metadata prove nothing: only keys that open something tell that the manifest's are not the right ones.
    const opened = await unwrapWithAny(beside, { ...request, onNotice: undefined }).catch(() => undefined);
    if (!opened) throw thrown;
    throw new VerificationError(`${label} was changed after it was written: its field "keyRecipients" is not what lies beside the data.`, {
      cause: thrown,
      fix: 'Restore from another backup or a copy. "lifeboat decrypt" can still open the data without the manifest.',
    });
  }
}

function keysBeside(metadata: Readonly<Record<string, string>>, name: string): WrappedKey[] | undefined {
  try {
    return wrappedKeysOf(metadata, name);
  } catch {
    return undefined;
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
  // What cannot open by nature says nothing about the key; it is asked only when there is nothing else, and says what is needed.
  const able = request.recipients.filter(({ wrapsOnly }) => wrapsOnly !== true);
  const isMeant = (recipient: KeyRecipient): boolean => keys.some((key) => recipient.matches(key));
  for (const recipient of able.some(isMeant) ? able : request.recipients) {
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
  if (failures.length > 1)
    throw severalFailures(`${component} ${timestamp} could not be opened by any of the keys that were tried`, failures);
  const needed = keys.map((key) => `${key.kind} ${key.keyId}`).join(', or ');
  throw new KeyMissingError(`None of the keys given opens the backup ${component} ${timestamp}.`, { fix: `It opens with ${needed}.` });
}

/** Damage weighs more than absence; a vault that does not answer may still have a good key. */
function severalFailures(what: string, failures: unknown[]): UserError {
  const message = `${what}: ${failures.map(errorMessage).join(' ')}`;
  const cause = new AggregateError(failures);
  const fix = failures.map((failure) => (failure instanceof UserError ? failure.fix : undefined)).find((text) => text !== undefined);
  const options = fix === undefined ? { cause } : { cause, fix };
  const certain = failures.every((failure) => failure instanceof VerificationError || failure instanceof KeyMissingError);
  return certain && failures.some((failure) => failure instanceof VerificationError)
    ? new VerificationError(message, options)
    : new KeyMissingError(message, options);
}

/** How a backup that is open is proved. */
export interface ProofRequest {
  newInspector: NewInspector;
  /** `full` when absent: every byte, and the content's report. `sample` reads some regions and does not look at the content. */
  level?: Exclude<VerifyLevel, 'none'>;
  /** Which regions `sample` reads; one in eleven, the first part, when absent. */
  sample?: Sample;
  /** Told when the metadata beside the objects are not what the manifest says. Absent: that is the error of a backup whose bytes are good. */
  onMetadata?: ((fault: MetadataError) => void) | undefined;
  signal?: AbortSignal | undefined;
  onProgress?: ((storedBytes: number) => void) | undefined;
}

export interface VerifyRequest extends OpenRequest, ProofRequest {}

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
  return proveBackup(await openBackup(request), request);
}

/** Proves a backup that is open. @throws as `verifyBackup` */
export async function proveBackup(opened: OpenedBackup, request: ProofRequest): Promise<VerifyResult> {
  const { level = 'full', signal, onProgress } = request;
  const { manifest, recipient } = opened;
  const fault = await opened.metadataFault();
  if (fault) request.onMetadata?.(fault);
  const options: PlainOptions = { signal, ...(onProgress ? { onProgress } : {}) };
  const { regions } = manifest.encryption;
  const result = { manifest, recipient, level, storedBytesRead: manifest.sizes.stored, regionsRead: regions, regions };
  if (level === 'sample') {
    result.storedBytesRead = 0;
    result.regionsRead = await readSample(
      opened.stored(options),
      request.sample ?? { of: SAMPLE_OF, part: 0 },
      (bytes) => (result.storedBytesRead += bytes),
    );
  } else {
    const label = `${manifest.component} ${manifest.timestamp}`;
    await inspectAll(opened.plain({ ...options, reuse: true }), request.newInspector, manifest.content, label);
  }
  // Said last: damage to the bytes weighs more.
  if (fault && !request.onMetadata) throw fault;
  return result;
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
    throw new VerificationError(`${label}: ${thrown.message}`, { cause: thrown, fix: thrown.fix });
  }
}
