// A KeyRecipient in memory for unit tests: real AES key wrap under a random key per backup, and hooks that make it fail.
import { createCipheriv, createDecipheriv, randomBytes, randomUUID } from 'node:crypto';
import { VerificationError } from '../../shared/step/errors.ts';
import { KeyMissingError } from '../../shared/vaults/errors.ts';
import type { KeyContext, KeyRecipient, RecipientKind, WrappedKey } from '../../shared/vaults/vault.ts';

/** RFC 3394's initial value. */
const WRAP_IV = Buffer.alloc(8, 0xa6);

export interface RecipientFaults {
  wrap?: (context: KeyContext) => void | Promise<void>;
  unwrap?: (wrapped: WrappedKey) => void | Promise<void>;
  forget?: (wrapped: WrappedKey) => void | Promise<void>;
}

/** Keeps one key-encryption key per wrapped key, as the `folder` and `key-vault-secret` recipients do. */
export class MemoryRecipient implements KeyRecipient {
  readonly kind: RecipientKind;
  readonly location: string;
  /** Key id → key-encryption key. */
  readonly keys = new Map<string, Buffer>();
  faults: RecipientFaults = {};

  constructor(kind: RecipientKind = 'folder', location = `memory:${kind}`) {
    this.kind = kind;
    this.location = location;
  }

  async wrap(key: Uint8Array, context: KeyContext): Promise<WrappedKey> {
    await this.faults.wrap?.(context);
    const keyId = `${this.location}/lifeboat-${context.component}-${context.timestamp}/${randomUUID()}`;
    const wrapping = randomBytes(32);
    this.keys.set(keyId, wrapping);
    const cipher = createCipheriv('id-aes256-wrap', wrapping, WRAP_IV);
    const encryptedKey = Buffer.concat([cipher.update(key), cipher.final()]).toString('base64');
    return { kind: this.kind, keyId, algorithm: 'A256KW', encryptedKey };
  }

  async unwrap(wrapped: WrappedKey): Promise<Uint8Array> {
    await this.faults.unwrap?.(wrapped);
    const wrapping = this.keys.get(wrapped.keyId);
    if (!wrapping) throw new KeyMissingError(`The key ${wrapped.keyId} is not in ${this.location}.`);
    try {
      const decipher = createDecipheriv('id-aes256-wrap', wrapping, WRAP_IV);
      return Buffer.concat([decipher.update(Buffer.from(wrapped.encryptedKey, 'base64')), decipher.final()]);
    } catch (cause) {
      throw new VerificationError(`The wrapped key ${wrapped.keyId} is damaged.`, { cause });
    }
  }

  matches(wrapped: WrappedKey): boolean {
    return wrapped.kind === this.kind && wrapped.keyId.startsWith(`${this.location}/`);
  }

  async forget(wrapped: WrappedKey): Promise<boolean> {
    await this.faults.forget?.(wrapped);
    return this.keys.delete(wrapped.keyId);
  }
}
