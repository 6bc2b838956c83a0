// The content key of one backup: made fresh, wrapped for every recipient, and what else is derived from it.
import { hkdfSync, randomBytes } from 'node:crypto';
import { UsageError, VerificationError } from '../step/errors.ts';
import type { KeyContext, KeyRecipient, WrappedKey } from '../vaults/vault.ts';

/** Bytes of AES-256. */
export const CONTENT_KEY_BYTES = 32;

/**
 * What Azure's client-side encryption v2 puts before the key inside the wrapped bytes, so that a reader notices when a v2 blob was
 * made to look like v1: the protocol's version in ASCII, filled up with zeros to 8 bytes.
 */
const WRAP_PREFIX = Buffer.from('2.0\0\0\0\0\0', 'latin1');

/** A fresh random key. Nonces are a counter from 0, so no key may ever serve two objects. */
export function newContentKey(): Buffer {
  return randomBytes(CONTENT_KEY_BYTES);
}

/** The key for the manifest's HMAC: HKDF-SHA256 of the content key, no salt, info `lifeboat manifest v1`, 32 bytes. */
export function manifestKey(contentKey: Uint8Array): Buffer {
  return Buffer.from(hkdfSync('sha256', contentKey, new Uint8Array(0), 'lifeboat manifest v1', 32));
}

/**
 * Wraps a content key for all recipients at once. When one of them fails, the keys of the others are forgotten again.
 * @throws UsageError when there is no recipient; whatever a recipient throws
 */
export async function wrapForAll(contentKey: Uint8Array, recipients: readonly KeyRecipient[], context: KeyContext): Promise<WrappedKey[]> {
  if (recipients.length === 0) {
    throw new UsageError(`No one could open ${context.component} ${context.timestamp}: no vault and no escrow key is set.`, {
      fix: 'Set a vault, or an escrow public key.',
    });
  }
  const payload = Buffer.concat([WRAP_PREFIX, contentKey]);
  try {
    const results = await Promise.allSettled(recipients.map((recipient) => recipient.wrap(payload, context)));
    const wrapped = results.filter((result) => result.status === 'fulfilled').map((result) => result.value);
    const failure = results.find((result) => result.status === 'rejected');
    if (!failure) return wrapped;
    await forgetAll(wrapped, recipients, AbortSignal.timeout(30_000));
    throw failure.reason;
  } finally {
    payload.fill(0);
  }
}

/**
 * Deletes the per-backup keys behind wrapped keys, as far as possible.
 * @returns what could not be deleted, one line each
 */
export async function forgetAll(
  wrapped: readonly WrappedKey[],
  recipients: readonly KeyRecipient[],
  signal?: AbortSignal,
): Promise<string[]> {
  const failures: string[] = [];
  for (const key of wrapped) {
    for (const recipient of recipients.filter((candidate) => candidate.matches(key))) {
      try {
        await recipient.forget(key, signal);
      } catch (thrown) {
        failures.push(
          `the key ${key.keyId} is still in ${recipient.location}: ${thrown instanceof Error ? thrown.message : String(thrown)}`,
        );
      }
    }
  }
  return failures;
}

/** Takes the content key out of unwrapped bytes. @throws VerificationError when the prefix or the length is wrong */
export function contentKeyOf(payload: Uint8Array, keyId: string): Buffer {
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  if (bytes.length !== WRAP_PREFIX.length + CONTENT_KEY_BYTES || !bytes.subarray(0, WRAP_PREFIX.length).equals(WRAP_PREFIX)) {
    throw new VerificationError(`The key ${keyId} unwraps to something that is not a content key of this format.`);
  }
  return Buffer.from(bytes.subarray(WRAP_PREFIX.length));
}
