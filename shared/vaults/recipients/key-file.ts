// Break glass: a per-backup key that was copied out of its vault into a file opens the backup without the vault.
import { readFile } from 'node:fs/promises';
import { errorMessage, UsageError, VerificationError } from '../../step/errors.ts';
import { aesUnwrap } from './secret.ts';
import type { KeyContext, KeyRecipient, WrappedKey } from '../vault.ts';

const KEY_BYTES = 32;

/**
 * Reads a 256-bit key: 32 raw bytes, 64 hex digits, the base64 text that the vault's secret holds, or a JSON document with that text as
 * `value` (a folder vault's own file, `az keyvault secret show`).
 * @throws UsageError saying what the file holds instead; never its content
 */
export async function readKeyFile(path: string): Promise<Buffer> {
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (cause) {
    throw new UsageError(`The key file ${path} cannot be read: ${errorMessage(cause)}.`, {
      fix: 'Check the path and your rights on the file.',
      cause,
    });
  }
  if (bytes.length === KEY_BYTES) return bytes;
  const text = secretValue(bytes.toString('latin1').trim(), path);
  const key = /^[0-9a-f]{64}$/i.test(text) ? Buffer.from(text, 'hex') : Buffer.from(text, 'base64');
  if (key.length === KEY_BYTES) return key;
  throw new UsageError(`The key file ${path} does not hold a 256-bit key.`, {
    fix: 'It should hold the value of the secret lifeboat-<component>-<timestamp> as the vault shows it (base64), or 32 bytes.',
  });
}

function secretValue(text: string, path: string): string {
  if (!text.startsWith('{')) return text;
  let value: unknown;
  try {
    ({ value } = JSON.parse(text) as { value?: unknown });
  } catch {
    // The parser's message quotes the text, which holds the value.
    throw new VerificationError(`The key file ${path} is damaged: it is not the JSON that a vault writes.`, {
      fix: 'Take the file from a copy of the vault, or open the backup with another recipient, such as the escrow key.',
    });
  }
  return typeof value === 'string' ? value.trim() : text;
}

/** Opens what was wrapped under the key-encryption key in the file. Cannot wrap. */
export class KeyFileRecipient implements KeyRecipient {
  readonly kind = 'folder' as const;
  readonly location: string;
  readonly #key: Buffer;

  constructor(path: string, key: Buffer) {
    this.location = path;
    this.#key = key;
  }

  async wrap(): Promise<WrappedKey> {
    throw new UsageError('A key file only opens backups; new ones need a vault.', { fix: 'Give a Key Vault or a folder as the vault.' });
  }

  async unwrap(wrapped: WrappedKey, { component, timestamp }: KeyContext): Promise<Uint8Array> {
    try {
      return aesUnwrap(this.#key, Buffer.from(wrapped.encryptedKey, 'base64'));
    } catch (cause) {
      throw new VerificationError(`The key in ${this.location} does not open the backup ${component} ${timestamp}.`, {
        cause,
        fix: `It is another backup's key. This one needs the value of ${wrapped.keyId}.`,
      });
    }
  }

  matches(wrapped: WrappedKey): boolean {
    return wrapped.algorithm === 'A256KW';
  }

  async forget(): Promise<boolean> {
    return false;
  }
}
