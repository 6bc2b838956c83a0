// Break glass: opens a data object with nothing but its bytes and a key, without manifest, catalog or store.
import { UserError, VerificationError } from '../step/errors.ts';
import type { Timestamp } from '../step/timestamp.ts';
import type { KeyRecipient, WrappedKey } from '../vaults/vault.ts';
import { CONTENT_KEY_BYTES } from './content-key.ts';
import { decryptRegions, storedOffset } from './encryption.ts';
import { unpackFrames } from './frame-reader.ts';
import { azureKeyOf, wrappedKeysOf } from './metadata.ts';
import { unwrapWithAny, type UnwrappedKey } from './read.ts';

export interface DecryptRequest {
  /** The data object's bytes, from the first on. */
  stored: AsyncIterable<Uint8Array>;
  /** 32 bytes. */
  contentKey: Uint8Array;
  /** Told by its first bytes when absent. */
  compression?: 'zstd' | 'none';
  /** What to call it in errors: a file name. */
  label: string;
}

/**
 * Decrypts and decompresses a data object. Every byte given out is authentic and in its place. What cannot be seen without the manifest:
 * whether whole regions are missing at the end, if the cut also falls on a frame's end. The archive's own end tells.
 * @throws VerificationError naming the byte; UserError when the key has the wrong length
 */
export async function* decryptData(request: DecryptRequest): AsyncGenerator<Buffer> {
  const { stored, contentKey, label } = request;
  if (contentKey.length !== CONTENT_KEY_BYTES) {
    throw new UserError(`The content key has ${contentKey.length} bytes instead of ${CONTENT_KEY_BYTES}.`, {
      fix: 'Unwrapped bytes are 40: take away the first 8 ("2.0" and five zero bytes).',
    });
  }
  const compressed = decryptRegions(stored, { contentKey, label });
  const first = await compressed.next();
  if (first.done) return;
  const whole = startingWith(first.value, compressed);
  const zstd = request.compression ? request.compression === 'zstd' : first.value.length >= 4 && first.value.readUInt32LE(0) === 0xfd2fb528;
  yield* zstd ? unpackFrames(whole, { place: (offset) => `${label} at byte ${storedOffset(offset)}` }) : whole;
}

async function* startingWith(first: Buffer, rest: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  yield first;
  yield* rest;
}

/**
 * Gets the content key out of a data object's metadata: from our own list of wrapped keys, else from Azure's `encryptiondata`.
 * @throws VerificationError when the metadata is lost or damaged; VaultError when no recipient can open it
 */
export async function contentKeyFromMetadata(
  metadata: Readonly<Record<string, string>>,
  recipients: readonly KeyRecipient[],
  context: { component: string; timestamp: Timestamp; onNotice?: (message: string) => void; signal?: AbortSignal | undefined },
): Promise<UnwrappedKey> {
  const label = `${context.component} ${context.timestamp}`;
  let keys: WrappedKey[] | undefined;
  try {
    keys = wrappedKeysOf(metadata, label);
  } catch (thrown) {
    if (!(thrown instanceof VerificationError)) throw thrown;
  }
  if (!keys) {
    // Azure's own field does not say who opens it: every recipient is asked.
    const key = azureKeyOf(metadata, label);
    keys = [...new Set(recipients.map((recipient) => recipient.kind))].map((kind) => ({ ...key, kind }));
  }
  return unwrapWithAny(keys, { ...context, recipients });
}
