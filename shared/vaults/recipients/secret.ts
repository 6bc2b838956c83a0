// The recipients `key-vault-secret` and `folder`: a key-encryption key of its own for each backup, kept as a secret in a vault.
import { createCipheriv, createDecipheriv, randomBytes, timingSafeEqual } from 'node:crypto';
import { VerificationError } from '../../step/errors.ts';
import { DamagedSecretError, KeyMissingError, VaultError } from '../errors.ts';
import { backupKeyName } from '../secret-name.ts';
import type { KeyContext, KeyRecipient, Vault, WrappedKey } from '../vault.ts';

/** Bytes of the key-encryption key. */
const KEK_BYTES = 32;
/** RFC 3394, section 2.2.3.1. */
const DEFAULT_IV = Buffer.alloc(8, 0xa6);
const PURPOSE = 'lifeboat-backup-key';
const CONTENT_TYPE = 'application/octet-stream;encoding=base64';
/** Milliseconds for putting away a key that will not be used. */
const CLEAN_UP_TIME = 10_000;

export class SecretRecipient implements KeyRecipient {
  readonly kind: 'key-vault-secret' | 'folder';
  readonly location: string;
  readonly #vault: Vault;

  constructor(vault: Vault) {
    this.kind = vault.kind === 'folder' ? 'folder' : 'key-vault-secret';
    this.location = vault.location;
    this.#vault = vault;
  }

  async wrap(key: Uint8Array, { component, timestamp, store, signal }: KeyContext): Promise<WrappedKey> {
    const name = await this.#freeName(backupKeyName(component, timestamp), signal);
    const kek = randomBytes(KEK_BYTES);
    try {
      const { id, version } = await this.#vault.set(name, kek.toString('base64'), {
        contentType: CONTENT_TYPE,
        tags: { purpose: PURPOSE, component, timestamp, ...(store === undefined ? {} : { store }) },
        signal,
      });
      const wrapped: WrappedKey = { kind: this.kind, keyId: id, algorithm: 'A256KW', encryptedKey: aesWrap(kek, key).toString('base64') };
      try {
        await this.#proveStored(name, version, kek, signal);
      } catch (thrown) {
        // A cancelled run still puts its key away.
        await this.forget(wrapped, AbortSignal.timeout(CLEAN_UP_TIME)).catch(() => false);
        throw thrown;
      }
      return wrapped;
    } finally {
      kek.fill(0);
    }
  }

  async unwrap(wrapped: WrappedKey, { component, timestamp, signal }: KeyContext): Promise<Uint8Array> {
    const subject = `the key of backup ${component} ${timestamp}`;
    const { name, version } = this.#parse(wrapped);
    const secret = await this.#vault.get(name, signal, version).catch((thrown: unknown) => {
      if (!(thrown instanceof DamagedSecretError)) throw thrown;
      throw new VerificationError(`${capital(subject)} is damaged. ${thrown.message}`, {
        fix: 'Put its file back from a copy of the vault, or open the backup with another recipient, such as the escrow key.',
        cause: thrown,
      });
    });
    if (!secret) throw await this.#missing(subject, name, version, signal);
    const kek = Buffer.from(secret.value, 'base64');
    try {
      if (kek.length !== KEK_BYTES) {
        throw new VerificationError(
          `The secret ${name} in ${this.location} is not ${subject}: it has ${kek.length} bytes instead of ${KEK_BYTES}.`,
          {
            fix: 'The secret was changed. Open the backup with another recipient, such as the escrow key.',
          },
        );
      }
      return aesUnwrap(kek, Buffer.from(wrapped.encryptedKey, 'base64'));
    } catch (cause) {
      if (cause instanceof VerificationError) throw cause;
      throw new VerificationError(
        `The secret ${name} in ${this.location} does not open ${subject}: the wrapped key or the secret was changed.`,
        {
          fix: 'Open the backup with another recipient, such as the escrow key, or restore an earlier backup.',
          cause,
        },
      );
    } finally {
      kek.fill(0);
    }
  }

  matches(wrapped: WrappedKey): boolean {
    return wrapped.kind === this.kind && this.#vault.parseId(wrapped.keyId) !== undefined;
  }

  async backupsIn(store: string, component: string, signal?: AbortSignal): Promise<string[]> {
    const timestamps: string[] = [];
    for await (const { tags } of this.#vault.list(signal)) {
      const timestamp = tags['timestamp'];
      if (tags['purpose'] !== PURPOSE || tags['store'] !== store || tags['component'] !== component) continue;
      if (timestamp !== undefined) timestamps.push(timestamp);
    }
    return timestamps;
  }

  async forget(wrapped: WrappedKey, signal?: AbortSignal): Promise<boolean> {
    const { name, version } = this.#parse(wrapped);
    const latest = await this.#vault.get(name, signal);
    if (!latest) return false;
    if (latest.version !== version) {
      // Deleting takes all versions, and the newer one may be the key of a backup that lives.
      throw new VaultError(
        `The secret ${name} in ${this.location} has a newer version than the key that is to be deleted; it was left alone.`,
        {
          fix: `Look at the versions of ${name} and delete it by hand when no backup needs them.`,
        },
      );
    }
    return this.#vault.delete(name, signal);
  }

  #parse(wrapped: WrappedKey): { name: string; version: string } {
    const parsed = this.#vault.parseId(wrapped.keyId);
    if (parsed && wrapped.algorithm === 'A256KW') return parsed;
    throw new KeyMissingError(`The key ${wrapped.keyId} (${wrapped.algorithm}) is not kept in ${this.location}.`, {
      fix: 'Give the vault that the key id names.',
    });
  }

  /**
   * The name itself, unless a key is there already: another installation that shares the vault backed up a component of the same name in the
   * same second. Deleting a name takes all its versions, so two backups must never share one.
   */
  async #freeName(name: string, signal: AbortSignal | undefined): Promise<string> {
    return (await this.#vault.get(name, signal)) === undefined ? name : `${name}-${randomBytes(3).toString('hex')}`;
  }

  /** @throws VaultError unless a fresh read gives back the very key */
  async #proveStored(name: string, version: string, kek: Buffer, signal: AbortSignal | undefined): Promise<void> {
    const stored = await this.#vault.get(name, signal, version);
    const bytes = Buffer.from(stored?.value ?? '', 'base64');
    if (bytes.length === kek.length && timingSafeEqual(bytes, kek)) return;
    throw new VaultError(`The key ${name} was stored in ${this.location} but does not read back the same.`, {
      fix: 'Check that nothing else writes secrets of that name, then run again. Nothing was backed up with this key.',
    });
  }

  async #missing(subject: string, name: string, version: string, signal: AbortSignal | undefined): Promise<KeyMissingError> {
    const deleted = await this.#vault.deleted(name, signal).catch(() => undefined);
    if (deleted) {
      const when = deleted.deleted ? ` on ${day(deleted.deleted)}` : '';
      const until = deleted.purges ? ` until ${day(deleted.purges)}` : '';
      return new KeyMissingError(
        `${capital(subject)} was deleted from ${this.location}${when} (secret ${name}), but can be recovered${until}.`,
        {
          fix: `Run: ${deleted.recoverCommand}`,
        },
      );
    }
    const latest = await this.#vault.get(name, signal).catch(() => undefined);
    const what = latest ? `the secret ${name} is there, but not its version ${version}` : `there is no secret ${name}`;
    return new KeyMissingError(`${capital(subject)} is not in ${this.location}: ${what}.`, {
      fix: 'Open the backup with another recipient, such as the escrow key.',
    });
  }
}

/** RFC 3394, which Azure calls A256KW. */
function aesWrap(kek: Uint8Array, key: Uint8Array): Buffer {
  const cipher = createCipheriv('id-aes256-wrap', kek, DEFAULT_IV);
  return Buffer.concat([cipher.update(key), cipher.final()]);
}

/** RFC 3394. @throws Error when the key is wrong or the bytes were changed */
export function aesUnwrap(kek: Uint8Array, wrapped: Uint8Array): Buffer {
  // OpenSSL takes an empty input and gives an empty key.
  if (wrapped.length < 24) throw new Error(`only ${wrapped.length} bytes`);
  const decipher = createDecipheriv('id-aes256-wrap', kek, DEFAULT_IV);
  return Buffer.concat([decipher.update(wrapped), decipher.final()]);
}

function day(date: Date): string {
  return date.toISOString().slice(0, 10);
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
